"""Lists of people by their connections, on PostgreSQL: each one SELECT along an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from lib.database import Sessions
from users_svc.infrastructure.people import not_blocked_by, relationship_columns
from users_svc.infrastructure.sql_connections import has_setting
from users_svc.infrastructure.tables import blocks, follow_requests, follows, profiles

_ID = pg.UUID(as_uuid=True)
_USER, _VIEWER, _BEFORE = (sa.bindparam(name, type_=_ID) for name in ("user_id", "viewer_id", "before"))
_SHOWN = sa.and_(~profiles.c.disabled, not_blocked_by(profiles.c.id))
_NEWEST = UUID(int=2**128 - 1)


def _listed(table: sa.Table, *, of: str, who: str) -> sa.Select[Any]:
    """Return the SELECT of a page.

    :param of: the end of the edges that all have in common
    :param who: the end that is listed
    """
    # By another name than the same table has within the conditions.
    edges = table.alias("listed")
    found = (
        sa.select(profiles, edges.c.id.label("edge_id"), edges.c.created_at.label("since"))
        .join_from(edges, profiles, profiles.c.id == edges.c[who])
        .where(edges.c[of] == _USER, edges.c.id < _BEFORE, _SHOWN)
        .order_by(edges.c.id.desc())
        .limit(sa.bindparam("most", type_=sa.Integer))
        .subquery("page")
    )
    # Only now: for the whole list, PostgreSQL would rather read all edges of the viewer than ask for each person.
    return sa.select(found, *relationship_columns(found.c.id)).order_by(found.c.edge_id.desc())


_FOLLOWERS = _listed(follows, of="followee_id", who="follower_id")
_FOLLOWING = _listed(follows, of="follower_id", who="followee_id")
_BLOCKED = _listed(blocks, of="blocker_id", who="blocked_id")
_REQUESTERS = _listed(follow_requests, of="target_id", who="requester_id")
_NETWORK = sa.select(
    profiles.c.private,
    has_setting(profiles.c.id, "hide_network").label("hidden"),
    sa.exists().where(follows.c.follower_id == _VIEWER, follows.c.followee_id == profiles.c.id).label("following"),
).where(
    profiles.c.id == _USER,
    sa.or_(~profiles.c.disabled, profiles.c.id == _VIEWER),
    not_blocked_by(profiles.c.id),
)
_RELATIONSHIPS = sa.select(profiles.c.id, *relationship_columns(profiles.c.id)).where(
    profiles.c.id == sa.any_(sa.bindparam("other_ids", type_=pg.ARRAY(_ID))), _SHOWN
)


class SqlConnectionReader:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def network(self, user_id: UUID, viewer_id: UUID | None) -> dict[str, Any] | None:
        return self._sessions.first(_NETWORK, user_id=user_id, viewer_id=viewer_id)

    def followers(self, user_id: UUID, viewer_id: UUID | None, most: int, before: UUID | None) -> list[dict[str, Any]]:
        return self._page(_FOLLOWERS, user_id, viewer_id, most, before)

    def following(self, user_id: UUID, viewer_id: UUID | None, most: int, before: UUID | None) -> list[dict[str, Any]]:
        return self._page(_FOLLOWING, user_id, viewer_id, most, before)

    def blocked(self, user_id: UUID, most: int, before: UUID | None) -> list[dict[str, Any]]:
        return self._page(_BLOCKED, user_id, user_id, most, before)

    def requesters(self, user_id: UUID, most: int, before: UUID | None) -> list[dict[str, Any]]:
        return self._page(_REQUESTERS, user_id, user_id, most, before)

    def relationships(self, user_id: UUID, other_ids: Sequence[UUID]) -> list[dict[str, Any]]:
        return self._sessions.all(_RELATIONSHIPS, viewer_id=user_id, other_ids=list(other_ids))

    def _page(
        self, statement: sa.Select[Any], user_id: UUID, viewer_id: UUID | None, most: int, before: UUID | None
    ) -> list[dict[str, Any]]:
        return self._sessions.all(statement, user_id=user_id, viewer_id=viewer_id, most=most, before=before or _NEWEST)
