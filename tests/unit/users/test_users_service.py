"""The RPC methods: who may call them, and what comes back."""

import inspect
import json
from datetime import date
from uuid import UUID

import pytest
from click.testing import CliRunner

from lib.context import ANONYMOUS, SYSTEM, Actor, NotAllowed, NotSignedIn
from lib.ids import new_id
from tests.fakes.users import FakeUnitOfWork, FakeWorld
from users_svc.application.open_profile import profile_of
from users_svc.domain.identity import Identity, InvitationsClosed
from users_svc.domain.profile import UserNotFound
from users_svc.domain.profile_edit import ProfileChanged
from users_svc.presentation.cli import commands
from users_svc.presentation.service import UsersService

ANN = "0190c2f4-7b5a-7c3e-8d2f-1a2b3c4d5e6f"
OWN_PROFILE = {
    "id": ANN,
    "email": "ann@example.com",
    "handle": None,
    "display_name": "Ann",
    "bio": None,
    "avatar_url": None,
    "location": None,
    "website": None,
    "birth_date": None,
    "locale": None,
    "time_zone": None,
    "visibility": {},
    "discoverable": True,
    "findable_by_email": False,
    "private": False,
    "version": 1,
    "followers_count": 0,
    "following_count": 0,
    "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:00Z",
}


def account(*roles, user_id=ANN):
    return Actor("account", id=user_id, roles=frozenset(roles))


@pytest.fixture
def world():
    world = FakeWorld()
    world.identities.add(Identity(UUID(ANN), "ann@example.com", "Ann"))
    return world


@pytest.fixture
def service(world):
    service = UsersService()
    service.ports, service.caller = world.ports(), ANONYMOUS
    return service


def entrypoint(method):
    (found,) = getattr(UsersService, method).nameko_entrypoints
    return found


def test_the_owner_reads_the_whole_profile(service):
    profile = service.get_profile(user_id=ANN)
    assert profile == OWN_PROFILE
    assert json.loads(json.dumps(profile)) == profile


def test_a_profile_that_is_filled_in_comes_as_text(world, service):
    service.get_profile(user_id=ANN)
    (stored,) = world.profiles.values()
    stored.birth_date = date(1990, 2, 28)
    assert service.get_profile(user_id=ANN)["birth_date"] == "1990-02-28"


SHOWN = ("id", "handle", "display_name", "avatar_url", "private", "created_at", "followers_count", "following_count")
STRANGER = "0190c2f4-7b5a-7c3e-8d2f-000000000000"


def test_everybody_else_reads_the_public_fields(service):
    service.get_profile(user_id=ANN)
    shown = {name: OWN_PROFILE[name] for name in SHOWN}
    assert service.get_user(user_id=ANN) == shown | {"relationship": None}
    service.caller = account(user_id=STRANGER)
    nothing = ("following", "followed_by", "requested", "requested_by", "blocking", "muting")
    assert service.get_user(user_id=ANN) == shown | {"relationship": {"id": ANN, **dict.fromkeys(nothing, False)}}


def test_the_owner_sees_the_own_user_whole(service):
    service.get_profile(user_id=ANN)
    service.caller = account()
    assert service.get_user(user_id=ANN) == OWN_PROFILE | {"relationship": None}


def test_an_edited_profile_comes_back_as_it_is_then(service):
    before = service.get_profile(user_id=ANN)
    edited = service.update_profile(user_id=ANN, changes={"bio": "Hares"}, expected_version=before["version"])
    assert edited == before | {"bio": "Hares", "version": 2}
    with pytest.raises(ProfileChanged):
        service.update_profile(user_id=ANN, changes={"bio": None}, expected_version=before["version"])
    assert service.get_profile(user_id=ANN) == edited


@pytest.mark.parametrize(
    "actor, shown",
    [
        (ANONYMOUS, False),
        (account(user_id="0190c2f4-7b5a-7c3e-8d2f-000000000000"), False),
        (account("support", "finance", user_id="0190c2f4-7b5a-7c3e-8d2f-000000000000"), False),
        (account(), True),
        (account("admin", user_id="0190c2f4-7b5a-7c3e-8d2f-000000000000"), True),
        (SYSTEM, True),
    ],
)
def test_the_user_of_a_disabled_account_is_there_for_themselves_and_for_administrators(service, actor, shown):
    service.get_profile(user_id=ANN)
    before = service.get_user(user_id=ANN)
    service.on_user_disabled({"id": str(new_id()), "sequence": 2, "data": {"id": ANN, "reason": "spam"}})
    service.caller = actor
    if shown:
        seen = service.get_user(user_id=ANN)
        assert {name: seen[name] for name in SHOWN} == {name: before[name] for name in SHOWN}
        return
    refusals = []
    for user_id in (ANN, "0190c2f4-7b5a-7c3e-8d2f-111111111111"):
        with pytest.raises(UserNotFound) as refused:
            service.get_user(user_id=user_id)
        refusals.append((refused.value.kind, refused.value.code, refused.value.message, refused.value.details))
    assert refusals[0] == refusals[1]


