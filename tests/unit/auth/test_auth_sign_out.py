from uuid import UUID

import pytest

from auth_svc.application.register_account import register_account
from auth_svc.application.sign_in import sign_in
from auth_svc.application.sign_out import InvalidScope, InvalidSessionId, end_session, sign_out
from auth_svc.domain.account import AccountNotFound
from auth_svc.domain.session import SessionNotFound, SessionRevoked
from lib.ids import moment_of, new_id
from tests.fakes.auth import AuthWorld


@pytest.fixture
def world():
    """Ann with three sessions, the oldest expired, and Bob with one."""
    world = AuthWorld()
    ann = {"email": "ann@example.com", "password": "SecurePass123!"}
    world.ann = str(register_account(world.ports, **ann, name="Ann").account.id)
    world.clock.advance(days=31)
    bob = register_account(world.ports, email="bob@example.com", password="SecurePass123!", name="Bob")
    world.bobs = str(world.refresh_tokens.session_of(bob.refresh_token))
    world.phone, world.laptop = (
        str(world.refresh_tokens.session_of(sign_in(world.ports, **ann).refresh_token)) for _ in range(2)
    )
    world.events.clear()
    return world


def stored_as_ended(world):
    return {str(each.id) for each in world.store.sessions.values() if each.revoked_at}


def ended(world):
    assert all(isinstance(event, SessionRevoked) and event.reason == "logout" for event in world.events)
    stored = stored_as_ended(world)
    assert stored == {event.session_id for event in world.events}
    return stored


def test_local_ends_the_asking_session(world):
    sign_out(world.ports, user_id=world.ann, session_id=world.phone)
    assert ended(world) == {world.phone}


def test_others_ends_all_but_the_asking_session(world):
    sign_out(world.ports, user_id=world.ann, session_id=world.phone, scope="others")
    assert ended(world) == {world.laptop}


def test_global_ends_all_of_the_account_and_nobody_elses(world):
    sign_out(world.ports, user_id=world.ann, session_id=world.phone, scope="global")
    (event,) = world.events
    assert (event.user_id, event.reason) == (world.ann, "logout")
    # One event for all: the moment is not before any of them was opened, and before any that is opened from now on.
    assert {world.phone, world.laptop} < stored_as_ended(world)
    assert world.bobs not in stored_as_ended(world)
    account = world.store.accounts[UUID(world.ann)]
    assert event.not_before == account.not_before.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    later = sign_in(world.ports, email="ann@example.com", password="SecurePass123!")
    opened = world.refresh_tokens.session_of(later.refresh_token)
    assert max(moment_of(UUID(each)) for each in (world.phone, world.laptop)) <= account.not_before < moment_of(opened)


@pytest.mark.parametrize("scope", ["local", "others", "global"])
def test_signing_out_twice_is_no_error_and_no_news(world, scope):
    sign_out(world.ports, user_id=world.ann, session_id=world.phone, scope=scope)
    told = list(world.events)
    sign_out(world.ports, user_id=world.ann, session_id=world.phone, scope=scope)
    assert world.events == told


def test_nobody_ends_the_session_of_somebody_else(world):
    sign_out(world.ports, user_id=world.ann, session_id=world.bobs)
    sign_out(world.ports, user_id=world.ann, session_id=str(new_id()))
    assert ended(world) == set()


def test_an_unknown_scope_is_refused(world):
    with pytest.raises(InvalidScope) as refusal:
        sign_out(world.ports, user_id=world.ann, session_id=world.phone, scope="everywhere")
    assert refusal.value.code == "invalid_scope"


@pytest.mark.parametrize("scope", ["local", "others", "global"])
def test_ids_that_are_none_are_refused(world, scope):
    with pytest.raises(InvalidSessionId):
        sign_out(world.ports, user_id=world.ann, session_id="phone", scope=scope)
    with pytest.raises(AccountNotFound):
        sign_out(world.ports, user_id="ann", session_id=world.phone, scope=scope)
    assert ended(world) == set()


def test_one_session_of_the_list_ends(world):
    end_session(world.ports, user_id=world.ann, session_id=world.laptop)
    assert ended(world) == {world.laptop}
    assert [each.kind for each in world.store.audit][-1] == "session.ended"
    told = list(world.events)
    end_session(world.ports, user_id=world.ann, session_id=world.laptop)
    assert world.events == told


@pytest.mark.parametrize("session_id", ["x", str(new_id()), None])
def test_a_session_that_is_not_the_accounts_own_is_not_found(world, session_id):
    with pytest.raises(SessionNotFound) as refusal:
        end_session(world.ports, user_id=world.ann, session_id=session_id or world.bobs)
    assert (refusal.value.kind, refusal.value.code) == ("not_found", "session_not_found")
    assert stored_as_ended(world) == set()
