"""Guessing passwords ends after some tries, without a word, and strangers do not lock an owner out."""

from dataclasses import replace

import pytest

from auth_svc.application.change_password import change_password
from auth_svc.application.register_account import register_account
from auth_svc.application.sign_in import TooManyFailures, sign_in
from auth_svc.domain.account import InvalidCredentials
from auth_svc.domain.lockout import LockoutPolicy
from auth_svc.domain.password import WrongPassword
from lib.errors import Unavailable
from tests.fakes.auth import RULES, START, AuthWorld

ANN = {"email": "ann@example.com", "password": "SecurePass123!"}
MOST = RULES.lockout.attempts


@pytest.fixture
def world():
    world = AuthWorld()
    world.ann = register_account(world.ports, **ANN, name="Ann")
    world.events.clear()
    world.store.audit.clear()
    return world


def fail(world, times=1, **changes):
    for _ in range(times):
        with pytest.raises(InvalidCredentials) as refusal:
            sign_in(world.ports, **{**ANN, "password": "wrong-password", **changes})
        assert (refusal.value.code, refusal.value.details) == ("invalid_credentials", {})


def test_after_some_failures_the_right_password_is_refused_for_a_while_and_no_longer(world):
    fail(world, MOST)
    fail(world, password=ANN["password"])
    world.clock.advance(seconds=RULES.lockout.window.total_seconds() - 1)
    fail(world, password=ANN["password"])
    world.clock.advance(seconds=1)
    assert sign_in(world.ports, **ANN)


def test_a_locked_attempt_costs_the_same_work(world):
    fail(world, MOST)
    before = world.hasher.verified
    fail(world, password=ANN["password"])
    assert world.hasher.verified == before + 1


def test_success_begins_the_count_anew(world):
    for _ in range(3):
        fail(world, MOST - 1)
        assert sign_in(world.ports, **ANN)


def test_every_spelling_of_the_address_counts_together(world):
    fail(world, MOST - 1)
    fail(world, email="ANN@EXAMPLE.COM")
    fail(world, password=ANN["password"])


def test_a_known_device_has_a_count_of_its_own(world):
    fail(world, MOST + 3)
    known = {"device_token": world.ann.device_token}
    again = sign_in(world.ports, **ANN, **known)
    assert again.device_token == world.ann.device_token
    # … and is no way around the lock.
    fail(world, MOST, **known)
    fail(world, password=ANN["password"], **known)


def test_success_with_a_known_device_begins_its_own_count_anew_and_no_other(world):
    known = {"device_token": world.ann.device_token}
    fail(world, MOST)
    for _ in range(MOST + 2):
        assert sign_in(world.ports, **ANN, **known)
    # What strangers have tried stays counted.
    fail(world, password=ANN["password"])


def test_success_with_a_strange_device_begins_the_addresss_count_anew(world):
    bob = register_account(world.ports, email="bob@example.com", password="SecurePass123!", name="Bob")
    strange = {"device_token": bob.device_token}
    for _ in range(3):
        fail(world, MOST - 1, **strange)
        assert sign_in(world.ports, **ANN, **strange)


@pytest.mark.parametrize("token", ["", "device/x/y/z", "ldt_made-up"])
def test_a_made_up_device_token_changes_nothing(world, token):
    fail(world, MOST, device_token=token)
    fail(world, password=ANN["password"], device_token=token)
    fail(world, password=ANN["password"])


def test_the_device_of_another_account_is_unknown(world):
    bob = register_account(world.ports, email="bob@example.com", password="SecurePass123!", name="Bob")
    fail(world, MOST)
    fail(world, password=ANN["password"], device_token=bob.device_token)


def test_a_new_password_makes_strangers_of_all_devices(world):
    world.clock.advance(minutes=1)
    change_password(
        world.ports,
        user_id=str(world.ann.account.id),
        session_id=None,
        current_password=ANN["password"],
        new_password="AnotherPass456!",
    )
    fresh = sign_in(world.ports, email=ANN["email"], password="AnotherPass456!", device_token=world.ann.device_token)
    assert fresh.device_token != world.ann.device_token


@pytest.mark.parametrize("is_known", [False, True])
def test_an_attempt_that_nobody_looked_at_does_not_count(world, is_known):
    known = {"device_token": world.ann.device_token} if is_known else {}

    class Busy(type(world.hasher)):
        def verify(self, password_hash, password):
            raise Unavailable("too much to do", retry_after=1)

    busy = replace(world.ports, hasher=Busy(world.store))
    for _ in range(MOST + 1):
        with pytest.raises(Unavailable):
            sign_in(busy, **ANN, **known)
    assert sign_in(world.ports, **ANN, **known)


def test_when_too_many_fail_only_known_devices_are_looked_at(world):
    before = world.hasher.verified
    for email, token in ((ANN["email"], None), (ANN["email"], "made-up"), ("nobody@example.com", "made-up")):
        with pytest.raises(TooManyFailures) as refusal:
            sign_in(world.ports, email=email, password=ANN["password"], device_token=token, known_device_only=True)
        assert (refusal.value.kind, refusal.value.code) == ("limited", "rate_limited")
        assert refusal.value.details["retry_after"] > 0
    assert world.hasher.verified == before
    assert world.store.login_attempts == {}
    assert sign_in(world.ports, **ANN, device_token=world.ann.device_token, known_device_only=True)


def test_unknown_addresses_are_counted_and_not_audited(world):
    fail(world, 2, email="nobody@example.com")
    fail(world, email="no address")
    assert [key for key, _ in world.store.unknown_logins] == [
        b"address nobody@example.com",
        b"address nobody@example.com",
        b"address ",
    ]
    assert world.store.audit == []
    assert world.events == []


def test_failures_of_an_account_are_audited_and_the_last_one_says_that_it_locks(world):
    fail(world, MOST + 1)
    entries = world.store.audit
    assert {(each.kind, each.outcome, each.account_id) for each in entries} == {
        ("login.failed", "failure", world.ann.account.id)
    }
    assert [each.details["locked"] for each in entries] == [False] * (MOST - 1) + [True, False]


def test_without_limits_nobody_is_locked_out():
    world = AuthWorld(rules=replace(RULES, lockout=LockoutPolicy(None, RULES.lockout.window)))
    register_account(world.ports, **ANN, name="Ann")
    fail(world, 50)
    signed_in = sign_in(world.ports, **ANN)
    assert world.store.login_attempts == {}
    with pytest.raises(TooManyFailures):
        sign_in(world.ports, **ANN, known_device_only=True)
    assert sign_in(world.ports, **ANN, device_token=signed_in.device_token, known_device_only=True)


@pytest.mark.parametrize("status", ["disabled", "invited"])
def test_an_account_that_is_not_active_fails_in_the_same_way(world, status):
    account = world.only_account()
    account.status = status
    account.disabled_at = START if status == "disabled" else None
    before = world.hasher.verified
    fail(world, password=ANN["password"])
    assert world.hasher.verified == before + 1
    assert [each.kind for each in world.store.audit] == ["login.failed"]


def test_the_current_password_cannot_be_guessed_with_a_stolen_access_token(world):
    change = {"user_id": str(world.ann.account.id), "session_id": None, "new_password": "AnotherPass456!"}
    for _ in range(MOST):
        with pytest.raises(WrongPassword):
            change_password(world.ports, current_password="wrong-password", **change)
    with pytest.raises(WrongPassword):
        change_password(world.ports, current_password=ANN["password"], **change)
    # A count of its own: whoever holds the token does not lock the owner out.
    assert sign_in(world.ports, **ANN)
