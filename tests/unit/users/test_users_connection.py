"""What an act between two people changes, for every state that the two can be in."""

from itertools import product
from uuid import UUID

import pytest

from lib.ids import new_id
from users_svc.domain.connection import (
    Blocking,
    Connection,
    Edge,
    FollowRequestNotFound,
    NotOneself,
    PendingRequests,
    check_not_oneself,
    connections_of,
)
from users_svc.domain.profile import UserNotFound
from users_svc.domain.relationship import Relationship

ANN, BOB = new_id(), new_id()
FLAGS = ("following", "followed_by", "requested", "requested_by", "blocking", "muting")
EDGES = {
    "following": Edge("follow", ANN, BOB),
    "followed_by": Edge("follow", BOB, ANN),
    "requested": Edge("request", ANN, BOB),
    "requested_by": Edge("request", BOB, ANN),
    "blocking": Edge("block", ANN, BOB),
    "muting": Edge("mute", ANN, BOB),
}
ACTS = ("follow", "unfollow", "block", "unblock", "mute", "unmute", "accept", "reject")


def between(*, visible=True, approves=False, sequence=0, **known):
    return Connection(ANN, Relationship(BOB, **known), visible=visible, approves=approves, sequence=sequence)


def is_legal(flags):
    follows = {"following", "followed_by", "requested", "requested_by"} & flags
    return (
        not {"following", "requested"} <= flags
        and not {"followed_by", "requested_by"} <= flags
        and not ("blocking" in flags and follows)
    )


STATES = [
    state
    for bits in product((False, True), repeat=len(FLAGS))
    if is_legal(state := frozenset(name for name, bit in zip(FLAGS, bits, strict=True) if bit))
]


def outcome(act, state, *, approves, visible):
    """Return the flags after an act and the events, or the refusal."""
    connection = between(visible=visible, approves=approves, sequence=6, **dict.fromkeys(state, True))
    try:
        getattr(connection, act)()
    except (UserNotFound, Blocking, FollowRequestNotFound) as refusal:
        assert not connection.changed
        assert connection.pull_events() == []
        return refusal.code
    before = {EDGES[name] for name in state}
    assert len(connection.added) <= 1
    assert {*connection.removed} <= before
    assert not before & {*connection.added}
    flags = {name for name, edge in EDGES.items() if edge in before - {*connection.removed} | {*connection.added}}
    events = [(number, event.type) for number, event in connection.pull_events()]
    assert connection.changed or not events
    return flags, [each for _, each in events], [number for number, _ in events]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("approves", [False, True])
@pytest.mark.parametrize("visible", [False, True])
def test_every_act_in_every_state_leaves_a_legal_one_and_once_is_as_good_as_twice(act, approves, visible):
    assert len(STATES) == 20
    for state in STATES:
        result = outcome(act, state, approves=approves, visible=visible)
        if isinstance(result, str):
            continue
        flags, events, numbers = result
        assert is_legal(flags), (state, flags)
        assert len(events) <= 1
        assert numbers == [7] * len(events)
        again = outcome(act, frozenset(flags), approves=approves, visible=visible)
        assert again == (flags, [], []), (state, flags)


@pytest.mark.parametrize(
    ("act", "before", "after", "events"),
    [
        ("follow", "", "following", ["user.followed"]),
        ("follow", "followed_by muting", "following followed_by muting", ["user.followed"]),
        ("follow", "requested", "following", ["user.followed"]),
        ("follow", "following", "following", []),
        ("unfollow", "following muting", "muting", ["user.unfollowed"]),
        ("unfollow", "requested", "", []),
        ("unfollow", "", "", []),
        ("block", "following followed_by muting", "blocking", ["user.blocked"]),
        ("block", "requested requested_by", "blocking", ["user.blocked"]),
        ("block", "blocking muting", "blocking muting", []),
        ("unblock", "blocking", "", []),
        ("unblock", "following", "following", []),
        ("mute", "following", "following muting", []),
        ("mute", "muting", "muting", []),
        ("unmute", "muting blocking", "blocking", []),
        ("accept", "requested_by", "followed_by", ["user.follow_accepted"]),
        ("accept", "followed_by", "followed_by", []),
        ("accept", "", "follow_request_not_found", None),
        ("accept", "following", "follow_request_not_found", None),
        ("reject", "requested_by following", "following", []),
        ("reject", "followed_by", "followed_by", []),
        ("follow", "blocking", "blocking", None),
    ],
)
def test_what_an_act_does(act, before, after, events):
    result = outcome(act, frozenset(before.split()), approves=False, visible=True)
    if events is None:
        assert result == after
    else:
        assert result[:2] == (set(after.split()), events)


@pytest.mark.parametrize(
    ("before", "after", "events"),
    [
        ("", "requested", ["user.follow_requested"]),
        ("requested", "requested", []),
        ("following", "following", []),
        ("followed_by", "followed_by requested", ["user.follow_requested"]),
    ],
)
def test_who_chooses_their_followers_is_asked(before, after, events):
    result = outcome("follow", frozenset(before.split()), approves=True, visible=True)
    assert result[:2] == (set(after.split()), events)


@pytest.mark.parametrize("state", STATES, ids=" ".join)
def test_to_who_cannot_be_seen_nothing_is_done_and_to_take_back_always_succeeds(state):
    undone = {"unfollow": ("following", "requested"), "unblock": ("blocking",), "unmute": ("muting",)}
    undone["reject"] = ("requested_by",)
    for act in ACTS:
        result = outcome(act, state, approves=False, visible=False)
        if act not in undone:
            assert result == "user_not_found", act
            continue
        mine = state & {*undone[act]}
        told = "following" in mine
        assert result == (state - mine, ["user.unfollowed"] * told, [7] * told), act


def test_nothing_is_done_to_oneself():
    with pytest.raises(NotOneself):
        check_not_oneself(ANN, ANN)
    check_not_oneself(ANN, BOB)


def test_all_who_wait_are_accepted_in_their_order():
    others = [new_id() for _ in range(3)]
    requests = PendingRequests(ANN, others, sequence=4)
    requests.accept_all()
    events = requests.pull_events()
    assert [number for number, _ in events] == [5, 6, 7]
    assert [event.requester_id for _, event in events] == [str(each) for each in others]
    assert {event.target_id for _, event in events} == {str(ANN)}


def test_the_events_of_connections_have_a_subject_that_is_nobodys_id_and_always_the_same():
    connection, requests = between(), PendingRequests(ANN, [BOB])
    assert connection.id == requests.id == connections_of(UUID(str(ANN)))
    assert connection.id not in (ANN, BOB, connections_of(BOB))


def test_who_is_in_a_connection_is_in_no_log():
    assert str(BOB) not in repr(between())
