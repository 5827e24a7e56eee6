"""Each act between two people, on PostgreSQL: edges, counts and events."""

import pytest
import sqlalchemy as sa

from lib.ids import new_id
from tests.integration.users.connecting import ACTS, UNDONE, counted, counts, do, edges, events
from users_svc.application.close_profile import close_profile
from users_svc.application.settle_requests import settle_requests
from users_svc.domain.connection import Blocking, FollowRequestNotFound, NotOneself, connections_of
from users_svc.domain.profile import UserNotFound
from users_svc.infrastructure.tables import preference_records, profiles


@pytest.fixture
def ann(person):
    return person(name="Ann")


@pytest.fixture
def bob(person):
    return person(name="Bob")


@pytest.fixture
def shy(person):
    return person(name="Shy", private=True)


@pytest.fixture(autouse=True)
def exact(users_sessions):
    """Whatever a test does, the counts are those of the edges."""
    yield
    assert counts(users_sessions) == counted(users_sessions)


def of(user_id):
    """Return the subject of the events of a person's connections."""
    return str(connections_of(user_id))


def types(sessions):
    return [each["type"] for each in events(sessions)]


@pytest.fixture
def disable(users_sessions):
    def make(user_id, disabled=True):
        with users_sessions() as session:
            session.execute(sa.update(profiles).where(profiles.c.id == user_id).values(disabled=disabled))
            session.commit()

    return make


# --- follow ---


def test_a_follow_twice_is_one_edge_one_count_and_one_event(users_sessions, ports, ann, bob):
    do(ports, "follow", ann, bob)
    do(ports, "follow", ann, bob)
    assert edges(users_sessions) == {("follow", ann, bob)}
    assert counts(users_sessions) == {ann: (0, 1), bob: (1, 0)}
    (event,) = events(users_sessions)
    assert (event["type"], event["subject"], event["sequence"]) == ("user.followed", of(ann), 1)
    assert event["data"] == {"follower_id": str(ann), "followee_id": str(bob)}


def test_an_unfollow_twice_takes_one_edge_and_tells_once(users_sessions, ports, ann, bob):
    do(ports, "follow", ann, bob)
    do(ports, "unfollow", ann, bob)
    do(ports, "unfollow", ann, bob)
    assert edges(users_sessions) == set()
    assert counts(users_sessions) == {ann: (0, 0), bob: (0, 0)}
    assert types(users_sessions) == ["user.followed", "user.unfollowed"]


def test_the_events_of_one_person_are_numbered_without_a_gap(users_sessions, ports, ann, bob, person):
    other = person()
    for act, target in (("follow", bob), ("follow", other), ("mute", other), ("unfollow", bob), ("block", other)):
        do(ports, act, ann, target)
    do(ports, "follow", bob, ann)
    found = [(each["subject"], each["sequence"]) for each in events(users_sessions)]
    assert found == [(of(ann), 1), (of(ann), 2), (of(ann), 3), (of(ann), 4), (of(bob), 1)]


@pytest.mark.parametrize("act", sorted(ACTS))
def test_nothing_can_be_done_to_oneself(users_sessions, ports, ann, act):
    with pytest.raises(NotOneself):
        do(ports, act, ann, ann)
    with pytest.raises(NotOneself):
        do(ports, act, ann, str(ann).upper())
    assert edges(users_sessions) == set()


@pytest.mark.parametrize("other", ["unknown", "no id", "disabled", "blocking", "deleted"])
@pytest.mark.parametrize("act", sorted(ACTS))
def test_somebody_who_is_not_there_for_the_acting_person_is_not_found(
    users_sessions, ports, ann, bob, disable, act, other
):
    if other == "disabled":
        disable(bob)
    elif other == "blocking":
        do(ports, "block", bob, ann)
    elif other == "deleted":
        close_profile(ports, event_id=str(new_id()), user_id=str(bob))
    before = edges(users_sessions), types(users_sessions)
    target = {"unknown": new_id(), "no id": "%s'--"}.get(other, bob)
    if act in UNDONE and other != "no id":
        # Whoever it is: there is nothing any more that could be taken back.
        do(ports, act, ann, target)
    else:
        with pytest.raises(UserNotFound) as refusal:
            do(ports, act, ann, target)
        assert (refusal.value.message, refusal.value.details) == ("there is no such user", {})
    assert (edges(users_sessions), types(users_sessions)) == before


