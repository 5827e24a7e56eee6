"""What the use cases about preferences need from the world."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from users_svc.domain.notification_preferences import NotificationPreferences
from users_svc.domain.preference_records import Kind, PreferenceRecord


class Preferences(Protocol):
    """Part of the unit of work."""

    def lock(self, user_id: UUID, kind: Kind) -> PreferenceRecord | None:
        """Return the record, locked until the transaction ends; one in which nothing is chosen for who has none.

        A concurrent transaction with the same record waits here. None if the person has no profile.
        """

    def save(self, record: PreferenceRecord) -> None:
        """Keep on commit what was changed in a locked record."""

    def find(self, user_id: UUID, kind: Kind) -> PreferenceRecord:
        """Return the record to look at, not locked; one in which nothing is chosen for who has none."""

    def notification_preferences(self, user_id: UUID) -> NotificationPreferences:
        """Return what the person wants to be told of; the defaults for who has chosen nothing. Not locked."""


class PreferenceReader(Protocol):
    """Outside of any transaction."""

    def find(self, user_id: UUID, kind: Kind) -> PreferenceRecord:
        """Return the record; one in which nothing is chosen for who has none."""


class UnsubscribeTokens(Protocol):
    """Tokens for the links that end mails of one type to one person. They do not expire: mails are kept for years."""

    def token(self, user_id: UUID, type_name: str) -> str:
        """Return the token; the same one each time."""

    def read(self, token: object) -> tuple[UUID, str] | None:
        """Return whose mails of which type the token ends; None for what is no token of ours."""
