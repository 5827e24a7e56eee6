"""Connections on PostgreSQL.

Whoever changes an edge holds both people, in this order: their profiles, so that neither goes meanwhile, then their
rows of counts, which also put the changes in turn; each of the two in the order of the ids, so that nobody waits for
somebody who waits for them. A deletion alone holds a profile ``FOR UPDATE``, one and before any counts: nobody adds an
edge at it meanwhile. Where many edges change, they do so by the hundred, each hundred in a transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from lib.uow import SqlUnitOfWork
from lib.writes import Form, inserting
from users_svc.domain.connection import Connection, PendingRequests
from users_svc.domain.relationship import Relationship
from users_svc.infrastructure.people import not_blocked_by, relationship_columns
from users_svc.infrastructure.tables import (
    blocks,
    connection_counts,
    follow_requests,
    follows,
    mutes,
    preference_records,
    profiles,
)

_ID, _IDS = pg.UUID(as_uuid=True), pg.ARRAY(pg.UUID(as_uuid=True))
_USER, _OTHER = sa.bindparam("user_id", type_=_ID), sa.bindparam("other_id", type_=_ID)
_OTHERS, _MOST = sa.bindparam("other_ids", type_=_IDS), sa.bindparam("most", type_=sa.Integer)
_TABLES = {"follow": follows, "request": follow_requests, "block": blocks, "mute": mutes}


def has_setting(user: sa.ColumnElement[Any], name: str) -> sa.Exists:
    """Tell whether somebody has switched a setting on that is off by default."""
    return sa.exists().where(
        preference_records.c.user_id == user,
        preference_records.c.kind == "settings",
        preference_records.c.data[name].astext == "true",
    )


def _ends(table: sa.Table) -> tuple[sa.Column[Any], sa.Column[Any]]:
    source, target = list(table.columns)[:2]
    return source, target


def _deleting(table: sa.Table) -> Form:
    source, target = _ends(table)
    # Only names of ours, here and below.
    sql = f"DELETE FROM {table.name} WHERE {source.name} = :source AND {target.name} = :target"  # noqa: S608
    return Form(sql, {"source": _ID, "target": _ID})


_ADD = {kind: inserting(table) for kind, table in _TABLES.items()}
_DELETE = {kind: _deleting(table) for kind, table in _TABLES.items()}
_COUNT = Form(
    "UPDATE connection_counts SET followers = followers + :followers, following = following + :following"
    " WHERE user_id = :user_id",
    {"followers": sa.BigInteger(), "following": sa.BigInteger(), "user_id": _ID},
)
_NUMBER = Form(
    "UPDATE connection_counts SET sequence = :sequence WHERE user_id = :user_id",
    {"sequence": sa.Integer(), "user_id": _ID},
)

# --- locks ----------------------------------------------------------------------------------------------------------

_HOLD_PROFILES = (
    sa.select(profiles.c.id)
    .where(profiles.c.id == sa.any_(_OTHERS))
    .order_by(profiles.c.id)
    .with_for_update(read=True, key_share=True)
)
_HOLD_COUNTS = (
    sa.select(connection_counts.c.user_id)
    .where(connection_counts.c.user_id == sa.any_(_OTHERS))
    .order_by(connection_counts.c.user_id)
    .with_for_update()
)
_HOLD_ALONE = sa.select(profiles.c.id).where(profiles.c.id == _USER).with_for_update()

# --- reads under the locks ------------------------------------------------------------------------------------------

_BETWEEN = (
    sa.select(
        connection_counts.c.sequence,
        profiles.c.id.is_not(None).label("visible"),
        sa.and_(
            sa.func.coalesce(profiles.c.private, sa.false()), ~has_setting(_OTHER, "auto_accept_follow_requests")
        ).label("approves"),
        *relationship_columns(_OTHER, _USER),
    )
    .join_from(
        connection_counts,
        profiles,
        sa.and_(profiles.c.id == _OTHER, ~profiles.c.disabled, not_blocked_by(profiles.c.id, _USER)),
        isouter=True,
    )
    .where(connection_counts.c.user_id == _USER)
)
_OPEN = (
    sa.select(connection_counts.c.sequence)
    .join_from(connection_counts, profiles, profiles.c.id == connection_counts.c.user_id)
    .where(
        connection_counts.c.user_id == _USER,
        sa.or_(~profiles.c.private, has_setting(profiles.c.id, "auto_accept_follow_requests")),
    )
)
_PENDING = (
    sa.select(follow_requests.c.requester_id)
    .where(follow_requests.c.target_id == _USER)
    .order_by(follow_requests.c.id)
    .limit(_MOST)
)
# Of each kind of edge, in both directions: the others.
_NEIGHBOURS = [
    sa.select(other).where(end == _USER).limit(_MOST)
    for table in _TABLES.values()
    for end, other in (_ends(table), _ends(table)[::-1])
]

# --- many edges at once ---------------------------------------------------------------------------------------------

_FOLLOW_ALL = Form(
    "INSERT INTO follows (follower_id, followee_id, id, created_at)"
    " SELECT follower_id, :user_id, id, :now"
    " FROM unnest(CAST(:other_ids AS uuid[]), CAST(:edge_ids AS uuid[])) AS accepted (follower_id, id)",
    {"user_id": _ID, "other_ids": _IDS, "edge_ids": _IDS, "now": sa.DateTime(timezone=True)},
)
_ASK_NO_MORE = Form(
    "DELETE FROM follow_requests WHERE target_id = :user_id AND requester_id = ANY(CAST(:other_ids AS uuid[]))",
    {"user_id": _ID, "other_ids": _IDS},
)
_COUNT_ALL = Form(
    "UPDATE connection_counts SET following = following + 1 WHERE user_id = ANY(CAST(:other_ids AS uuid[]))",
    {"other_ids": _IDS},
)
_LEAVE = [
    sa.text(statement).bindparams(_USER, _OTHERS)
    for statement in (
        "UPDATE connection_counts SET followers = followers - 1 WHERE user_id IN"
        " (SELECT followee_id FROM follows WHERE follower_id = :user_id AND followee_id = ANY(:other_ids))",
        "UPDATE connection_counts SET following = following - 1 WHERE user_id IN"
        " (SELECT follower_id FROM follows WHERE followee_id = :user_id AND follower_id = ANY(:other_ids))",
        "UPDATE connection_counts SET followers = followers -"
        " (SELECT count(*) FROM follows WHERE followee_id = :user_id AND follower_id = ANY(:other_ids)),"
        " following = following -"
        " (SELECT count(*) FROM follows WHERE follower_id = :user_id AND followee_id = ANY(:other_ids))"
        " WHERE user_id = :user_id",
        *(
            f"DELETE FROM {table.name} WHERE {end.name} = :user_id AND {other.name} = ANY(:other_ids)"  # noqa: S608
            for table in _TABLES.values()
            for end, other in (_ends(table), _ends(table)[::-1])
        ),
    )
]

# --- reconciling ----------------------------------------------------------------------------------------------------

_MISSING = sa.text(
    "INSERT INTO connection_counts (user_id) SELECT id FROM profiles"
    " WHERE id > :after AND NOT EXISTS (SELECT FROM connection_counts WHERE user_id = profiles.id)"
    " ORDER BY id LIMIT :most ON CONFLICT DO NOTHING"
).bindparams(sa.bindparam("after", type_=_ID))
_NEXT = (
    sa.select(connection_counts.c.user_id)
    .where(connection_counts.c.user_id > sa.bindparam("after", type_=_ID))
    .order_by(connection_counts.c.user_id)
    .limit(sa.bindparam("most", type_=sa.Integer))
    .with_for_update()
)
_REPAIR = sa.text(
    "UPDATE connection_counts SET followers = found.followers, following = found.following FROM ("
    "SELECT user_id, counts.followers AS followers_was, counts.following AS following_was,"
    " (SELECT count(*) FROM follows WHERE followee_id = user_id) AS followers,"
    " (SELECT count(*) FROM follows WHERE follower_id = user_id) AS following"
    " FROM connection_counts AS counts WHERE user_id = ANY(CAST(:user_ids AS uuid[]))) AS found"
    " WHERE found.user_id = connection_counts.user_id"
    " AND (found.followers, found.following) <> (found.followers_was, found.following_was)"
    " RETURNING found.user_id, followers_was AS followers, following_was AS following,"
    " found.followers AS followers_found, found.following AS following_found"
).bindparams(sa.bindparam("user_ids", type_=_IDS))
_FIRST = UUID(int=0)


class SqlConnections:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def between(self, user_id: UUID, other_id: UUID) -> Connection | None:
        self._hold([user_id, other_id])
        # A statement of its own, after the locks: it has to see what those have done who were waited for.
        found = self._uow.session.execute(_BETWEEN, {"user_id": user_id, "other_id": other_id}).first()
        if found is None:
            return None
        values = dict(found._mapping)
        return Connection(
            user_id=user_id,
            visible=values.pop("visible"),
            approves=values.pop("approves"),
            sequence=values.pop("sequence"),
            relationship=Relationship(other_id, **values),
        )

    def save(self, connection: Connection, *, edge_id: UUID, now: datetime) -> None:
        uow = self._uow
        followers: Counter[UUID] = Counter()
        following: Counter[UUID] = Counter()
        for edge in connection.removed:
            uow.later(_DELETE[edge.kind], source=edge.source, target=edge.target)
        for edge in connection.added:
            source, target = _ends(_TABLES[edge.kind])
            ends = {source.name: edge.source, target.name: edge.target}
            uow.later(_ADD[edge.kind], **ends, id=edge_id, created_at=now)
        for change, edges in ((-1, connection.removed), (1, connection.added)):
            for edge in edges:
                if edge.kind == "follow":
                    following[edge.source] += change
                    followers[edge.target] += change
        for each in sorted(followers.keys() | following.keys()):
            uow.later(_COUNT, user_id=each, followers=followers[each], following=following[each])
        uow.later(_NUMBER, user_id=connection.user_id, sequence=connection.sequence)
        uow.announce(connection)

    def pending(self, user_id: UUID, most: int) -> PendingRequests:
        session, wanted = self._uow.session, {"user_id": user_id, "most": most}
        # Whom to hold is read before anybody is held, and again after: some may have gone meanwhile.
        known = list(session.execute(_PENDING, wanted).scalars())
        self._hold([user_id, *known])
        sequence = session.execute(_OPEN, {"user_id": user_id}).scalar_one_or_none()
        if sequence is None:
            return PendingRequests(user_id, [])
        # Whoever asked before this one had the counts is here; whoever comes later follows at once.
        waiting = list(session.execute(_PENDING, wanted).scalars())
        held = [each for each in waiting if each in set(known)]
        return PendingRequests(user_id, held, sequence, more=len(held) < len(waiting) or len(waiting) == most)

    def settle(self, requests: PendingRequests, *, edge_ids: Sequence[UUID], now: datetime) -> None:
        uow, user_id, others = self._uow, requests.user_id, requests.requester_ids
        uow.later(_FOLLOW_ALL, user_id=user_id, other_ids=others, edge_ids=list(edge_ids), now=now)
        uow.later(_ASK_NO_MORE, user_id=user_id, other_ids=others)
        uow.later(_COUNT_ALL, other_ids=others)
        uow.later(_COUNT, user_id=user_id, followers=len(others), following=0)
        uow.later(_NUMBER, user_id=user_id, sequence=requests.sequence)
        uow.announce(requests)

    def leave(self, user_id: UUID, most: int) -> bool:
        session, wanted = self._uow.session, {"user_id": user_id, "most": most}
        session.execute(_HOLD_ALONE, wanted)
        ends = [list(session.execute(each, wanted).scalars()) for each in _NEIGHBOURS]
        # All of them, though only follows are counted: two who go at once would wait for each other at their edges.
        neighbours = sorted({other for end in ends for other in end})
        session.execute(_HOLD_COUNTS, {"other_ids": [user_id, *neighbours]})
        for statement in _LEAVE:
            session.execute(statement, {"user_id": user_id, "other_ids": neighbours})
        return max(map(len, ends)) < most

    def reconcile(self, after: UUID | None, most: int) -> tuple[list[UUID], list[dict[str, Any]]]:
        session, bounds = self._uow.session, {"after": after or _FIRST, "most": most}
        session.execute(_MISSING, bounds)
        user_ids = list(session.execute(_NEXT, bounds).scalars())
        repaired = session.execute(_REPAIR, {"user_ids": user_ids})
        return user_ids, [dict(row._mapping) for row in repaired]

    def _hold(self, user_ids: list[UUID]) -> None:
        for statement in (_HOLD_PROFILES, _HOLD_COUNTS):
            self._uow.session.execute(statement, {"other_ids": user_ids})
