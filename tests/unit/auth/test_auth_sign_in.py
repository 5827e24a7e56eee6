from dataclasses import replace

import pytest

from auth_svc.application.register_account import register_account
from auth_svc.application.reserve_account import reserve_account
from auth_svc.application.sign_in import sign_in
from auth_svc.domain.account import InvalidCredentials, LoggedIn
from lib.errors import Unavailable
from tests.fakes.auth import AuthWorld, CannotSignError

PASSWORD = "größte Übung"


@pytest.fixture
def world():
    world = AuthWorld()
    register_account(world.ports, email="Ann@example.com", password=PASSWORD, name="Ann")
    world.events.clear()
    world.clock.advance(hours=1)
    return world


def change(world, **changes):
    account = world.only_account()
    world.store.accounts[account.id] = replace(account, **changes)


@pytest.mark.parametrize("email", ["ann@example.com", "ANN@EXAMPLE.COM"])
def test_the_owner_gets_a_new_session(world, email):
    signed_in = sign_in(world.ports, email=email, password=PASSWORD)
    session_id = world.refresh_tokens.session_of(signed_in.refresh_token)
    session = world.store.sessions[session_id]
    assert len(world.store.sessions) == 2
    assert session.authenticated_at == world.clock()
    assert signed_in.access_token.value.startswith(f"access/{world.only_account().id}/{session_id}/")
    assert world.events == [LoggedIn(str(world.only_account().id), str(session_id), "pwd")]


def test_a_decomposed_password_is_the_same_password(world):
    assert sign_in(world.ports, email="ann@example.com", password="gro\u0308ßte U\u0308bung")


@pytest.mark.parametrize(
    "email, password",
    [
        ("ann@example.com", "wrong"),
        ("ann@example.com", PASSWORD + " "),
        ("ann@example.com", ""),
        ("ann@example.com", None),
        ("ann@example.com", {"$ne": ""}),
        ("ann@example.com", "x" * 100_000),
        ("ann@example.com", "half\ud800pair"),
        ("bob@example.com", PASSWORD),
        ("no address", PASSWORD),
        (None, PASSWORD),
    ],
)
def test_every_failure_looks_the_same_and_costs_the_same(world, email, password):
    with pytest.raises(InvalidCredentials) as refusal:
        sign_in(world.ports, email=email, password=password)
    assert (refusal.value.kind, refusal.value.code) == ("unauthenticated", "invalid_credentials")
    assert refusal.value.message == "wrong e-mail address or password"
    assert refusal.value.details == {}
    assert world.hasher.verified == 1
    assert len(world.store.sessions) == 1
    assert world.events == []


def test_a_disabled_account_does_not_show(world):
    change(world, status="disabled")
    with pytest.raises(InvalidCredentials) as refusal:
        sign_in(world.ports, email="ann@example.com", password=PASSWORD)
    assert refusal.value.message == "wrong e-mail address or password"
    assert world.hasher.verified == 1
    assert len(world.store.sessions) == 1


def test_an_invited_account_does_not_show(world):
    reserve_account(world.ports, email="bob@example.com", name="Bob", request_key="key")
    for password in (PASSWORD, ""):
        with pytest.raises(InvalidCredentials):
            sign_in(world.ports, email="bob@example.com", password=password)
    assert world.hasher.verified == 2


def test_a_hash_of_old_parameters_is_renewed_at_sign_in(world):
    change(world, password_hash=f"old:{PASSWORD}")
    before = world.only_account().password_set_at
    sign_in(world.ports, email="ann@example.com", password=PASSWORD)
    assert world.only_account().password_hash == f"new:{PASSWORD}"
    assert world.only_account().password_set_at == before


def test_a_wrong_password_renews_nothing(world):
    change(world, password_hash=f"old:{PASSWORD}")
    with pytest.raises(InvalidCredentials):
        sign_in(world.ports, email="ann@example.com", password="wrong password")
    assert world.only_account().password_hash == f"old:{PASSWORD}"


def meanwhile(world, what):
    """Have `what` happen between the check of the password and the transaction that follows."""
    verify = world.hasher.verify

    def verify_and_lose_the_race(password_hash, password):
        matches = verify(password_hash, password)
        what()
        return matches

    world.hasher.verify = verify_and_lose_the_race


def test_a_password_changed_meanwhile_signs_nobody_in(world):
    meanwhile(world, lambda: change(world, password_hash="new:other", password_set_at=world.clock(), sequence=9))
    with pytest.raises(InvalidCredentials):
        sign_in(world.ports, email="ann@example.com", password=PASSWORD)
    assert len(world.store.sessions) == 1


def test_a_hash_renewed_meanwhile_by_a_parallel_sign_in_is_no_harm(world):
    change(world, password_hash=f"old:{PASSWORD}")
    meanwhile(world, lambda: change(world, password_hash=f"other:{PASSWORD}", sequence=9))
    assert sign_in(world.ports, email="ann@example.com", password=PASSWORD)
    assert world.only_account().password_hash == f"other:{PASSWORD}"


def test_an_account_deleted_meanwhile_signs_nobody_in(world):
    # Looked up late: the store has another dictionary by then.
    meanwhile(world, lambda: world.store.accounts.clear())  # noqa: PLW0108
    with pytest.raises(InvalidCredentials):
        sign_in(world.ports, email="ann@example.com", password=PASSWORD)


def test_nobody_signs_in_while_tokens_cannot_be_signed(world):
    world.tokens.broken = True
    with pytest.raises(CannotSignError):
        sign_in(world.ports, email="ann@example.com", password=PASSWORD)
    assert len(world.store.sessions) == 1


def test_a_hash_that_cannot_be_renewed_now_keeps_nobody_out(world):
    change(world, password_hash=f"old:{PASSWORD}")

    class Busy(type(world.hasher)):
        def hash(self, password):
            raise Unavailable("too much to do", retry_after=1)

    busy = Busy(world.store)
    assert sign_in(replace(world.ports, hasher=busy), email="ann@example.com", password=PASSWORD)
    assert world.only_account().password_hash == f"old:{PASSWORD}"
