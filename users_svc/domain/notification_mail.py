"""Mails about notifications: what waits to be sent, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Self
from uuid import UUID

from users_svc.domain.notification import News

LEASE = timedelta(minutes=5)
"""Whoever takes a mail to send it has it for so long. If nothing is heard of them by then, the next one takes it."""

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)

MOST_ATTEMPTS = 30
"""About a day of them: then nobody is told, as the news is none any more."""

OLD = timedelta(days=2)
"""What happened longer ago is in the inbox and in no mail: after an outage, or when events are sent again, a mailbox
would be full of what is none any more. It is as long as quiet hours and all attempts of a mail may take together."""

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

Objection = Literal[
    "too_old", "no_reader", "unproved_address", "no_actor", "unwelcome", "undone", "unwanted", "too_many", "repeated"
]
"""Why a mail that waited is not sent."""


def is_old(happened_at: datetime, now: datetime) -> bool:
    """Tell whether it is too late for a mail about it."""
    return now - happened_at > OLD


@dataclass(frozen=True)
class SentMails:
    """What a person has got about what other people did.

    :param lately: how many mails in the last hour
    :param same: one of the last day was about the same: type and person
    """

    lately: int = 0
    same: bool = False

    def objection(self, most_per_hour: int) -> Objection | None:
        """Return why there is to be no further one, if so: somebody may do and undo a thing again and again."""
        if self.same:
            return "repeated"
        return "too_many" if self.lately >= most_per_hour else None


@dataclass(frozen=True, kw_only=True)
class NotificationMail:
    """A mail that waits. It holds what it is about, because somebody may want the mail and not the notification.

    :param id: of the notification; every try to send the mail has the same Message-ID for it
    :param created_at: when what it is about happened
    :param due_at: not to be sent before; while it is being sent, when it may be tried again
    :param attempts: how often it was taken to be sent
    """

    id: UUID
    user_id: UUID
    type: str
    data: dict[str, Any]
    actor_id: UUID | None
    created_at: datetime
    due_at: datetime
    attempts: int = 0

    @classmethod
    def of(cls, news: News, *, id: UUID, due_at: datetime) -> Self:
        return cls(
            id=id,
            user_id=news.user_id,
            type=news.type,
            data=news.data,
            actor_id=news.actor_id,
            created_at=news.happened_at,
            due_at=due_at,
        )

    def next_try(self, now: datetime) -> datetime | None:
        """Return when to try again what could not be sent now; each pause is twice as long as the one before.

        None if it was tried for long enough.
        """
        if self.attempts >= MOST_ATTEMPTS:
            return None
        return now + min(FIRST_PAUSE * (1 << max(0, self.attempts - 1)), LONGEST_PAUSE)


@dataclass(frozen=True, kw_only=True)
class NotificationLetter:
    """A mail that is ready to be written.

    :param id: the same for every try to send it
    :param kind: the notification's type
    :param to: the address as its owner typed it
    :param name: of the reader
    :param actor: the name of who did it, as the reader may see it; None where it is nobody, or has no name for them
    :param unsubscribe_token: ends mails of this kind to the reader; None for those that nobody can end
    """

    id: str
    kind: str
    to: str
    name: str
    data: dict[str, Any]
    actor: str | None
    happened_at: datetime
    unsubscribe_token: str | None = field(repr=False)
