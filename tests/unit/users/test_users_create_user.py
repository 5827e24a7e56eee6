"""Adding users for others, and looking at users."""

import pytest

from lib.errors import Unavailable
from lib.ids import new_id
from tests.fakes.users import NOON, FakeUnitOfWork, FakeWorld
from users_svc.application.close_profile import close_profile
from users_svc.application.create_user import create_user
from users_svc.application.follow_account import follow_account
from users_svc.application.get_profile import get_profile
from users_svc.application.get_user import get_user
from users_svc.application.open_profile import open_profile
from users_svc.domain.identity import EmailTaken, Identity, InvalidRequestKey, InvitationsClosed, RequestKeyReused
from users_svc.domain.profile import UserNotFound
from users_svc.domain.text import InvalidName

NOBODY = "0190c2f4-7b5a-7c3e-8d2f-1a2b3c4d5e6f"


@pytest.fixture
def world():
    return FakeWorld()


def dying_once(world):
    """A unit of work whose first commit loses its database."""
    deaths = iter([True])

    class Dying(FakeUnitOfWork):
        def commit(self):
            if next(deaths, False):
                raise ConnectionError("the database went away")
            super().commit()

    return lambda: Dying(world.database)


def test_an_added_user_has_an_account_and_a_profile_of_one_id(world):
    user = create_user(world.ports(), email="ann@example.com", name=" Ann ")
    assert (user.email, user.display_name) == ("ann@example.com", "Ann")
    assert world.identities.get_account(user.id) == Identity(user.id, "ann@example.com", "Ann")
    assert list(world.profiles) == [user.id]


def test_the_same_request_key_gives_the_same_user(world):
    first, second = (
        create_user(world.ports(), email="ann@example.com", name="Ann", request_key="one-key") for _ in range(2)
    )
    assert first.id == second.id
    assert len(world.profiles) == 1


def test_without_a_key_every_call_is_a_request_of_its_own(world):
    create_user(world.ports(), email="ann@example.com", name="Ann")
    with pytest.raises(EmailTaken) as refused:
        create_user(world.ports(), email="ANN@example.com", name="Ann")
    assert (refused.value.kind, refused.value.code) == ("conflict", "email_taken")
    bob = create_user(world.ports(), email="bob@example.com", name="Bob")
    assert bob.display_name == "Bob"


def test_a_request_key_of_somebody_else_gives_nobody(world):
    create_user(world.ports(), email="ann@example.com", name="Ann", request_key="one-key")
    with pytest.raises(RequestKeyReused):
        create_user(world.ports(), email="bob@example.com", name="Bob", request_key="one-key")
    assert len(world.profiles) == 1


@pytest.mark.parametrize("request_key", ["", "x" * 256, 7])
def test_a_request_key_that_is_none_is_refused(world, request_key):
    with pytest.raises(InvalidRequestKey) as refused:
        create_user(world.ports(), email="ann@example.com", name="Ann", request_key=request_key)
    assert (refused.value.kind, refused.value.code) == ("invalid", "invalid_request_key")
    assert world.profiles == {}


def test_a_crash_after_the_reservation_is_healed_by_the_same_call(world):
    ports = world.ports(unit_of_work=dying_once(world))
    call = {"email": "ann@example.com", "name": "Ann", "request_key": "one-key"}
    with pytest.raises(ConnectionError):
        create_user(ports, **call)
    assert world.profiles == {}
    user = create_user(ports, **call)
    assert list(world.profiles) == [user.id]


def test_a_crash_after_the_reservation_is_healed_by_the_accounts_event(world):
    with pytest.raises(ConnectionError):
        create_user(
            world.ports(unit_of_work=dying_once(world)), email="ann@example.com", name="Ann", request_key="one-key"
        )
    account = world.identities.reserve_account(email="ann@example.com", name="Ann", request_key="one-key")
    open_profile(
        world.ports(),
        event_id=str(new_id()),
        user_id=str(account.id),
        email=account.email,
        name=account.name,
        sequence=1,
    )
    assert create_user(world.ports(), email="ann@example.com", name="Ann", request_key="one-key").id == account.id
    assert list(world.profiles) == [account.id]


@pytest.mark.parametrize("email", ["ann@example.com", "ANN@example.com", "bob@example.com"])
def test_where_nobody_is_told_who_has_an_account_there_is_no_user_to_see(world, email):
    ann = create_user(world.ports(), email="ann@example.com", name="Ann")
    world.identities.private = True
    assert create_user(world.ports(), email=email, name="Somebody") is None
    assert list(world.profiles) == [ann.id]
    # A free address has its account all the same: the profile comes with the account's event.
    assert world.identities.find(email) is not None


