"""Signing keys on a real database: rotated, withdrawn and sealed anew, by use case and by command."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import jwt
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from auth_svc.application.ensure_signing_key import ensure_signing_key
from auth_svc.application.get_jwks import get_jwks
from auth_svc.application.register_account import register_account
from auth_svc.application.reseal_signing_keys import reseal_signing_keys
from auth_svc.application.rotate_signing_keys import rotate_signing_keys
from auth_svc.application.withdraw_signing_key import withdraw_signing_key
from auth_svc.bootstrap import build_ports
from auth_svc.domain.signing_key import KeyTooNew, SealedKeyError
from auth_svc.infrastructure.argon2 import Argon2Hasher
from auth_svc.presentation.cli import commands
from lib import config as configuration
from lib.ids import utc_now
from lib.tokens import AccessTokenVerifier, InvalidToken
from tests.support.databases import ROOT

ANN = {"email": "Ann@example.com", "password": "SecurePass123!", "name": "Ann"}


@pytest.fixture
def config(auth_sessions, migrated):
    """The product's own configuration, on the test's database."""
    uri = auth_sessions.engine.url.render_as_string(hide_password=False)
    return {
        **configuration.load(ROOT / "config.yaml", dict(migrated)),
        "DB_URIS": {"auth_svc:Base": uri},
        "SECRET_KEY": "a-secret-key",
    }


class Clock:
    def __init__(self):
        self.ahead = timedelta(0)

    def __call__(self):
        return utc_now() + self.ahead


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def instance(config, auth_sessions, clock):
    """Make the ports of one more instance of the service on the same database."""

    def make(**changes):
        ports = build_ports({**config, **changes}, auth_sessions)
        hasher = Argon2Hasher(lambda function, *arguments: function(*arguments), memory=64)
        return replace(ports, hasher=hasher, now=clock)

    return make


@pytest.fixture
def run(config):
    def run(*arguments, **changes):
        return CliRunner().invoke(commands, list(arguments), obj={**config, **changes})

    return run


def rows(sessions, statement, **values):
    with sessions() as session:
        return session.execute(sa.text(statement), values).all()


def states(sessions):
    return dict(rows(sessions, "select kid, state from signing_keys").__iter__())


def kid_of(token):
    return jwt.get_unverified_header(token)["kid"]


def make_older(sessions, by):
    """Let the keys have been published for that much longer."""
    with sessions() as session:
        session.execute(sa.text("update signing_keys set created_at = created_at - cast(:by as interval)"), {"by": by})
        session.commit()


def lines(answer):
    assert answer.exit_code == 0, answer.output
    return [json.loads(line) for line in answer.output.splitlines()]


def at_once(number, action):
    start = threading.Barrier(number)

    def act(index):
        start.wait(timeout=10)
        try:
            return action(index)
        except Exception as exc:
            return exc

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(act, range(number)))


def test_one_rotation_after_another_leaves_one_active_and_one_next_key(instance, auth_sessions, clock):
    """Several times, as the order of the keys' ids in the table is by chance and has to make no difference."""
    ports = instance()
    ensure_signing_key(ports)
    for turn in range(6):
        before = states(auth_sessions)
        (upcoming,) = (kid for kid, state in before.items() if state == "next")
        clock.ahead += timedelta(minutes=16)
        rotate_signing_keys(ports)
        after = states(auth_sessions)
        assert after[upcoming] == "active", f"turn {turn}"
        assert sorted(after.values()) == ["active", "next", *["retiring"] * (len(after) - 2)]
    assert len(after) == 4, "two that have retired lately; the older ones are gone"
    sealed = rows(auth_sessions, "select state, length(sealed_private) > 0 from signing_keys order by state")
    assert [tuple(each) for each in sealed] == [
        ("active", True),
        ("next", True),
        ("retiring", False),
        ("retiring", False),
    ]


def test_tokens_of_before_and_after_a_rotation_are_good_at_every_instance(instance, auth_sessions):
    here, there = instance(), instance()
    before = register_account(here, **ANN).access_token.value
    verifier = AccessTokenVerifier(lambda: get_jwks(there), issuer=here.tokens.issuer, audience=here.tokens.audience)
    assert verifier.verify(before)
    make_older(auth_sessions, "16 minutes")
    rotate_signing_keys(here)
    after = register_account(here, **{**ANN, "email": "bob@example.com"}).access_token.value
    assert kid_of(after) != kid_of(before)
    # The copy of before holds the key that signs now: it was published ahead.
    assert verifier.verify(before)
    assert verifier.verify(after)
    assert there.tokens.claims(after)
    assert there.tokens.claims(before)


