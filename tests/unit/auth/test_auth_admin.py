"""What administrators do to accounts: closed, opened, roles, signed out; and how the first one is made."""

import pytest

from auth_svc.application.administration import AccountContended, lock_account
from auth_svc.application.disable_account import disable_account
from auth_svc.application.enable_account import enable_account
from auth_svc.application.end_account_sessions import end_account_sessions
from auth_svc.application.ports import Origin
from auth_svc.application.refresh_session import refresh_session
from auth_svc.application.register_account import register_account
from auth_svc.application.set_roles import set_roles
from auth_svc.application.sign_in import sign_in
from auth_svc.domain.account import AccountNotFound, InvalidCredentials
from auth_svc.domain.one_time_token import OneTimeToken
from auth_svc.domain.reason import InvalidReason
from auth_svc.domain.roles import EmailNotVerified, LastAdministrator, OwnAccount, UnknownRole
from auth_svc.domain.session import RefreshInvalid
from lib.ids import milliseconds_of, new_id
from tests.fakes.auth import START, AuthWorld
from tests.fakes.auth_store import FakeAccounts
from tests.support.auth_accounts import add_account, add_session

ANN = {"email": "ann@example.com", "password": "SecurePass123!", "name": "Ann"}
WHY = "sent spam"


@pytest.fixture
def world():
    return AuthWorld()


@pytest.fixture
def root(world):
    """The administrator who acts."""
    account = add_account(world.ports.unit_of_work, "root@example.com", name="Root", roles=("admin",))
    world.origin = Origin("account", "request-7", actor_id=account.id, session_id=new_id(), ip="198.51.100.9")
    return account


@pytest.fixture
def ann(world):
    return add_account(world.ports.unit_of_work)


def stored(world, account):
    return world.store.accounts[account.id]


def types(world):
    return [each.type for each in world.events]


def trail(world):
    return [(each.kind, each.outcome, each.account_id, each.details, each.personal) for each in world.store.audit]


def token_of(account):
    return OneTimeToken(
        account_id=account.id,
        slot="verification",
        purpose="verification",
        target=account.email.key,
        minted_by=new_id(),
        token_hash=b"hash",
        created_at=START,
        expires_at=START,
    )


# --- disable ---


def test_a_disabled_account_keeps_who_why_and_when(world, root, ann):
    shown = disable_account(world.ports, account_id=str(ann.id), reason=f" {WHY} ")
    assert (shown.status, shown.disabled_reason) == ("disabled", WHY)
    account = stored(world, ann)
    assert (account.status, account.disabled_reason, account.disabled_at) == ("disabled", WHY, START)
    assert trail(world) == [("account.disabled", "success", ann.id, {}, {"reason": WHY})]
    assert world.store.audit[0].origin.actor_id == root.id
    assert [(each.type, each.reason) for each in world.events] == [("user.disabled", WHY)]


def test_disabling_ends_all_sessions_and_tells_up_to_when(world, root, ann):
    first, second = (add_session(world.ports.unit_of_work, ann) for _ in range(2))
    of_root = add_session(world.ports.unit_of_work, root)
    disable_account(world.ports, account_id=str(ann.id), reason=WHY)
    assert {world.store.sessions[each.id].revoked_reason for each in (first, second)} == {"disabled"}
    assert world.store.sessions[of_root.id].revoked_at is None
    assert types(world) == ["user.disabled", "session.revoked"]
    assert world.events[1].user_id == str(ann.id)
    # The newest session's id may tell a later time than the clock.
    assert stored(world, ann).not_before.timestamp() * 1000 >= milliseconds_of(second.id)


def test_a_disabled_account_is_closed_to_password_and_refresh_token(world, root):
    world.origin = Origin("anonymous", "request-1")
    registered = register_account(world.ports, **ANN)
    world.origin = Origin("account", "request-2", actor_id=root.id)
    disable_account(world.ports, account_id=str(registered.account.id), reason=WHY)
    with pytest.raises(InvalidCredentials):
        sign_in(world.ports, email=ANN["email"], password=ANN["password"])
    with pytest.raises(RefreshInvalid):
        refresh_session(world.ports, refresh_token=registered.refresh_token)


def test_disabling_makes_the_links_in_mails_useless(world, root, ann):
    with world.ports.unit_of_work() as uow:
        uow.one_time_tokens.put(token_of(ann))
        uow.one_time_tokens.put(token_of(root))
        uow.commit()
    disable_account(world.ports, account_id=str(ann.id), reason=WHY)
    used = {token.account_id: token.used_at for token in world.store.one_time_tokens.values()}
    assert used == {ann.id: START, root.id: None}


