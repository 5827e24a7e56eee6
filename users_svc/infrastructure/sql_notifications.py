"""Notifications on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from lib.database import Sessions, autocommit
from lib.statements import insert_unless_there
from lib.uow import SqlUnitOfWork
from users_svc.application.notification_ports import InboxView, Outdated
from users_svc.domain.notification import Inbox, Notification
from users_svc.domain.notification_mail import DAY, HOUR, NotificationMail, SentMails
from users_svc.domain.notification_types import SECURITY_TYPES
from users_svc.infrastructure.people import not_blocked_by, relationship_columns
from users_svc.infrastructure.tables import (
    blocks,
    mutes,
    notification_inboxes,
    notifications,
    pending_notification_mails,
    profiles,
    social_mails,
)

_USER = sa.bindparam("user_id", type_=pg.UUID(as_uuid=True))
_ACTOR = sa.bindparam("actor_id", type_=pg.UUID(as_uuid=True))
_ADD_INBOX = insert_unless_there(notification_inboxes, "(user_id)")
_ADD = insert_unless_there(notifications, "ON CONSTRAINT notifications_event_key")
# A deletion of the profile waits for this, and this for a deletion; other changes of the profile go on.
_KEEP_PROFILE = sa.select(profiles.c.id).where(profiles.c.id == _USER).with_for_update(read=True, key_share=True)
_FREE_PROFILE = sa.select(profiles.c.id).where(profiles.c.id == _USER)
_FREE_PROFILE = _FREE_PROFILE.with_for_update(read=True, key_share=True, skip_locked=True)
_UNWELCOME = sa.select(
    sa.or_(
        sa.exists().where(blocks.c.blocker_id == _USER, blocks.c.blocked_id == _ACTOR),
        sa.exists().where(blocks.c.blocker_id == _ACTOR, blocks.c.blocked_id == _USER),
        sa.exists().where(mutes.c.muter_id == _USER, mutes.c.muted_id == _ACTOR),
    ).label("unwelcome")
)
_TYPE = sa.bindparam("type", type_=sa.Text)
_IS_TOLD = sa.select(
    sa.or_(
        sa.exists().where(
            notifications.c.user_id == _USER,
            notifications.c.actor_id == _ACTOR,
            notifications.c.type == _TYPE,
            notifications.c.read_at.is_(None),
        ),
        sa.exists().where(
            pending_notification_mails.c.user_id == _USER,
            pending_notification_mails.c.type == _TYPE,
            pending_notification_mails.c.actor_id == _ACTOR,
        ),
    ).label("told")
)
_ADD_MAIL = insert_unless_there(pending_notification_mails)
_MAIL_COLUMNS = list(pending_notification_mails.columns)
_MAIL_FIELDS = {"notification_id": "id"}
_FORGET_MAIL = sa.delete(pending_notification_mails).where(
    pending_notification_mails.c.notification_id == sa.bindparam("notification_id", type_=pg.UUID(as_uuid=True))
)
_TAKE_MAIL = sa.text(
    "UPDATE pending_notification_mails SET due_at = :until, attempts = attempts + 1 WHERE notification_id ="
    " (SELECT notification_id FROM pending_notification_mails WHERE due_at <= :now ORDER BY due_at LIMIT 1"
    " FOR UPDATE SKIP LOCKED) RETURNING *"
).columns(*_MAIL_COLUMNS)
_POSTPONE_MAIL = sa.text(
    "UPDATE pending_notification_mails SET due_at = :due_at WHERE notification_id = :notification_id"
).bindparams(sa.bindparam("notification_id", type_=pg.UUID(as_uuid=True)))
_MARK_ALL_READ = sa.text(
    "WITH marked AS (UPDATE notifications SET read_at = :now"
    " WHERE user_id = :user_id AND number <= :up_to AND read_at IS NULL RETURNING id, type),"
    " forgotten AS (DELETE FROM pending_notification_mails WHERE notification_id IN"
    " (SELECT id FROM marked WHERE type <> ALL(CAST(:security AS text[]))))"
    " SELECT count(*) FROM marked"
).bindparams(_USER, sa.bindparam("security", list(SECURITY_TYPES)))
# A mail about one of them has all that it says, and goes its way.
_PURGE = sa.text(
    "WITH outdated AS (SELECT id FROM notifications WHERE user_id = :user_id AND"
    " (created_at < :happened_before OR read_at < :read_before OR number <= (SELECT number FROM notifications"
    " WHERE user_id = :user_id ORDER BY number DESC OFFSET :most LIMIT 1)) ORDER BY number LIMIT :at_most),"
    " gone AS (DELETE FROM notifications WHERE id IN (SELECT id FROM outdated) RETURNING read_at)"
    " SELECT count(*) AS gone, count(*) FILTER (WHERE read_at IS NULL) AS unread FROM gone"
).bindparams(_USER)
# So many for each of the three reasons: those of one person may be many, and the next round finds the next people.
_OWNERS = sa.text(
    "SELECT user_id FROM (SELECT user_id FROM notifications WHERE created_at < :happened_before"
    " ORDER BY created_at LIMIT :at_most) AS old UNION"
    " SELECT user_id FROM (SELECT user_id FROM notifications WHERE read_at < :read_before"
    " ORDER BY read_at LIMIT :at_most) AS read UNION"
    " SELECT user_id FROM (SELECT user_id FROM notification_inboxes WHERE kept > :most LIMIT :at_most) AS overfull"
).columns(notifications.c.user_id)
_SENT_MAILS = sa.text(
    "SELECT count(*) FILTER (WHERE sent_at > :an_hour_ago) AS lately,"
    " coalesce(bool_or(type = :type AND actor_id = :actor_id), false) AS same FROM social_mails"
    " WHERE user_id = :user_id AND sent_at > :a_day_ago AND notification_id <> :notification_id"
).bindparams(_USER, _ACTOR, sa.bindparam("notification_id", type_=pg.UUID(as_uuid=True)))
_NOTE_SENT = insert_unless_there(social_mails, "(notification_id)", otherwise="UPDATE SET sent_at = excluded.sent_at")
_FORGET_SENT = sa.text(
    "WITH old AS (SELECT notification_id FROM social_mails WHERE sent_at < :before ORDER BY sent_at LIMIT :at_most"
    " FOR UPDATE SKIP LOCKED) DELETE FROM social_mails WHERE notification_id IN (SELECT notification_id FROM old)"
)


class SqlNotifications:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def inbox(self, user_id: UUID) -> Inbox | None:
        session = self._uow.session
        # The profile before the inbox, as a deletion has it: each would wait for the other for ever.
        if session.execute(_KEEP_PROFILE, {"user_id": user_id}).first() is None:
            return None
        found = session.get(Inbox, user_id, with_for_update=True, populate_existing=True)
        if found is None:
            session.execute(_ADD_INBOX, {"user_id": user_id, "last_number": 0, "unread": 0, "kept": 0})
            found = session.get_one(Inbox, user_id, with_for_update=True, populate_existing=True)
        return found

    def free_inbox(self, user_id: UUID) -> Inbox | None:
        session = self._uow.session
        if session.execute(_FREE_PROFILE, {"user_id": user_id}).first() is None:
            return None
        return session.get(Inbox, user_id, with_for_update={"skip_locked": True}, populate_existing=True)

    def is_unwelcome(self, user_id: UUID, actor_id: UUID) -> bool:
        found = self._uow.session.execute(_UNWELCOME, {"user_id": user_id, "actor_id": actor_id})
        return bool(found.scalar_one())

    def is_told(self, user_id: UUID, type: str, actor_id: UUID) -> bool:
        wanted = {"user_id": user_id, "type": type, "actor_id": actor_id}
        return bool(self._uow.session.execute(_IS_TOLD, wanted).scalar_one())

    def add(self, notification: Notification) -> bool:
        row = {column.name: getattr(notification, column.name) for column in notifications.columns}
        added = self._uow.session.execute(_ADD, row)
        return bool(added.rowcount)  # type: ignore[attr-defined]  # a CursorResult, as of every INSERT

    def find(self, user_id: UUID, notification_id: UUID) -> Notification | None:
        c = notifications.c
        return self._uow.session.scalar(
            sa.select(Notification).where(c.user_id == user_id, c.id == notification_id),
            execution_options={"populate_existing": True},
        )

    def remove(self, notification: Notification) -> None:
        self._uow.session.delete(notification)

    def mark_all_read(self, user_id: UUID, up_to: int, now: datetime) -> int:
        marked = self._uow.session.execute(_MARK_ALL_READ, {"user_id": user_id, "up_to": up_to, "now": now})
        return int(marked.scalar_one())

    def purge(self, user_id: UUID, outdated: Outdated, *, at_most: int) -> tuple[int, int]:
        wanted = {"user_id": user_id, "at_most": at_most, **asdict(outdated)}
        gone, unread = self._uow.session.execute(_PURGE, wanted).one()
        return gone, unread

    def add_mail(self, mail: NotificationMail) -> None:
        row = {each.name: getattr(mail, _MAIL_FIELDS.get(each.name, each.name)) for each in _MAIL_COLUMNS}
        self._uow.session.execute(_ADD_MAIL, row)

    def forget_mail(self, notification_id: UUID) -> None:
        self._uow.session.execute(_FORGET_MAIL, {"notification_id": notification_id})

    def take_mail(self, now: datetime, *, until: datetime) -> NotificationMail | None:
        row = self._uow.session.execute(_TAKE_MAIL, {"now": now, "until": until}).mappings().first()
        if row is None:
            return None
        return NotificationMail(**{_MAIL_FIELDS.get(name, name): value for name, value in row.items()})

    def postpone_mail(self, notification_id: UUID, due_at: datetime) -> None:
        self._uow.session.execute(_POSTPONE_MAIL, {"notification_id": notification_id, "due_at": due_at})

    def sent_mails(self, mail: NotificationMail, now: datetime) -> SentMails:
        since = {"an_hour_ago": now - HOUR, "a_day_ago": now - DAY}
        found = self._uow.session.execute(_SENT_MAILS, {**_note_of(mail), **since}).one()
        return SentMails(found.lately, found.same)

    def note_sent(self, mail: NotificationMail, now: datetime) -> None:
        self._uow.session.execute(_NOTE_SENT, {**_note_of(mail), "sent_at": now})

    def forget_sent(self, before: datetime, *, at_most: int) -> int:
        gone = self._uow.session.execute(_FORGET_SENT, {"before": before, "at_most": at_most})
        return int(gone.rowcount)  # type: ignore[attr-defined]  # a CursorResult, as of every DELETE


def _note_of(mail: NotificationMail) -> dict[str, Any]:
    return {"notification_id": mail.id, "user_id": mail.user_id, "type": mail.type, "actor_id": mail.actor_id}


_SHOWN = ("number", "id", "type", "data", "created_at", "read_at")
_OF_ACTORS = ("id", "handle", "display_name", "avatar_url", "visibility")
_AS_ACTOR = "actor_"
_NUMBER, _LIMIT = sa.bindparam("number", type_=sa.BigInteger), sa.bindparam("limit", type_=sa.Integer)
_LARGEST = 2**63 - 1


def _view(*conditions: sa.ColumnElement[bool], newest_first: bool) -> sa.Select[Any]:
    """Return one SELECT for the counts and a page of notifications, so that they are of one moment.

    An actor who is not there for the reader is null: one who blocks them, one whose account is disabled or deleted.
    """
    c = notifications.c
    order = c.number.desc() if newest_first else c.number
    page = sa.select(notifications).where(c.user_id == _USER, *conditions).order_by(order).limit(_LIMIT).subquery()
    actors = profiles.alias("actors")
    is_there = sa.and_(
        actors.c.id == page.c.actor_id, sa.not_(actors.c.disabled), not_blocked_by(actors.c.id, viewer=_USER)
    )
    return (
        sa.select(
            notification_inboxes.c.last_number,
            notification_inboxes.c.unread,
            *(page.c[name] for name in _SHOWN),
            *(actors.c[name].label(_AS_ACTOR + name) for name in _OF_ACTORS),
            *(each.label(_AS_ACTOR + each.name) for each in relationship_columns(actors.c.id, viewer=_USER)),
        )
        .join_from(notification_inboxes, page, page.c.user_id == notification_inboxes.c.user_id, isouter=True)
        .join(actors, is_there, isouter=True)
        .where(notification_inboxes.c.user_id == _USER)
        .order_by(page.c.number.desc() if newest_first else page.c.number)
    )


_NEWEST = {
    False: _view(notifications.c.number < _NUMBER, newest_first=True),
    True: _view(notifications.c.number < _NUMBER, notifications.c.read_at.is_(None), newest_first=True),
}
_AFTER = _view(notifications.c.number > _NUMBER, newest_first=False)
_WAITING = sa.select(sa.func.count().label("waiting")).select_from(pending_notification_mails)


class SqlNotificationReader:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def newest(self, user_id: UUID, *, before: int | None, limit: int, unread_only: bool) -> InboxView:
        number = _LARGEST if before is None else before
        return _read(self._sessions.all(_NEWEST[unread_only], user_id=user_id, number=number, limit=limit))

    def after(self, user_id: UUID, *, number: int, limit: int) -> InboxView:
        return _read(self._sessions.all(_AFTER, user_id=user_id, number=number, limit=limit))

    def owners_of(self, outdated: Outdated, *, at_most: int) -> Sequence[UUID]:
        with autocommit(self._sessions.engine) as connection:
            return list(connection.execute(_OWNERS, {**asdict(outdated), "at_most": at_most}).scalars())

    def waiting_mails(self) -> int:
        found = self._sessions.first(_WAITING)
        return 0 if found is None else int(found["waiting"])


def _read(rows: list[dict[str, Any]]) -> InboxView:
    if not rows:
        return InboxView(())
    # An inbox without a notification that fits is a row without one.
    shown = [_row(each) for each in rows if each["number"] is not None]
    return InboxView(shown, last=rows[0]["last_number"], unread=rows[0]["unread"])


def _row(row: dict[str, Any]) -> dict[str, Any]:
    actor = {name.removeprefix(_AS_ACTOR): row[name] for name in row if name.startswith(_AS_ACTOR)}
    return {**{name: row[name] for name in _SHOWN}, "actor": actor if actor["id"] is not None else None}