def test_what_oneself_has_done_can_be_taken_back_from_a_disabled_account(users_sessions, ports, ann, bob, shy, disable):
    for act, target in (("follow", bob), ("mute", bob), ("follow", shy)):
        do(ports, act, ann, target)
    disable(bob)
    disable(shy)
    for act, target in (("unfollow", bob), ("unmute", bob), ("unfollow", shy)) * 2:
        do(ports, act, ann, target)
    assert edges(users_sessions) == set()


def test_a_mute_can_be_taken_back_from_somebody_who_blocks(users_sessions, ports, ann, bob):
    do(ports, "mute", ann, bob)
    do(ports, "block", bob, ann)
    do(ports, "unmute", ann, bob)
    assert edges(users_sessions) == {("block", bob, ann)}
    do(ports, "unmute", ann, bob)
    do(ports, "unblock", bob, ann)
    assert edges(users_sessions) == set()


def test_a_mute_outlives_the_others_block_so_that_its_end_tells_nothing(users_sessions, ports, ann, bob):
    do(ports, "mute", ann, bob)
    do(ports, "block", bob, ann)
    do(ports, "unblock", bob, ann)
    assert edges(users_sessions) == {("mute", ann, bob)}


# --- requests ---


def test_a_private_account_is_asked_and_accepts(users_sessions, ports, ann, shy):
    do(ports, "follow", ann, shy)
    do(ports, "follow", ann, shy)
    assert edges(users_sessions) == {("request", ann, shy)}
    assert counts(users_sessions) == {ann: (0, 0), shy: (0, 0)}
    do(ports, "accept", shy, ann)
    do(ports, "accept", shy, ann)
    assert edges(users_sessions) == {("follow", ann, shy)}
    asked, accepted = events(users_sessions)
    ends = {"requester_id": str(ann), "target_id": str(shy)}
    assert (asked["type"], asked["subject"], asked["data"]) == ("user.follow_requested", of(ann), ends)
    assert (accepted["type"], accepted["subject"], accepted["data"]) == ("user.follow_accepted", of(shy), ends)


def test_a_request_is_rejected_in_silence_and_may_be_made_again(users_sessions, ports, ann, shy):
    do(ports, "follow", ann, shy)
    do(ports, "reject", shy, ann)
    do(ports, "reject", shy, ann)
    assert edges(users_sessions) == set()
    do(ports, "follow", ann, shy)
    assert edges(users_sessions) == {("request", ann, shy)}
    assert types(users_sessions) == ["user.follow_requested"] * 2


def test_a_request_is_taken_back_by_unfollowing(users_sessions, ports, ann, shy):
    do(ports, "follow", ann, shy)
    do(ports, "unfollow", ann, shy)
    assert edges(users_sessions) == set()
    with pytest.raises(FollowRequestNotFound):
        do(ports, "accept", shy, ann)


def test_nobody_is_accepted_who_has_not_asked(users_sessions, ports, ann, shy):
    with pytest.raises(FollowRequestNotFound):
        do(ports, "accept", shy, ann)
    do(ports, "follow", shy, ann)
    with pytest.raises(FollowRequestNotFound):
        do(ports, "accept", shy, ann)
    assert edges(users_sessions) == {("follow", shy, ann)}


def test_a_private_account_that_accepts_everybody_is_followed_at_once(users_sessions, ports, ann, bob, shy):
    do(ports, "follow", bob, shy)
    with users_sessions() as session:
        data = {"auto_accept_follow_requests": True}
        session.execute(
            sa.insert(preference_records).values(
                user_id=shy, kind="settings", schema_version=1, version=1, updated_at=ports.now(), data=data
            )
        )
        session.commit()
    do(ports, "follow", ann, shy)
    do(ports, "follow", bob, shy)
    assert edges(users_sessions) == {("follow", ann, shy), ("follow", bob, shy)}
    assert types(users_sessions) == ["user.follow_requested", "user.followed", "user.followed"]


