"""Notifications on PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from lib.database import Sessions
from lib.statements import insert_unless_there
from lib.uow import SqlUnitOfWork
from users_svc.application.notification_ports import InboxView
from users_svc.domain.notification import Inbox, Notification
from users_svc.domain.notification_mail import NotificationMail
from users_svc.infrastructure.people import not_blocked_by, relationship_columns
from users_svc.infrastructure.tables import (
    blocks,
    mutes,
    notification_inboxes,
    notifications,
    pending_notification_mails,
    profiles,
)

_USER = sa.bindparam("user_id", type_=pg.UUID(as_uuid=True))
_ACTOR = sa.bindparam("actor_id", type_=pg.UUID(as_uuid=True))
_ADD_INBOX = insert_unless_there(notification_inboxes, "(user_id)")
_ADD = insert_unless_there(notifications, "ON CONSTRAINT notifications_event_key")
# A deletion of the profile waits for this, and this for a deletion; other changes of the profile go on.
_KEEP_PROFILE = sa.select(profiles.c.id).where(profiles.c.id == _USER).with_for_update(read=True, key_share=True)
_UNWELCOME = sa.select(
    sa.or_(
        sa.exists().where(blocks.c.blocker_id == _USER, blocks.c.blocked_id == _ACTOR),
        sa.exists().where(blocks.c.blocker_id == _ACTOR, blocks.c.blocked_id == _USER),
        sa.exists().where(mutes.c.muter_id == _USER, mutes.c.muted_id == _ACTOR),
    ).label("unwelcome")
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
    " WHERE user_id = :user_id AND number <= :up_to AND read_at IS NULL RETURNING id),"
    " forgotten AS (DELETE FROM pending_notification_mails WHERE notification_id IN (SELECT id FROM marked))"
    " SELECT count(*) FROM marked"
).bindparams(_USER)


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
            session.execute(_ADD_INBOX, {"user_id": user_id, "last_number": 0, "unread": 0})
            found = session.get_one(Inbox, user_id, with_for_update=True, populate_existing=True)
        return found

    def is_unwelcome(self, user_id: UUID, actor_id: UUID) -> bool:
        found = self._uow.session.execute(_UNWELCOME, {"user_id": user_id, "actor_id": actor_id})
        return bool(found.scalar_one())

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


class SqlNotificationReader:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def newest(self, user_id: UUID, *, before: int | None, limit: int, unread_only: bool) -> InboxView:
        number = _LARGEST if before is None else before
        return _read(self._sessions.all(_NEWEST[unread_only], user_id=user_id, number=number, limit=limit))

    def after(self, user_id: UUID, *, number: int, limit: int) -> InboxView:
        return _read(self._sessions.all(_AFTER, user_id=user_id, number=number, limit=limit))


def _read(rows: list[dict[str, Any]]) -> InboxView:
    if not rows:
        return InboxView(())
    # An inbox without a notification that fits is a row without one.
    shown = [_row(each) for each in rows if each["number"] is not None]
    return InboxView(shown, last=rows[0]["last_number"], unread=rows[0]["unread"])


def _row(row: dict[str, Any]) -> dict[str, Any]:
    actor = {name.removeprefix(_AS_ACTOR): row[name] for name in row if name.startswith(_AS_ACTOR)}
    return {**{name: row[name] for name in _SHOWN}, "actor": actor if actor["id"] is not None else None}