def test_of_parallel_rotations_one_wins_and_the_others_hear_why(instance, auth_sessions):
    instances = [instance() for _ in range(4)]
    ensure_signing_key(instances[0])
    make_older(auth_sessions, "1 hour")
    before = states(auth_sessions)
    (upcoming,) = (kid for kid, state in before.items() if state == "next")
    results = at_once(4, lambda index: rotate_signing_keys(instances[index], at_once=index % 2 == 1))
    refused = [each for each in results if isinstance(each, Exception)]
    assert [type(each) for each in refused] == [KeyTooNew] * 3, results
    after = states(auth_sessions)
    assert after[upcoming] == "active"
    assert sorted(after.values()) == ["active", "next", "retiring"]
    assert rows(auth_sessions, "select count(*) from audit_events where kind = 'signing_key.rotated'") == [(1,)]


def test_a_rotation_a_withdrawal_and_starts_at_once_leave_one_active_and_one_next_key(instance, auth_sessions):
    instances = [instance() for _ in range(6)]
    ensure_signing_key(instances[0])
    make_older(auth_sessions, "1 hour")
    (active,) = (kid for kid, state in states(auth_sessions).items() if state == "active")

    def act(index):
        if index == 0:
            return rotate_signing_keys(instances[0])
        if index == 1:
            return withdraw_signing_key(instances[1], kid=active)
        return ensure_signing_key(instances[index])

    results = at_once(6, act)
    unexpected = [each for each in results if isinstance(each, Exception) and not isinstance(each, KeyTooNew)]
    assert unexpected == []
    after = states(auth_sessions)
    assert active not in after
    assert sorted(state for state in after.values() if state != "retiring") == ["active", "next"]


def test_instances_that_start_together_agree_on_the_keys(instance, auth_sessions):
    instances = [instance() for _ in range(6)]
    results = at_once(6, lambda index: sorted((each.kid, each.state) for each in ensure_signing_key(instances[index])))
    assert sorted(state for _, state in results[0]) == ["active", "next"]
    assert all(each == results[0] for each in results)
    assert len(states(auth_sessions)) == 2


def test_a_withdrawn_keys_tokens_are_refused_and_people_stay_signed_in(instance, auth_sessions):
    ports = instance()
    registered = register_account(ports, **ANN)
    token = registered.access_token.value
    assert ports.tokens.claims(token)
    for state in ("active", "next"):
        (kid,) = (kid for kid, each in states(auth_sessions).items() if each == state)
        published = withdraw_signing_key(ports, kid=kid)
        assert sorted(key.state for key in published) == ["active", "next"]
        assert kid not in states(auth_sessions)
    assert ports.tokens.claims(token) is None
    assert kid_of(token) not in [each["kid"] for each in get_jwks(ports)["keys"]]
    other = AccessTokenVerifier(lambda: get_jwks(ports), issuer=ports.tokens.issuer, audience=ports.tokens.audience)
    with pytest.raises(InvalidToken, match="unknown key"):
        other.verify(token)
    assert rows(auth_sessions, "select count(*) from sessions where revoked_at is null") == [(1,)]
    again = register_account(ports, **{**ANN, "email": "bob@example.com"}).access_token.value
    assert ports.tokens.claims(again)


def test_a_running_instance_signs_with_the_new_key_after_seconds(instance, monkeypatch):
    here, there = instance(), instance()
    before = kid_of(register_account(there, **ANN).access_token.value)
    withdraw_signing_key(here, kid=before)
    assert kid_of(register_account(there, **{**ANN, "email": "bob@example.com"}).access_token.value) == before
    later = time.monotonic() + 1.1
    monkeypatch.setattr(there.tokens.keys, "_clock", lambda: later)
    assert kid_of(register_account(there, **{**ANN, "email": "eve@example.com"}).access_token.value) != before


def test_the_server_key_is_changed_in_three_steps(instance, auth_sessions):
    """A new one in front, everything sealed anew, the old one away."""
    old = instance(SECRET_KEY="the-old-key")
    token = register_account(old, **ANN).access_token.value
    both = instance(SECRET_KEY="the-new-key, the-old-key")
    assert kid_of(both.tokens.signer()(*_somebody(both), utc_now()).value) == kid_of(token)
    with pytest.raises(SealedKeyError, match="SECRET_KEY does not open"):
        instance(SECRET_KEY="the-new-key").tokens.signer()
    with pytest.raises(SealedKeyError):
        reseal_signing_keys(instance(SECRET_KEY="the-new-key"))
    assert [key.state for key in sorted(reseal_signing_keys(both), key=lambda key: key.state)] == ["active", "next"]
    new = instance(SECRET_KEY="the-new-key")
    assert kid_of(new.tokens.signer()(*_somebody(new), utc_now()).value) == kid_of(token)
    with pytest.raises(SealedKeyError):
        instance(SECRET_KEY="the-old-key").tokens.signer()
    assert new.tokens.claims(token)
    # What was made with the new key in front needs the new one from the beginning.
    make_older(auth_sessions, "1 hour")
    rotate_signing_keys(new)
    assert new.tokens.signer()


def _somebody(ports):
    with ports.unit_of_work() as uow:
        row = uow.session.execute(sa.text("select id, account_id from sessions limit 1")).one()
        return uow.accounts.find(row.account_id), uow.sessions.find(row.id)