def settle(ports, user_id, **changes):
    with ports.unit_of_work() as uow:
        uow.session.execute(sa.update(profiles).where(profiles.c.id == user_id).values(**changes))
        uow.commit()
    settle_requests(ports, user_id=str(user_id))


def test_who_waits_follows_once_the_account_is_public(users_sessions, ports, ann, bob, shy, person):
    other = person(private=True)
    for asking, target in ((ann, shy), (bob, shy), (ann, other)):
        do(ports, "follow", asking, target)
    settle(ports, shy, private=False)
    assert edges(users_sessions) == {("follow", ann, shy), ("follow", bob, shy), ("request", ann, other)}
    accepted = [each for each in events(users_sessions) if each["type"] == "user.follow_accepted"]
    assert [(each["subject"], each["sequence"]) for each in accepted] == [(of(shy), 1), (of(shy), 2)]
    assert [each["data"]["requester_id"] for each in accepted] == [str(ann), str(bob)]
    do(ports, "block", shy, ann)
    assert events(users_sessions)[-1]["sequence"] == 3


def test_where_nobody_waits_nothing_is_settled(users_sessions, ports, shy):
    settle(ports, shy, private=False)
    settle(ports, new_id(), private=False)
    assert (edges(users_sessions), events(users_sessions)) == (set(), [])


def test_followers_stay_when_an_account_becomes_private(users_sessions, ports, ann, bob, shy):
    do(ports, "follow", ann, bob)
    with users_sessions() as session:
        session.execute(sa.update(profiles).where(profiles.c.id == bob).values(private=True))
        session.commit()
    do(ports, "follow", ann, bob)
    do(ports, "follow", shy, bob)
    assert edges(users_sessions) == {("follow", ann, bob), ("request", shy, bob)}


# --- block and mute ---


def test_a_block_ends_follows_requests_and_the_own_mute(users_sessions, ports, ann, bob, shy):
    for acting, act, target in (
        (ann, "follow", bob),
        (bob, "follow", ann),
        (ann, "mute", bob),
        (bob, "mute", ann),
        (bob, "follow", shy),
        (shy, "follow", bob),
    ):
        do(ports, act, acting, target)
    seen = len(events(users_sessions))
    do(ports, "block", ann, bob)
    do(ports, "block", ann, bob)
    do(ports, "block", shy, bob)
    assert edges(users_sessions) == {("block", ann, bob), ("mute", bob, ann), ("block", shy, bob)}
    assert counts(users_sessions) == {ann: (0, 0), bob: (0, 0), shy: (0, 0)}
    told = events(users_sessions)[seen:]
    assert [(each["type"], each["subject"]) for each in told] == [
        ("user.blocked", of(ann)),
        ("user.blocked", of(shy)),
    ]
    assert told[0]["data"] == {"blocker_id": str(ann), "blocked_id": str(bob)}


def test_nobody_follows_whom_they_block_until_they_unblock(users_sessions, ports, ann, bob):
    do(ports, "follow", bob, ann)
    do(ports, "block", ann, bob)
    with pytest.raises(Blocking):
        do(ports, "follow", ann, bob)
    do(ports, "unblock", ann, bob)
    do(ports, "unblock", ann, bob)
    assert edges(users_sessions) == set()
    do(ports, "follow", ann, bob)
    assert edges(users_sessions) == {("follow", ann, bob)}


def test_unblocking_and_muting_have_no_event(users_sessions, ports, ann, bob):
    for act in ("block", "unblock", "mute", "mute", "unmute", "unmute"):
        do(ports, act, ann, bob)
    assert edges(users_sessions) == set()
    assert types(users_sessions) == ["user.blocked"]


def test_no_event_of_a_block_or_mute_has_the_blocked_or_muted_one_as_its_subject(users_sessions, ports, ann, bob):
    """What is sent to somebody is chosen by the subject; see also the routing in docs/users.md."""
    for act in ("mute", "block", "unblock"):
        do(ports, act, ann, bob)
    assert {each["subject"] for each in events(users_sessions)} == {of(ann)}
