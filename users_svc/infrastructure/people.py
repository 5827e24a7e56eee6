"""A person as somebody else gets to see them: one SELECT, whoever looks."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from lib.database import Sessions
from users_svc.infrastructure.tables import blocks, connection_counts, follow_requests, follows, mutes, profiles

_VIEWER = sa.bindparam("viewer_id", type_=pg.UUID(as_uuid=True))


def _is(table: sa.Table, source: sa.ColumnElement[Any], target: sa.ColumnElement[Any]) -> sa.Exists:
    """Tell whether there is an edge; the two columns of a table of edges come first."""
    first, second = list(table.columns)[:2]
    return sa.exists().where(first == source, second == target)


def relationship_columns(other: sa.ColumnElement[Any], viewer: sa.ColumnElement[Any] = _VIEWER) -> list[Any]:
    """Return the columns of `users_svc.domain.relationship.Relationship`, all but the id."""
    return [
        _is(follows, viewer, other).label("following"),
        _is(follows, other, viewer).label("followed_by"),
        _is(follow_requests, viewer, other).label("requested"),
        _is(follow_requests, other, viewer).label("requested_by"),
        _is(blocks, viewer, other).label("blocking"),
        _is(mutes, viewer, other).label("muting"),
    ]


def not_blocked_by(other: sa.ColumnElement[Any], viewer: sa.ColumnElement[Any] = _VIEWER) -> sa.ColumnElement[bool]:
    """For a viewer whom they have blocked, a person is not there. Part of every query that shows people."""
    return sa.not_(_is(blocks, other, viewer))


def _who_block(this_end: sa.Column[Any], other_end: sa.Column[Any]) -> sa.ScalarSelect[Any]:
    """Count those at the other end of a person's follows who block the viewer: few, whoever the person is.

    The viewer finds them in no list, so they are not in the counts beside it either. Begins with them.
    """
    blocking = sa.select(blocks.c.blocker_id).where(blocks.c.blocked_id == _VIEWER).scalar_subquery()
    chosen = sa.func.array(blocking, type_=pg.ARRAY(pg.UUID(as_uuid=True)))
    found = sa.select(sa.func.count()).select_from(follows)
    return found.where(this_end == profiles.c.id, other_end == sa.any_(chosen)).scalar_subquery()


_RELATIONSHIP = relationship_columns(profiles.c.id)
_ONE = profiles.c.id == sa.bindparam("user_id")
_VIEW = (
    sa.select(
        profiles,
        (connection_counts.c.followers - _who_block(follows.c.followee_id, follows.c.follower_id)).label(
            "followers_count"
        ),
        (connection_counts.c.following - _who_block(follows.c.follower_id, follows.c.followee_id)).label(
            "following_count"
        ),
        *_RELATIONSHIP,
    )
    .join_from(profiles, connection_counts, connection_counts.c.user_id == profiles.c.id)
    .where(_ONE, not_blocked_by(profiles.c.id))
)
# What they see of themselves, without what cannot be: nobody follows, blocks or mutes themselves, and a block ends the
# follows between two. To plan those questions takes PostgreSQL longer than to answer them all.
_OWN = (
    sa.select(
        profiles,
        connection_counts.c.followers.label("followers_count"),
        connection_counts.c.following.label("following_count"),
        *(sa.false().label(each.name) for each in _RELATIONSHIP),
    )
    .join_from(profiles, connection_counts, connection_counts.c.user_id == profiles.c.id)
    .where(_ONE)
)


class SqlPeople:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def view(self, user_id: UUID, viewer_id: UUID | None) -> dict[str, Any] | None:
        return self._sessions.first(_OWN if user_id == viewer_id else _VIEW, user_id=user_id, viewer_id=viewer_id)
