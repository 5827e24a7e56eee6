"""What the use cases about notifications need from the world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from users_svc.domain.notification import Inbox, Notification
from users_svc.domain.notification_mail import NotificationLetter, NotificationMail, Objection, SentMails

#: a notification's fields, and ``actor``: None, or fields of the profile with ``following`` and ``followed_by`` of the
#: notification's owner
Row = Mapping[str, Any]

Failure = Literal["unavailable", "error", "refused", "given_up"]
"""What happened to a mail that could not be sent; the first two are tried again."""


@dataclass(frozen=True)
class InboxView:
    """What was in an inbox at one moment.

    :param rows: some of it
    :param last: the newest number that was given; 0 if none was
    :param unread: how many are unread in all
    """

    rows: Sequence[Row]
    last: int = 0
    unread: int = 0


@dataclass(frozen=True)
class Outdated:
    """Which notifications are to go: those that happened, or were read, before a moment, and the oldest beyond `most`
    of one person."""

    happened_before: datetime
    read_before: datetime
    most: int


class Notifications(Protocol):
    """Part of the unit of work. Whoever changes one gets its inbox first, so they do so in turn."""

    def inbox(self, user_id: UUID) -> Inbox | None:
        """Return the person's inbox, made if there is none, locked until the transaction ends.

        None if the person has no profile. One who has keeps it until then: a deletion waits.
        """

    def free_inbox(self, user_id: UUID) -> Inbox | None:
        """Return the person's inbox, locked as by `inbox`; None if there is none, or somebody has it locked."""

    def is_unwelcome(self, user_id: UUID, actor_id: UUID) -> bool:
        """Tell whether the person blocks or mutes the actor, or the actor blocks the person."""

    def is_told(self, user_id: UUID, type: str, actor_id: UUID) -> bool:
        """Tell whether a notification of that type about the actor is unread, or a mail about it waits."""

    def add(self, notification: Notification) -> bool:
        """Store it; False if the person was told of the same event before."""

    def find(self, user_id: UUID, notification_id: UUID) -> Notification | None:
        """Return one of the person's notifications. Changes of it are saved."""

    def remove(self, notification: Notification) -> None: ...

    def mark_all_read(self, user_id: UUID, up_to: int, now: datetime) -> int:
        """Mark those with a number up to `up_to` that are unread, and remove the mails about them that wait, but those
        about the account's security; return how many there were."""

    def purge(self, user_id: UUID, outdated: Outdated, *, at_most: int) -> tuple[int, int]:
        """Remove the oldest of those that are to go; return how many those were, and how many of them were unread."""

    def add_mail(self, mail: NotificationMail) -> None:
        """Store a mail to be sent when it is due."""

    def forget_mail(self, notification_id: UUID) -> None:
        """Remove the mail about a notification, if one waits."""

    def take_mail(self, now: datetime, *, until: datetime) -> NotificationMail | None:
        """Return the mail that has been due for longest, with this attempt counted; None if none is due.

        Nobody else gets it before `until`, unless it is postponed before.
        """

    def postpone_mail(self, notification_id: UUID, due_at: datetime) -> None:
        """Set when the mail is due, if it still waits."""

    def sent_mails(self, mail: NotificationMail, now: datetime) -> SentMails:
        """Return what the person has got about other people, without this mail. Get their inbox first: two mails would
        both be the last one that may be sent."""

    def note_sent(self, mail: NotificationMail, now: datetime) -> None:
        """Count it among those; once more takes the place of what was noted before."""

    def forget_sent(self, before: datetime, *, at_most: int) -> int:
        """Remove notes of mails that were sent before; return how many."""


class NotificationReader(Protocol):
    """Outside of any transaction."""

    def newest(self, user_id: UUID, *, before: int | None, limit: int, unread_only: bool) -> InboxView:
        """Return the newest first.

        :param before: only those with a smaller number
        """

    def after(self, user_id: UUID, *, number: int, limit: int) -> InboxView:
        """Return those with a larger number, the oldest first."""

    def owners_of(self, outdated: Outdated, *, at_most: int) -> Sequence[UUID]:
        """Return people who have some that are to go: all of them, or so many that they are worth a round."""

    def waiting_mails(self) -> int:
        """Return how many mails wait."""


class Mailer(Protocol):
    """Sends mails. Never inside a transaction."""

    def send(self, mail: NotificationLetter) -> None:
        """Hand the mail over.

        :raises MailUnavailable: not now; a later try may succeed
        :raises MailRefused: never
        """


class MailTally(Protocol):
    """Counts what becomes of mails, for whoever looks after the system."""

    def sent(self, kind: str) -> None: ...

    def failed(self, kind: str, reason: Failure) -> None: ...

    def dropped(self, kind: str, reason: Objection) -> None:
        """Count one that is not sent, because of the mail itself and not of its way."""

    def waiting(self, number: int) -> None: ...
