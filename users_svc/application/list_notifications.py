"""Somebody looks into their inbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from users_svc.application.notification_pages import checked_limit, checked_number, cursor_after, number_of
from users_svc.application.notification_ports import InboxView, Row
from users_svc.application.ports import Ports
from users_svc.domain.profile import parse_user_id
from users_svc.domain.visibility import viewer_of, visible_fields

OF_ACTORS = ("id", "handle", "display_name", "avatar_url")


@dataclass(frozen=True)
class NotificationPage:
    data: Sequence[Row]
    next_cursor: str | None
    unread: int


def list_notifications(
    ports: Ports, *, user_id: str, limit: int = 20, cursor: str | None = None, unread_only: bool = False
) -> NotificationPage:
    """Return a page of the inbox, the newest first, and how many are unread in all of it."""
    owner = parse_user_id(user_id)
    size = checked_limit(limit)
    before = None if cursor is None else number_of(cursor, owner)
    # One more than asked for tells whether there is a next page.
    view = ports.notifications.newest(owner, before=before, limit=size + 1, unread_only=unread_only)
    data = [_as_shown(each, owner) for each in view.rows[:size]]
    more = len(view.rows) > size
    return NotificationPage(data, cursor_after(data[-1]["number"], owner) if more else None, view.unread)


def notifications_after(ports: Ports, *, user_id: str, number: int | None, limit: int = 100) -> InboxView:
    """Return what has come since the notification with that number, the oldest first.

    :param number: None for nothing but the counts: whoever listens from now on begins after `InboxView.last`
    """
    owner = parse_user_id(user_id)
    size = checked_limit(limit)
    if number is None:
        return ports.notifications.newest(owner, before=0, limit=1, unread_only=False)
    view = ports.notifications.after(owner, number=checked_number(number), limit=size)
    return replace(view, rows=[_as_shown(each, owner) for each in view.rows])


def _as_shown(row: Row, owner: UUID) -> Row:
    """Return the notification with what its owner may see of the actor; what they may not see is null."""
    actor = row["actor"]
    if actor is None:
        return row
    visible = visible_fields(actor, viewer_of(actor, str(owner), is_admin=False))
    return {**row, "actor": {name: visible.get(name) for name in OF_ACTORS}}
