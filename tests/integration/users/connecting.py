"""What the tests of connections look at: the edges, the counts, the events; and all acts by name."""

from __future__ import annotations

import sqlalchemy as sa

from users_svc.application.accept_follow_request import accept_follow_request
from users_svc.application.block_user import block_user
from users_svc.application.follow_user import follow_user
from users_svc.application.mute_user import mute_user
from users_svc.application.reject_follow_request import reject_follow_request
from users_svc.application.unblock_user import unblock_user
from users_svc.application.unfollow_user import unfollow_user
from users_svc.application.unmute_user import unmute_user
from users_svc.infrastructure.tables import blocks, connection_counts, follow_requests, follows, mutes, outbox

TABLES = {"follow": follows, "request": follow_requests, "block": blocks, "mute": mutes}
ACTS = {
    "follow": follow_user,
    "unfollow": unfollow_user,
    "block": block_user,
    "unblock": unblock_user,
    "mute": mute_user,
    "unmute": unmute_user,
    "accept": accept_follow_request,
    "reject": reject_follow_request,
}


UNDONE = ("unfollow", "unblock", "unmute", "reject")
"""Acts that take something back."""


def do(ports, act, user_id, other_id):
    """Let `user_id` do what `act` names to `other_id`."""
    other = "requester_id" if act in ("accept", "reject") else "target_id"
    ACTS[act](ports, user_id=str(user_id), **{other: str(other_id)})


def edges(sessions):
    """Return all edges as ``(kind, source, target)``."""
    with sessions() as session:
        return {
            (kind, *row)
            for kind, table in TABLES.items()
            for row in session.execute(sa.select(*list(table.columns)[:2]))
        }


def counts(sessions):
    """Return ``{user id: (followers, following)}``."""
    with sessions() as session:
        query = sa.select(connection_counts.c.user_id, connection_counts.c.followers, connection_counts.c.following)
        return {row.user_id: (row.followers, row.following) for row in session.execute(query)}


def counted(sessions):
    """Return what the counts should be, by the edges."""
    follow = [each for each in edges(sessions) if each[0] == "follow"]
    return {
        user_id: (sum(each[2] == user_id for each in follow), sum(each[1] == user_id for each in follow))
        for user_id in counts(sessions)
    }


def events(sessions):
    """Return the envelopes of all events, oldest first."""
    with sessions() as session:
        return list(session.execute(sa.select(outbox.c.envelope).order_by(outbox.c.position)).scalars())


def illegal(found):
    """Return what must not be among edges: a block beside a follow or a request, a request beside its follow."""
    pairs = {kind: {each[1:] for each in found if each[0] == kind} for kind in TABLES}
    both_ways = pairs["block"] | {pair[::-1] for pair in pairs["block"]}
    return (
        both_ways & (pairs["follow"] | pairs["request"])
        | pairs["follow"] & pairs["request"]
        | {pair for pair in pairs["block"] if pair[::-1] in pairs["block"]}
    )


class Model:
    """What should be so, by rules that are written down here once more.

    `act` returns the code of a refusal, or None.
    """

    def __init__(self):
        self.edges, self.private, self.disabled = set(), set(), set()

    def act(self, act, a, b):
        here, there = ((kind, a, b) for kind in ("follow", "block")), ("request", b, a)
        follow, block = here
        request, mute = ("request", a, b), ("mute", a, b)
        undone = {"unfollow": (follow, request), "unblock": (block,), "unmute": (mute,), "reject": (there,)}
        if a == b:
            return "not_oneself"
        if act in undone:
            self.edges -= set(undone[act])
            return None
        if b in self.disabled or ("block", b, a) in self.edges:
            return "user_not_found"
        if act == "follow":
            if block in self.edges:
                return "blocking"
            if follow not in self.edges:
                self.edges.discard(request)
                self.edges.add(request if b in self.private else follow)
        elif act == "block":
            gone = {(kind, *pair) for kind in ("follow", "request") for pair in ((a, b), (b, a))}
            if block not in self.edges:
                self.edges = self.edges - gone - {mute} | {block}
        elif act == "mute":
            self.edges.add(mute)
        elif act == "accept" and there in self.edges:
            self.edges.remove(there)
            self.edges.add(("follow", b, a))
        elif act == "accept" and ("follow", b, a) not in self.edges:
            return "follow_request_not_found"
        return None
