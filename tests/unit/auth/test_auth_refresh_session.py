from dataclasses import replace

import pytest

from auth_svc.application.refresh_session import refresh_session
from auth_svc.application.register_account import register_account
from auth_svc.domain.mail import MailRequested
from auth_svc.domain.session import RefreshInvalid, RefreshReused, SessionExpired, SessionRevoked
from lib.ids import new_id
from tests.fakes.auth import AuthWorld


@pytest.fixture
def world():
    return AuthWorld()


@pytest.fixture
def first(world):
    token = register_account(world.ports, email="ann@example.com", password="SecurePass123!", name="Ann").refresh_token
    world.events.clear()
    return token


def test_a_refresh_gives_a_new_pair_for_the_same_session(world, first):
    world.clock.advance(minutes=10)
    renewed = refresh_session(world.ports, refresh_token=first)
    session = world.only_session()
    assert renewed.refresh_token != first
    assert renewed.access_token.value == (f"access/{world.only_account().id}/{session.id}/{world.clock().isoformat()}")
    assert session.token_hash == world.refresh_tokens.fingerprint(renewed.refresh_token)
    assert world.events == []


def test_a_repeated_refresh_gives_the_same_successor(world, first):
    once = refresh_session(world.ports, refresh_token=first).refresh_token
    world.clock.advance(seconds=5)
    assert refresh_session(world.ports, refresh_token=first).refresh_token == once
    assert world.only_session().generation == 1


def test_a_late_reuse_ends_the_session_for_good_and_is_announced_once(world, first):
    second = refresh_session(world.ports, refresh_token=first).refresh_token
    world.clock.advance(seconds=11)
    for token in (first, first, second):
        with pytest.raises(RefreshReused) as refusal:
            refresh_session(world.ports, refresh_token=token)
    assert (refusal.value.kind, refusal.value.code) == ("unauthenticated", "refresh_reused")
    session = world.only_session()
    assert session.revoked_at == world.clock()
    owner = str(session.account_id)
    assert world.events == [
        MailRequested(owner, "session_ended", str(session.id)),
        SessionRevoked(str(session.id), owner, "refresh_reused"),
    ]


@pytest.mark.parametrize("token", ["", "nonsense", None, 5, "a/b/c"])
def test_what_is_no_token_is_refused(world, token):
    with pytest.raises(RefreshInvalid) as refusal:
        refresh_session(world.ports, refresh_token=token)
    assert (refusal.value.kind, refusal.value.code) == ("unauthenticated", "refresh_invalid")


def test_a_token_of_no_session_is_refused(world):
    with pytest.raises(RefreshInvalid):
        refresh_session(world.ports, refresh_token=world.refresh_tokens.issue(new_id()))


def test_a_made_up_token_does_not_end_the_session(world, first):
    session = world.only_session()
    with pytest.raises(RefreshInvalid):
        refresh_session(world.ports, refresh_token=f"{session.id}/guess/seal")
    assert refresh_session(world.ports, refresh_token=first)


def test_an_expired_session_says_so(world, first):
    world.clock.advance(days=8)
    with pytest.raises(SessionExpired) as refusal:
        refresh_session(world.ports, refresh_token=first)
    assert (refusal.value.kind, refusal.value.code) == ("unauthenticated", "session_expired")


def test_a_disabled_account_gets_nothing_and_keeps_its_token(world, first):
    account = world.only_account()
    world.store.accounts[account.id] = replace(account, status="disabled")
    with pytest.raises(RefreshInvalid):
        refresh_session(world.ports, refresh_token=first)
    assert world.only_session().generation == 0


def test_a_session_without_its_account_gives_nothing(world, first):
    world.store.accounts.clear()
    with pytest.raises(RefreshInvalid):
        refresh_session(world.ports, refresh_token=first)


def between(world, act):
    """Have `act` happen between the look that finds the reuse and the one that ends the session."""
    taken = []

    def unit_of_work():
        taken.append(None)
        if len(taken) == 2:
            act()
        return world.ports.unit_of_work()

    return replace(world.ports, unit_of_work=unit_of_work)


@pytest.mark.parametrize("what", ["deleted", "signed out"])
def test_a_session_that_ended_otherwise_while_its_reuse_was_found_is_not_told_of(world, what):
    first = register_account(world.ports, email="ann@example.com", password="SecurePass123!", name="Ann").refresh_token
    second = refresh_session(world.ports, refresh_token=first).refresh_token
    refresh_session(world.ports, refresh_token=second)
    session = world.only_session()

    def act():
        if what == "deleted":
            world.store.sessions.clear()
        else:
            session.revoked_at, session.revoked_reason = world.clock(), "logout"

    world.events.clear()
    with pytest.raises(RefreshInvalid):
        refresh_session(between(world, act), refresh_token=first)
    assert world.events == []


def test_of_two_who_find_one_reuse_one_tells_of_it(world):
    first = register_account(world.ports, email="ann@example.com", password="SecurePass123!", name="Ann").refresh_token
    second = refresh_session(world.ports, refresh_token=first).refresh_token
    refresh_session(world.ports, refresh_token=second)

    def rival():
        with pytest.raises(RefreshReused):
            refresh_session(world.ports, refresh_token=first)
        world.events.clear()

    with pytest.raises(RefreshReused):
        refresh_session(between(world, rival), refresh_token=first)
    assert world.events == []