def test_disabling_again_changes_nothing_and_is_written_nowhere(world, root, ann):
    disable_account(world.ports, account_id=str(ann.id), reason=WHY)
    before = (trail(world), types(world))
    assert disable_account(world.ports, account_id=str(ann.id), reason="another").disabled_reason == WHY
    assert (trail(world), types(world)) == before


def test_nobody_disables_the_own_account(world, root):
    add_account(world.ports.unit_of_work, "other@example.com", roles=("admin",))
    with pytest.raises(OwnAccount):
        disable_account(world.ports, account_id=str(root.id), reason=WHY)
    assert stored(world, root).is_active
    assert types(world) == []
    assert trail(world) == [("account.disabled", "failure", root.id, {"refusal": "own_account"}, {"reason": WHY})]


def test_the_last_active_administrator_is_not_disabled_by_an_operator_either(world, root):
    world.origin = Origin("system", "request-1")
    add_account(world.ports.unit_of_work, "closed@example.com", roles=("admin",), status="disabled")
    with pytest.raises(LastAdministrator):
        disable_account(world.ports, account_id=str(root.id), reason=WHY)
    assert stored(world, root).is_active
    assert trail(world) == [
        ("account.disabled", "failure", root.id, {"refusal": "last_administrator"}, {"reason": WHY})
    ]


def test_one_of_two_administrators_can_be_disabled(world, root):
    other = add_account(world.ports.unit_of_work, "other@example.com", roles=("admin",))
    assert disable_account(world.ports, account_id=str(other.id), reason=WHY).status == "disabled"


def test_an_account_that_becomes_an_administrator_at_this_moment_has_to_be_tried_again(world, root, ann):
    class JustNow(FakeAccounts):
        def get(self, account_id):
            account = super().get(account_id)
            account.roles = ("admin",)
            return account

    with world.ports.unit_of_work() as uow:
        uow.accounts.__class__ = JustNow
        with pytest.raises(AccountContended) as refusal:
            lock_account(uow, ann.id)
    assert (refusal.value.code, refusal.value.details) == ("contended", {"retry_after": 1})


# --- enable ---


def test_an_enabled_account_is_as_it_was(world, root):
    for status in ("active", "invited"):
        account = add_account(world.ports.unit_of_work, f"{status}@example.com", status=status)
        disable_account(world.ports, account_id=str(account.id), reason=WHY)
        shown = enable_account(world.ports, account_id=str(account.id), reason="appeal")
        assert (shown.status, shown.disabled_reason, shown.disabled_at) == (status, None, None)
        assert stored(world, account).status == status
        assert trail(world)[-1] == ("account.enabled", "success", account.id, {}, {"reason": "appeal"})
        assert world.events[-1].type == "user.enabled"


def test_enabling_brings_no_session_back(world, root, ann):
    session = add_session(world.ports.unit_of_work, ann)
    disable_account(world.ports, account_id=str(ann.id), reason=WHY)
    enable_account(world.ports, account_id=str(ann.id), reason="appeal")
    assert world.store.sessions[session.id].revoked_reason == "disabled"


def test_enabling_an_open_account_is_written_nowhere(world, root, ann):
    assert enable_account(world.ports, account_id=str(ann.id), reason="appeal").status == "active"
    assert (trail(world), types(world)) == ([], [])


# --- roles ---


def test_new_roles_are_told_and_end_no_session(world, root, ann):
    session = add_session(world.ports.unit_of_work, ann)
    shown = set_roles(world.ports, account_id=str(ann.id), roles=["support", "finance", "user"], reason="joined")
    assert shown.roles == stored(world, ann).roles == ("finance", "support")
    assert world.store.sessions[session.id].revoked_at is None
    assert [(each.type, each.roles) for each in world.events] == [("user.roles.changed", ("finance", "support"))]
    details = {"roles": ["finance", "support"], "before": []}
    assert trail(world) == [("roles.changed", "success", ann.id, details, {"reason": "joined"})]


def test_a_role_that_is_taken_away_ends_all_sessions(world, root):
    bob = add_account(world.ports.unit_of_work, "bob@example.com", roles=("finance", "support"))
    session = add_session(world.ports.unit_of_work, bob)
    set_roles(world.ports, account_id=str(bob.id), roles=["support", "admin"], reason="moved")
    assert stored(world, bob).roles == ("admin", "support")
    assert world.store.sessions[session.id].revoked_reason == "roles"
    assert types(world) == ["user.roles.changed", "session.revoked"]


