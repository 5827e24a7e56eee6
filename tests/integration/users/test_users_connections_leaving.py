"""Connections of people who come and go, on PostgreSQL."""

from dataclasses import replace

import pytest

from lib.ids import new_id
from tests.integration.users.connecting import counts, do, edges
from users_svc.application.close_profile import close_profile
from users_svc.application.follow_user import follow_user
from users_svc.domain.identity import Identity
from users_svc.domain.profile import UserNotFound


@pytest.fixture
def ann(person):
    return person(name="Ann")


@pytest.fixture
def bob(person):
    return person(name="Bob")


@pytest.fixture
def shy(person):
    return person(name="Shy", private=True)


def test_who_has_only_just_registered_can_follow(users_sessions, ports, bob):
    account = Identity(new_id(), "new@example.com", "New")
    ports.identities.add(account)
    do(ports, "follow", account.id, bob)
    assert edges(users_sessions) == {("follow", account.id, bob)}


@pytest.mark.parametrize("known", [True, False])
def test_who_has_no_account_any_more_follows_nobody(users_sessions, ports, ann, bob, known):
    close_profile(ports, event_id=str(new_id()), user_id=str(ann))
    if known:
        ports.identities.add(Identity(ann, "ann@example.com", "Ann"))
    with pytest.raises(UserNotFound):
        do(ports, "follow", ann, bob)
    assert edges(users_sessions) == set()


def test_with_a_deleted_account_all_its_edges_go_and_the_others_counts_follow(users_sessions, ports, ann, bob, shy):
    for acting, act, target in (
        (ann, "follow", bob),
        (bob, "follow", ann),
        (shy, "follow", ann),
        (ann, "follow", shy),
        (bob, "follow", shy),
        (ann, "mute", bob),
        (shy, "mute", ann),
        (shy, "follow", bob),
        (shy, "block", ann),
    ):
        do(ports, act, acting, target)
    do(ports, "follow", bob, ann)
    close_profile(ports, event_id=str(new_id()), user_id=str(ann))
    assert edges(users_sessions) == {("request", bob, shy), ("follow", shy, bob)}
    assert counts(users_sessions) == {bob: (1, 0), shy: (0, 1)}


def test_who_is_deleted_at_the_same_moment_does_nothing(ports, person, users_sessions):
    """Their profile was just opened, as no news of them had come yet; now it is gone again."""
    bob, ann = person("Bob"), new_id()
    ports.identities.add(Identity(ann, "ann@example.com", "Ann"))
    units = []

    def unit_of_work():
        units.append(True)
        # The first look, the opening, the second look.
        if len(units) == 3:
            close_profile(ports, event_id=str(new_id()), user_id=str(ann))
        return ports.unit_of_work()

    with pytest.raises(UserNotFound):
        follow_user(replace(ports, unit_of_work=unit_of_work), user_id=str(ann), target_id=str(bob))
    assert len(units) == 3
    assert edges(users_sessions) == set()
