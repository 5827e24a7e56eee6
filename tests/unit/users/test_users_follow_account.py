"""A profile and its account's life: told in any order, more than once, before there is a profile and after its end."""

from datetime import timedelta
from itertools import permutations
from uuid import UUID

import pytest

from lib.ids import new_id
from tests.fakes.users import NOON, FakeUnitOfWork, FakeWorld
from users_svc.application.close_profile import close_profile
from users_svc.application.follow_account import follow_account
from users_svc.application.get_profile import get_profile
from users_svc.application.get_user import get_user
from users_svc.application.open_profile import open_profile
from users_svc.domain.identity import Identity
from users_svc.domain.profile import UserNotFound

ANN = str(new_id())


@pytest.fixture
def world():
    return FakeWorld()


def registered(sequence=1, *, email="ann@example.com", name="Ann"):
    event = {"event_id": str(new_id()), "user_id": ANN, "sequence": sequence, "email": email, "name": name}
    return lambda world: open_profile(world.ports(), **event)


def told(sequence, **facts):
    event = {"event_id": str(new_id()), "user_id": ANN, "sequence": sequence, **facts}
    return lambda world: follow_account(world.ports(), **event)


def deleted():
    event = {"event_id": str(new_id()), "user_id": ANN}
    return lambda world: close_profile(world.ports(), **event)


def asked(*, email="ann@example.com", name="Ann", disabled=False):
    """The owner looks at the profile, and auth_svc is asked if it is not there."""

    def ask(world):
        world.identities.add(Identity(UUID(ANN), email, name, disabled=disabled))
        return get_profile(world.ports(), user_id=ANN)

    return ask


def seen(world, **viewer):
    try:
        return get_user(world.ports(), user_id=ANN, **viewer).fields["display_name"]
    except UserNotFound:
        return None


def only_profile(world):
    (profile,) = world.profiles.values()
    return profile


def test_a_disabled_accounts_profile_is_hidden_and_shown_again(world):
    registered()(world)
    assert seen(world) == "Ann"
    told(2, disabled=True)(world)
    assert seen(world) is None
    assert seen(world, viewer_id=str(new_id())) is None
    assert seen(world, viewer_id=ANN) == seen(world, is_admin=True) == "Ann"
    assert get_profile(world.ports(), user_id=ANN)["email"] == "ann@example.com"
    told(3, disabled=False)(world)
    assert seen(world) == "Ann"


def test_the_address_follows(world):
    registered()(world)
    world.time = NOON + timedelta(hours=1)
    told(2, email="ann@example.org")(world)
    assert (only_profile(world).email, only_profile(world).updated_at) == ("ann@example.org", world.time)


def test_a_claim_brings_address_and_name(world):
    registered(name="A.", email="a@example.com")(world)
    told(2, email="ann@example.com", name="Ann")(world)
    assert (only_profile(world).email, only_profile(world).display_name) == ("ann@example.com", "Ann")


def test_a_claim_leaves_a_name_that_the_owner_chose(world):
    registered(name="A.")(world)
    only_profile(world).display_name = "Annie"
    told(2, email="ann@example.org", name="Ann")(world)
    assert (only_profile(world).email, only_profile(world).display_name) == ("ann@example.org", "Annie")


def test_a_claim_that_comes_first_opens_the_profile(world):
    told(2, email="ann@example.com", name="Ann")(world)
    assert seen(world) == "Ann"
    registered(name="A.", email="a@example.com")(world)
    assert (only_profile(world).email, only_profile(world).display_name) == ("ann@example.com", "Ann")


def test_what_comes_before_the_profile_waits_for_it(world):
    told(5, email="ann@example.org")(world)
    told(6, disabled=True)(world)
    assert world.profiles == {}
    registered()(world)
    assert (only_profile(world).email, only_profile(world).display_name) == ("ann@example.org", "Ann")
    assert seen(world) is None


