"""How the first administrator is made, by an operator and never by HTTP."""

import pytest

from auth_svc.application.create_admin import AccountNotActive, create_admin
from auth_svc.application.find_account import find_account
from auth_svc.application.ports import Origin
from auth_svc.application.sign_in import sign_in
from auth_svc.domain.account import AccountNotFound, InvalidName
from auth_svc.domain.email import EmailTaken, InvalidEmail
from auth_svc.domain.password import WeakPassword
from tests.fakes.auth import AuthWorld
from tests.support.auth_accounts import add_account, add_session


@pytest.fixture
def world():
    return AuthWorld()


def stored(world, account):
    return world.store.accounts[account.id]


def types(world):
    return [each.type for each in world.events]


def trail(world):
    return [(each.kind, each.outcome, each.account_id, each.details, each.personal) for each in world.store.audit]


def never():
    raise AssertionError("a password was asked for")


def test_the_first_administrator_is_made_with_a_verified_address_and_can_sign_in(world):
    world.origin = Origin("system", "request-1")
    account, created = create_admin(
        world.ports, email="Root@Example.com", name="Root", password=lambda: "correct horse"
    )
    assert created
    kept = stored(world, account)
    assert (kept.email.typed, kept.roles, kept.email_verified, kept.status) == (
        "Root@Example.com",
        ("admin",),
        True,
        "active",
    )
    assert types(world) == ["user.registered", "user.email.verified", "user.roles.changed"]
    assert trail(world) == [("account.registered", "success", account.id, {"roles": ["admin"]}, {})]
    assert world.store.audit[0].origin.actor_kind == "system"
    assert sign_in(world.ports, email="root@example.com", password="correct horse").account.roles == ("admin",)


def test_an_account_that_is_there_only_gets_the_role(world):
    bob = add_account(world.ports.unit_of_work, "bob@example.com", roles=("support",))
    session = add_session(world.ports.unit_of_work, bob)
    account, created = create_admin(world.ports, email="BOB@example.com", name="Other", password=never)
    assert not created
    assert (account.id, account.name, account.roles) == (bob.id, "Ann", ("admin", "support"))
    assert world.store.sessions[session.id].revoked_at is None
    details = {"roles": ["admin", "support"], "before": ["support"]}
    assert trail(world) == [("roles.changed", "success", bob.id, details, {})]


def test_an_administrator_stays_one(world):
    root = add_account(world.ports.unit_of_work, "root@example.com", roles=("admin",))
    account, created = create_admin(world.ports, email="root@example.com", name="Root", password=never)
    assert (account.id, created) == (root.id, False)
    assert (trail(world), types(world)) == ([], [])


@pytest.mark.parametrize("status", ["disabled", "invited"])
def test_an_account_that_nobody_can_sign_in_to_becomes_no_administrator(world, status):
    account = add_account(world.ports.unit_of_work, "bob@example.com", status=status)
    with pytest.raises(AccountNotActive) as refusal:
        create_admin(world.ports, email="bob@example.com", name="Bob", password=never)
    assert refusal.value.code == "account_not_active"
    assert stored(world, account).roles == ()


@pytest.mark.parametrize("password", ["", "short", "password123", "root@example.com", "x" * 129])
def test_the_first_administrator_needs_a_password_as_good_as_everybodys(world, password):
    with pytest.raises(WeakPassword):
        create_admin(world.ports, email="root@example.com", name="Root", password=lambda: password)
    assert world.store.accounts == {}


def test_a_leaked_password_makes_no_administrator(world):
    world.breached.leaked.add("correct horse")
    with pytest.raises(WeakPassword):
        create_admin(world.ports, email="root@example.com", name="Root", password=lambda: "correct horse")


@pytest.mark.parametrize(
    ("email", "name", "error"), [("no address", "Root", InvalidEmail), ("a@b.example", " ", InvalidName)]
)
def test_a_wrong_address_or_name_is_told_before_a_password_is_asked_for(world, email, name, error):
    with pytest.raises(error):
        create_admin(world.ports, email=email, name=name, password=never)


def test_somebody_who_registers_while_the_password_is_typed_keeps_the_account(world):
    def slowly():
        add_account(world.ports.unit_of_work, "root@example.com", name="Faster")
        return "correct horse"

    with pytest.raises(EmailTaken):
        create_admin(world.ports, email="root@example.com", name="Root", password=slowly)
    (account,) = world.store.accounts.values()
    assert (account.name, account.roles) == ("Faster", ())


def test_an_operator_finds_an_account_by_its_address_in_any_spelling(world):
    ann = add_account(world.ports.unit_of_work)
    assert find_account(world.ports, email="ANN@example.com").id == ann.id
    with pytest.raises(AccountNotFound):
        find_account(world.ports, email="nobody@example.com")
    with pytest.raises(InvalidEmail):
        find_account(world.ports, email="nobody")
