"""What a person is told, in the order in which they are told it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID, uuid5

from lib.aggregate import Aggregate
from lib.errors import NotFound


class NotificationNotFound(NotFound):
    """There is none with that id, or it is somebody else's: the two look the same."""

    code = "notification_not_found"


@dataclass(frozen=True)
class NotificationCreated:
    """There is something new in a person's inbox. What it is, its owner alone gets to read."""

    type: ClassVar[str] = "notification.created"
    schema_version: ClassVar[int] = 1
    user_id: str
    number: int
    unread: int


@dataclass(frozen=True, kw_only=True)
class News:
    """Something that happened and that a person is to be told of.

    :param user_id: whom to tell
    :param event_id: of the event that says so; a person is told of it once
    :param happened_at: not in the future
    :param actor_id: who did it, where that is another person
    :param data: JSON; nothing in it names a person
    """

    user_id: UUID
    type: str
    event_id: UUID
    happened_at: datetime
    actor_id: UUID | None = None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, kw_only=True)
class Notification:
    """News in an inbox.

    :param number: from 1 for each person, without gaps as they come; a deleted one leaves a gap
    :param created_at: when what it tells happened, which says nothing about its place: that is the number
    :param read_at: when its owner said that it is read
    """

    user_id: UUID
    number: int
    id: UUID
    type: str
    data: dict[str, Any]
    actor_id: UUID | None
    event_id: UUID
    created_at: datetime
    read_at: datetime | None = None

    @classmethod
    def of(cls, news: News, *, number: int, id: UUID) -> Self:
        return cls(
            user_id=news.user_id,
            number=number,
            id=id,
            type=news.type,
            data=news.data,
            actor_id=news.actor_id,
            event_id=news.event_id,
            created_at=news.happened_at,
        )


@dataclass(eq=False)
class Inbox(Aggregate):
    """How much there is in a person's inbox. Every new notification is an event of it, so they have one numbering.

    Whoever changes notifications has locked their inbox, so numbers come in the order of commits, and `unread` is
    exact.

    :param sequence: the newest number
    :param kept: how many there are
    """

    user_id: UUID
    sequence: int = 0
    unread: int = 0
    kept: int = 0

    @property
    def id(self) -> UUID:  # type: ignore[override]  # nobody sets it
        """The subject of its events: not the person's own id, under which the events of the profile are numbered."""
        return uuid5(self.user_id, "notifications")

    def deliver(self, news: News, *, id: UUID) -> Notification:
        """Return the news as the newest notification."""
        self.unread += 1
        self.kept += 1
        self.record(NotificationCreated(user_id=str(self.user_id), number=self.sequence + 1, unread=self.unread))
        return Notification.of(news, number=self.sequence, id=id)

    def mark_read(self, notification: Notification, now: datetime) -> None:
        """Note that the owner has read it; the first time counts."""
        if notification.read_at is None:
            notification.read_at = now
            self.unread -= 1

    def let_go(self, notification: Notification) -> None:
        """Account for one that is deleted."""
        self.purge(1, unread=notification.read_at is None)

    def purge(self, number: int, *, unread: int) -> None:
        """Account for some that are deleted.

        :param unread: how many of them nobody had read
        """
        self.kept -= number
        self.unread -= unread