@pytest.mark.parametrize("user_id", ["nobody", "0190c2f4-7b5a-7c3e-8d2f-000000000000"])
def test_a_user_who_is_not_there_is_not_found(service, user_id):
    with pytest.raises(UserNotFound):
        service.get_user(user_id=user_id)


def test_an_added_user_comes_back_with_id_address_and_name(world, service):
    user = service.create_user(email="bob@example.com", name="Bob", request_key="one-key")
    assert user == {"id": str(next(iter(world.profiles))), "email": "bob@example.com", "name": "Bob"}
    assert service.create_user(email="bob@example.com", name="Bob", request_key="one-key") == user


@pytest.mark.parametrize("actor", [ANONYMOUS, account("admin"), SYSTEM])
@pytest.mark.parametrize("email", ["ann@example.com", "bob@example.com"])
def test_where_nobody_is_told_who_has_an_account_every_address_is_accepted(world, service, actor, email):
    world.identities.private = True
    service.caller = actor
    assert service.create_user(email=email, name="Somebody", request_key="one-key") == {"accepted": True}
    assert world.profiles == {}


@pytest.mark.parametrize("actor", [SYSTEM, account("admin")])
def test_administrators_and_the_system_add_users_where_invitations_are_closed(world, service, actor):
    service.ports, service.caller = world.ports(open_invitations=False), actor
    assert service.create_user(email="bob@example.com", name="Bob")["name"] == "Bob"


@pytest.mark.parametrize("actor", [ANONYMOUS, account(), account("finance")])
def test_nobody_else_adds_users_where_invitations_are_closed(world, service, actor):
    service.ports, service.caller = world.ports(open_invitations=False), actor
    with pytest.raises(InvitationsClosed):
        service.create_user(email="bob@example.com", name="Bob")
    assert world.profiles == {}


@pytest.mark.parametrize(("status", "tries"), [("active", 2), ("invited", 1)])
def test_only_who_registered_by_themselves_is_taken_for_new(world, service, status, tries):
    """An invited one has a profile by then as a rule; to try would be in vain, and disturb those it is tried with."""
    profile_of(world.ports(), Identity(UUID(ANN), "ann@example.com", "Ann"))
    units = []

    def unit_of_work():
        units.append(FakeUnitOfWork(world.database))
        return units[-1]

    service.ports = world.ports(unit_of_work=unit_of_work)
    data = {"id": ANN, "email": "ann@example.com", "name": "Anna", "status": status}
    service.on_user_registered({"id": str(new_id()), "sequence": 1, "data": data})
    assert len(units) == tries
    assert [each.display_name for each in world.profiles.values()] == ["Anna"]


def test_a_days_statistics_are_a_day_and_a_count(service):
    service.on_user_registered_count({"id": str(new_id()), "occurred_at": "2026-01-31T08:00:00Z"})
    assert service.get_statistics(day="2026-01-31") == {"day": "2026-01-31", "registrations": 1}


@pytest.mark.parametrize(
    "method, welcome, refused",
    [
        ("create_user", [ANONYMOUS, account(user_id="other"), SYSTEM], []),
        ("get_user", [ANONYMOUS, account(user_id="other"), SYSTEM], []),
        ("get_profile", [account(), SYSTEM], [ANONYMOUS, account(user_id="other"), account("admin", user_id="other")]),
        (
            "update_profile",
            [account(), SYSTEM],
            [ANONYMOUS, account(user_id="other"), account("admin", user_id="other")],
        ),
        ("get_statistics", [SYSTEM], [ANONYMOUS, account(), account("admin")]),
    ],
)
def test_who_may_call(method, welcome, refused):
    allow = entrypoint(method).allow
    for actor in welcome:
        allow(actor, {"user_id": ANN})
    for actor in refused:
        with pytest.raises((NotAllowed, NotSignedIn)):
            allow(actor, {"user_id": ANN})


@pytest.mark.parametrize("method", ["create_user", "get_user", "get_profile", "update_profile", "get_statistics"])
def test_an_rpc_method_says_what_it_takes_and_gives(method):
    text = inspect.getdoc(getattr(UsersService, method))
    names = [name for name in inspect.signature(getattr(UsersService, method)).parameters if name != "self"]
    assert all(f":param {name}:" in text for name in names)
    assert ":returns:" in text
    assert ":raises Fault:" in text


@pytest.mark.parametrize(
    "method, idempotent",
    [
        ("create_user", "request_key"),
        ("get_user", True),
        ("get_profile", True),
        ("update_profile", False),
        ("get_statistics", True),
    ],
)
def test_what_may_run_again_after_a_lost_answer(method, idempotent):
    assert entrypoint(method).idempotent == idempotent


def test_the_operators_commands_explain_themselves():
    shown = CliRunner().invoke(commands, ["--help"])
    assert shown.exit_code == 0
    assert "users_svc" in shown.output
