"""What the use cases about notifications need from the world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from users_svc.domain.notification import Inbox, Notification
from users_svc.domain.notification_mail import NotificationLetter, NotificationMail

#: a notification's fields, and ``actor``: None, or fields of the profile with ``following`` and ``followed_by`` of the
#: notification's owner
Row = Mapping[str, Any]


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


class Notifications(Protocol):
    """Part of the unit of work. Whoever changes one gets its inbox first, so they do so in turn."""

    def inbox(self, user_id: UUID) -> Inbox | None:
        """Return the person's inbox, made if there is none, locked until the transaction ends.

        None if the person has no profile. One who has keeps it until then: a deletion waits.
        """

    def is_unwelcome(self, user_id: UUID, actor_id: UUID) -> bool:
        """Tell whether the person blocks or mutes the actor, or the actor blocks the person."""

    def add(self, notification: Notification) -> bool:
        """Store it; False if the person was told of the same event before."""

    def find(self, user_id: UUID, notification_id: UUID) -> Notification | None:
        """Return one of the person's notifications. Changes of it are saved."""

    def remove(self, notification: Notification) -> None: ...

    def mark_all_read(self, user_id: UUID, up_to: int, now: datetime) -> int:
        """Mark those with a number up to `up_to` that are unread, and remove the mails about them that wait; return
        how many there were."""

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


class NotificationReader(Protocol):
    """Outside of any transaction."""

    def newest(self, user_id: UUID, *, before: int | None, limit: int, unread_only: bool) -> InboxView:
        """Return the newest first.

        :param before: only those with a smaller number
        """

    def after(self, user_id: UUID, *, number: int, limit: int) -> InboxView:
        """Return those with a larger number, the oldest first."""


class Mailer(Protocol):
    """Sends mails. Never inside a transaction."""

    def send(self, mail: NotificationLetter) -> None:
        """Hand the mail over.

        :raises MailUnavailable: not now; a later try may succeed
        :raises MailRefused: never
        """
