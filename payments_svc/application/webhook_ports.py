"""Messages from providers, in the words of the use cases."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from payments_svc.domain.notice import NoticeStatus, ParkedFor, StoredNotice


class Notices(Protocol):
    """The messages that were proved, in a transaction."""

    def add(self, notice: StoredNotice) -> bool:
        """Add the message and its events, unless its provider's event is there; tell whether it was added.

        While another transaction is adding the same event, this one waits for its end.
        """

    def get(self, notice_id: UUID) -> StoredNotice | None:
        """Return the message, locked until the end of the transaction."""

    def save(self, notice: StoredNotice) -> None:
        """Write what became of a message that was got in this transaction, and its events, on commit."""

    def find(
        self, *, status: NoticeStatus | None = None, type: str | None = None, limit: int, before: UUID | None = None
    ) -> list[dict[str, Any]]:
        """Return up to `limit` messages, newest first, older than `before`, without what they say."""

    def forget(self, before: datetime, *, parked_for: ParkedFor | None = None, at_most: int) -> int:
        """Delete up to `at_most` messages that came before a moment; return how many.

        :param parked_for: those that are parked for this; None: those that were processed or dismissed before it, too
        """

    def payment_of(self, provider: str, attempt_id: UUID | None, payment_id: UUID | None) -> UUID | None:
        """Return the id of the payment that the provider knows by the attempt, or else of that with the id."""

    def refund_of(self, provider: str, attempt_id: UUID | None) -> UUID | None:
        """Return the id of the refund that the provider knows by the attempt.

        Of one that was called off only if no other has taken its place.
        """