def test_an_account_that_was_disabled_before_it_was_heard_of_is_hidden_from_the_start(world):
    asked(disabled=True)(world)
    assert seen(world) is None
    registered()(world)
    assert seen(world) is None
    told(3, disabled=False)(world)
    assert seen(world) == "Ann"


def test_an_old_event_does_not_show_what_a_newer_one_has_hidden(world):
    registered()(world)
    told(5, disabled=True)(world)
    told(4, disabled=False)(world)
    assert seen(world) is None


def test_an_event_counts_once(world):
    registered()(world)
    once = told(2, email="ann@example.org")
    once(world)
    before = world.database.committed
    once(world)
    assert world.database.committed is before


def test_the_end_of_an_account_leaves_a_tombstone_and_nothing_else(world):
    registered()(world)
    world.time = NOON + timedelta(days=30)
    deleted()(world)
    assert (world.profiles, world.accounts) == ({}, {})
    assert world.tombstones == {UUID(ANN): world.time}
    assert seen(world, is_admin=True) is None


@pytest.mark.parametrize(
    "late",
    [registered(9), told(9, email="x@example.com"), told(9, disabled=False), told(9, email="x@example.com", name="X")],
    ids=["registered", "email", "enabled", "claimed"],
)
def test_nothing_brings_a_deleted_profile_back(world, late):
    deleted()(world)
    late(world)
    assert (world.profiles, world.accounts, list(world.tombstones)) == ({}, {}, [UUID(ANN)])


def test_an_account_ends_once(world):
    end = deleted()
    end(world)
    world.time = NOON + timedelta(days=30)
    end(world)
    deleted()(world)
    assert world.tombstones == {UUID(ANN): NOON}


def test_others_are_left_alone(world):
    bob = Identity(new_id(), "bob@example.com", "Bob")
    world.identities.add(bob)
    get_profile(world.ports(), user_id=str(bob.id))
    told(2, disabled=True)(world)
    deleted()(world)
    assert get_user(world.ports(), user_id=str(bob.id)).fields["display_name"] == "Bob"


@pytest.mark.parametrize("handle", [told(2, disabled=True), deleted()], ids=["disabled", "deleted"])
def test_an_event_that_fails_on_the_way_is_taken_up_again(world, handle):
    registered()(world)

    class Dying(FakeUnitOfWork):
        def commit(self):
            raise ConnectionError("the database went away")

    failing = FakeWorld(world.database)
    failing.ports = lambda: FakeWorld.ports(failing, unit_of_work=lambda: Dying(world.database))
    with pytest.raises(ConnectionError):
        handle(failing)
    assert seen(world) == "Ann"
    handle(world)
    assert seen(world) is None


def outcome(order):
    world = FakeWorld()
    for event in order:
        try:
            event(world)
        except UserNotFound:
            continue
    return [(each.email, each.display_name, each.disabled, seen(world)) for each in world.profiles.values()], [
        *world.tombstones
    ]


def test_every_order_of_a_life_ends_the_same():
    life = [
        registered(name="A."),
        told(2, email="ann@example.com", name="Ann"),
        told(3, email="ann@example.org"),
        told(4, disabled=True),
        told(5, disabled=False),
    ]
    for order in permutations(life):
        assert outcome(order) == ([("ann@example.org", "Ann", False, "Ann")], [])
        assert outcome([*order, *order[::-1], told(6, disabled=True)]) == ([("ann@example.org", "Ann", True, None)], [])


def test_every_order_of_a_life_that_ends_ends_the_same():
    life = [registered(), told(2, email="ann@example.org"), told(3, disabled=True), told(4, disabled=False), deleted()]
    for order in permutations(life):
        assert outcome(order) == ([], [UUID(ANN)])


def test_an_owner_who_looks_at_any_moment_does_not_change_the_end():
    """auth_svc answers with what is so by then: the account is disabled and has its second address."""
    life = [
        registered(),
        told(2, email="ann@example.org"),
        told(3, disabled=True),
        asked(email="ann@example.org", disabled=True),
    ]
    for order in permutations(life):
        assert outcome(order) == ([("ann@example.org", "Ann", True, None)], [])