def test_where_invitations_are_closed_only_those_who_may_add_users(world):
    ports = world.ports(open_invitations=False)
    with pytest.raises(InvitationsClosed) as refused:
        create_user(ports, email="ann@example.com", name="Ann")
    assert (refused.value.kind, refused.value.code) == ("forbidden", "invitations_closed")
    assert world.profiles == {}
    assert create_user(ports, email="ann@example.com", name="Ann", may_invite=True).id in world.profiles


def test_a_name_that_is_none_reserves_nothing(world):
    with pytest.raises(InvalidName):
        create_user(world.ports(), email="ann@example.com", name="\x00", request_key="one-key")
    bob = create_user(world.ports(), email="bob@example.com", name="Bob", request_key="one-key")
    assert bob.email == "bob@example.com"


def test_accounts_out_of_reach_leave_nothing_behind(world):
    def unreachable(**_):
        raise Unavailable("auth_svc is away")

    world.identities.reserve_account = unreachable
    with pytest.raises(Unavailable):
        create_user(world.ports(), email="ann@example.com", name="Ann")
    assert world.profiles == {}


def test_anybody_sees_a_users_public_fields(world):
    user = create_user(world.ports(), email="ann@example.com", name="Ann")
    assert get_user(world.ports(), user_id=str(user.id)).fields == {
        "id": user.id,
        "handle": None,
        "display_name": "Ann",
        "avatar_url": None,
        "private": False,
        "created_at": NOON,
    }


@pytest.mark.parametrize("read", [get_user, get_profile])
@pytest.mark.parametrize("user_id", [NOBODY, "me", "", None])
def test_a_user_who_is_not_there_cannot_be_read(world, read, user_id):
    with pytest.raises(UserNotFound):
        read(world.ports(), user_id=user_id)
    assert world.profiles == {}


def test_a_stranger_does_not_cause_a_profile_by_looking(world):
    account = Identity(new_id(), "ann@example.com", "Ann")
    world.identities.add(account)
    with pytest.raises(UserNotFound):
        get_user(world.ports(), user_id=str(account.id))
    assert world.profiles == {}


def test_the_owner_finds_the_profile_before_the_news_of_the_account_came(world):
    account = Identity(new_id(), "ann@example.com", "Ann")
    world.identities.add(account)
    profile = get_profile(world.ports(), user_id=str(account.id))
    assert (profile["id"], profile["email"], profile["display_name"]) == (account.id, "ann@example.com", "Ann")
    assert list(world.profiles) == [account.id]


def test_a_disabled_owner_finds_a_profile_that_nobody_else_sees(world):
    account = Identity(new_id(), "ann@example.com", "Ann", disabled=True)
    world.identities.add(account)
    assert get_profile(world.ports(), user_id=str(account.id))["display_name"] == "Ann"
    with pytest.raises(UserNotFound):
        get_user(world.ports(), user_id=str(account.id))


def test_an_answer_that_was_overtaken_by_events_changes_nothing(world):
    """auth_svc answers, and before the answer is written the events of what has happened since are."""
    account = Identity(new_id(), "ann@example.com", "Ann", disabled=True)
    world.identities.add(account)
    ask = world.identities.get_account

    def slow(user_id):
        answer = ask(user_id)
        news = {"user_id": str(user_id), "sequence": 7}
        follow_account(world.ports(), event_id=str(new_id()), **news, email="new@example.com")
        follow_account(world.ports(), event_id=str(new_id()), **news, disabled=False)
        return answer

    world.identities.get_account = slow
    profile = get_profile(world.ports(), user_id=str(account.id))
    assert (profile["email"], profile["disabled"], profile["display_name"]) == ("new@example.com", False, "Ann")


def test_an_answer_that_comes_after_the_end_of_the_account_brings_nothing_back(world):
    account = Identity(new_id(), "ann@example.com", "Ann")
    world.identities.add(account)
    close_profile(world.ports(), event_id=str(new_id()), user_id=str(account.id))
    with pytest.raises(UserNotFound):
        get_profile(world.ports(), user_id=str(account.id))
    assert (world.profiles, world.accounts) == ({}, {})


def test_a_user_who_is_deleted_while_being_added_is_not_there(world):
    reserve = world.identities.reserve_account

    def slow(**asked):
        account = reserve(**asked)
        close_profile(world.ports(), event_id=str(new_id()), user_id=str(account.id))
        return account

    world.identities.reserve_account = slow
    with pytest.raises(UserNotFound):
        create_user(world.ports(), email="ann@example.com", name="Ann")
    assert world.profiles == {}


def test_a_profile_that_is_there_is_read_without_asking_for_the_account(world):
    user = create_user(world.ports(), email="ann@example.com", name="Ann")

    def unreachable(_):
        raise Unavailable("auth_svc is away")

    world.identities.get_account = unreachable
    assert get_profile(world.ports(), user_id=str(user.id))["id"] == user.id


def test_an_identity_in_a_log_line_tells_no_personal_data():
    account = Identity(new_id(), "ann@example.com", "Ann")
    assert repr(account) == f"Identity(id={account.id!r}, disabled=False)"