def test_the_same_roles_again_are_written_nowhere(world, root):
    bob = add_account(world.ports.unit_of_work, "bob@example.com", roles=("finance", "support"))
    session = add_session(world.ports.unit_of_work, bob)
    set_roles(world.ports, account_id=str(bob.id), roles=["support", "finance", "finance"], reason="again")
    assert (trail(world), types(world)) == ([], [])
    assert world.store.sessions[session.id].revoked_at is None


def test_nobody_gives_up_the_own_role_of_administrator(world, root):
    add_account(world.ports.unit_of_work, "other@example.com", roles=("admin",))
    with pytest.raises(OwnAccount):
        set_roles(world.ports, account_id=str(root.id), roles=["finance"], reason=WHY)
    assert stored(world, root).roles == ("admin",)
    assert trail(world) == [("roles.changed", "failure", root.id, {"refusal": "own_account"}, {"reason": WHY})]


def test_an_administrator_may_take_on_more_roles(world, root):
    assert set_roles(world.ports, account_id=str(root.id), roles=["admin", "finance"], reason=WHY).roles == (
        "admin",
        "finance",
    )


def test_the_last_administrator_keeps_the_role(world, root):
    world.origin = Origin("system", "request-1")
    with pytest.raises(LastAdministrator):
        set_roles(world.ports, account_id=str(root.id), roles=[], reason=WHY)
    assert stored(world, root).roles == ("admin",)


def test_an_administrator_whose_account_is_closed_can_lose_the_role(world, root):
    closed = add_account(world.ports.unit_of_work, "closed@example.com", roles=("admin",), status="disabled")
    assert set_roles(world.ports, account_id=str(closed.id), roles=[], reason=WHY).roles == ()


def test_an_unknown_role_changes_nothing(world, root, ann):
    with pytest.raises(UnknownRole):
        set_roles(world.ports, account_id=str(ann.id), roles=["admin", "root"], reason=WHY)
    assert stored(world, ann).roles == ()
    assert trail(world) == []


# --- sessions ---


def test_sessions_are_ended_by_an_administrator(world, root, ann):
    sessions = [add_session(world.ports.unit_of_work, ann) for _ in range(3)]
    end_account_sessions(world.ports, account_id=str(ann.id), reason="stolen laptop")
    assert {world.store.sessions[each.id].revoked_reason for each in sessions} == {"admin"}
    assert types(world) == ["session.revoked"]
    assert trail(world) == [("sessions.ended", "success", ann.id, {"reason": "admin"}, {"reason": "stolen laptop"})]


def test_ending_no_session_is_written_nowhere(world, root, ann):
    add_session(world.ports.unit_of_work, ann)
    for _ in range(2):
        end_account_sessions(world.ports, account_id=str(ann.id), reason=WHY)
    assert types(world) == ["session.revoked"]
    assert len(trail(world)) == 1


# --- what all of them refuse ---

ACTIONS = {
    "disable": disable_account,
    "enable": enable_account,
    "roles": lambda ports, **given: set_roles(ports, roles=["finance"], **given),
    "sessions": end_account_sessions,
}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
@pytest.mark.parametrize("account_id", [str(new_id()), "nonsense", "", None, 5], ids=repr)
def test_an_account_that_is_not_there_is_not_found(world, root, action, account_id):
    with pytest.raises(AccountNotFound):
        action(world.ports, account_id=account_id, reason=WHY)
    assert trail(world) == []


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_nothing_is_done_without_a_reason(world, root, ann, action):
    with pytest.raises(InvalidReason):
        action(world.ports, account_id=str(ann.id), reason=" ")
    assert (stored(world, ann).status, stored(world, ann).roles, trail(world)) == ("active", (), [])


def test_a_role_is_not_given_to_whoever_has_prepared_an_account_for_somebody_elses_address(world, root):
    bob = add_account(world.ports.unit_of_work, "bob@example.com", verified=False)
    with pytest.raises(EmailNotVerified) as refusal:
        set_roles(world.ports, account_id=str(bob.id), roles=["finance"], reason="joined")
    assert (refusal.value.kind, refusal.value.code) == ("conflict", "email_not_verified")
    assert world.store.accounts[bob.id].roles == ()
    entry = world.store.audit[-1]
    assert (entry.kind, entry.outcome, entry.details) == ("roles.changed", "failure", {"refusal": "email_not_verified"})
