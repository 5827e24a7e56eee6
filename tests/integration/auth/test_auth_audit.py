"""The audit trail on PostgreSQL: everything is written down, sealed once, and shown to whom it concerns."""

import re
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from auth_svc.application.list_security_events import list_security_events
from auth_svc.application.register_account import register_account
from auth_svc.application.seal_audit import seal_audit
from auth_svc.application.sign_in import sign_in
from auth_svc.domain.account import InvalidCredentials
from auth_svc.domain.account_events import LoginFailed
from auth_svc.presentation.cli import commands
from lib import context
from lib.context import ANONYMOUS, Actor, CallContext
from lib.ids import new_id
from tests.integration.auth.conftest import DEFAULTS
from tests.support.round_trips import round_trips
from tests.support.statements import statements

ANN = {"email": "Ann@example.com", "password": "SecurePass123!", "name": "Ann"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def ports(instance):
    return instance()


@pytest.fixture
def verify(auth_sessions):
    """Run the command and return its exit code and its output."""
    uri = auth_sessions.engine.url.render_as_string(hide_password=False)

    def run(*arguments):
        config = {**DEFAULTS, "DB_URIS": {"auth_svc:Base": uri}}
        result = CliRunner().invoke(commands, ["verify-audit", *arguments], obj=config)
        return result.exit_code, result.output.removeprefix("Error: ").strip()

    return run


@contextmanager
def calling(actor=ANONYMOUS, **values):
    with context.using(CallContext(correlation_id="request-1", actor=actor, **values)):
        yield


def write_down(ports, number=1, kind="password.changed", account_id=None, **entry):
    for _ in range(number):
        with ports.unit_of_work() as uow:
            uow.audit.add(kind, account_id=account_id or new_id(), **entry)
            uow.commit()


def fail(ports, times=1):
    for _ in range(times):
        with pytest.raises(InvalidCredentials):
            sign_in(ports, email=ANN["email"], password="wrong")


def failures(sessions):
    """The events of failed sign-ins in the outbox: sequences and data."""
    with sessions() as session:
        return session.execute(
            sa.text(
                "select (envelope->>'sequence')::int, envelope->'data' from outbox"
                " where type = 'user.login.failed' order by 1"
            )
        ).all()


# --- sealing ---


def test_what_was_written_down_is_sealed_and_told_to_the_log(ports, count, caplog):
    caplog.set_level("INFO", logger="auth_svc.infrastructure.audit_log")
    write_down(ports, 3)
    assert count("audit_unsealed") == 3
    assert seal_audit(ports) == 3
    assert (count("audit_unsealed"), count("audit_seals")) == (0, 3)
    assert re.search(r"audit head 3:[0-9a-f]{64}", caplog.text)
    assert seal_audit(ports) == 0


def test_as_long_as_nothing_waits_for_its_seal_it_costs_one_question(ports, auth_sessions):
    """It is asked for twice a second, for as long as the service runs."""
    seal_audit(ports)
    with statements(auth_sessions) as sent:
        assert seal_audit(ports) == 0
    assert len(sent) == 1


def test_a_failed_sign_in_sends_its_event_when_it_is_sealed(instance, auth_sessions):
    ports = instance(RATE_LIMITS="on", LOCKOUT_ATTEMPTS=2)
    account = register_account(ports, **ANN).account
    fail(ports, 3)
    assert failures(auth_sessions) == []
    seal_audit(ports)
    sequences, events = zip(*failures(auth_sessions), strict=True)
    assert list(events) == [
        {"id": str(account.id), "method": "pwd", "locked": locked} for locked in (False, True, False)
    ]
    # The account's own sequence went on from where the registration had left it.
    with ports.unit_of_work() as uow:
        assert uow.accounts.find(account.id).sequence == sequences[-1]
    assert list(sequences) == list(range(sequences[0], sequences[0] + 3))


def test_instances_that_seal_at_once_seal_each_entry_and_send_each_event_once(
    instance, at_once, count, auth_sessions, verify
):
    instances = [instance() for _ in range(4)]
    register_account(instances[0], **ANN)
    fail(instances[0], 10)
    write_down(instances[0], 20)
    results = at_once(8, lambda index: seal_audit(instances[index % 4]))
    assert not [each for each in results if isinstance(each, Exception)]
    seal_audit(instances[0])
    assert count("audit_unsealed") == 0
    assert count("audit_seals") == count("audit_events") > 30
    assert len(failures(auth_sessions)) == 10
    assert verify()[0] == 0


def test_a_sealer_that_dies_before_its_commit_has_neither_sealed_nor_sent(ports, count, auth_sessions):
    account = register_account(ports, **ANN).account
    fail(ports)
    with ports.unit_of_work() as uow:
        assert uow.audit.seal(10) is not None
        found = uow.accounts.get(account.id)
        found.record(LoginFailed(id=str(account.id), method="pwd", locked=False))
        uow.session.flush()
    assert (count("audit_seals"), failures(auth_sessions)) == (0, [])
    seal_audit(ports)
    assert len(failures(auth_sessions)) == 1


def test_the_sealer_costs_one_round_trip_without_entries_and_four_with_some(ports):
    register_account(ports, **ANN)
    seal_audit(ports)
    # The first look after something was there is the whole one.
    seal_audit(ports)
    with round_trips() as sent:
        assert seal_audit(ports) == 0
    assert len(sent) == 1
    write_down(ports, 40)
    seal_audit(ports)
    write_down(ports, 40)
    with round_trips() as sent:
        assert seal_audit(ports) == 40
    assert len(sent) == 4


def test_sign_ins_and_sealing_at_once_keep_the_order_of_events(instance, at_once, auth_sessions, verify):
    ports = instance()
    register_account(ports, **ANN)
    # With those below no more than are let through, should all be counted before the first one succeeds.
    fail(ports, 2)

    def act(index):
        if index % 3 == 0:
            return seal_audit(ports)
        if index % 3 == 1:
            return fail(ports)
        return sign_in(ports, email=ANN["email"], password=ANN["password"])

    results = at_once(12, act)
    assert not [each for each in results if isinstance(each, Exception)]
    seal_audit(ports)
    with auth_sessions() as session:
        sequences = list(
            session.execute(
                sa.text("select (envelope->>'sequence')::int from outbox where envelope->>'subject' = :id order by 1"),
                {"id": session.scalar(sa.text("select id::text from accounts"))},
            ).scalars()
        )
    assert sequences == list(range(1, len(sequences) + 1))
    assert len(failures(auth_sessions)) == 6
    assert verify()[0] == 0


# --- reading the own events ---


def test_everything_about_a_sign_in_is_written_down_and_shown_to_its_owner(ports):
    with calling(client_ip="192.0.2.7", user_agent=FIREFOX):
        account = register_account(ports, **ANN).account
    with calling(client_ip="198.51.100.66", user_agent="curl/8.5.0"):
        fail(ports)
    root = Actor("account", id=str(new_id()), session_id=str(new_id()), roles=frozenset({"admin"}))
    with calling(root, client_ip="10.0.0.1"):
        write_down(ports, kind="account.disabled", account_id=account.id, personal={"reason": "spam"})
    rows = list_security_events(ports, user_id=str(account.id)).data
    assert [(row["kind"], row["outcome"], row["personal"], row["device"]) for row in rows] == [
        ("account.disabled", "success", {}, None),
        ("login.failed", "failure", {"ip": "198.51.100.66", "user_agent": "curl/8.5.0"}, "curl"),
        ("account.registered", "success", {"ip": "192.0.2.7", "user_agent": FIREFOX}, "Firefox on Linux"),
    ]
    assert rows[2]["session_id"] is not None
    assert {row["request_id"] for row in rows} == {"request-1"}


def test_a_failed_sign_in_of_an_unknown_address_is_counted_and_not_chained(ports, count):
    with pytest.raises(InvalidCredentials):
        sign_in(ports, email="nobody@example.com", password="wrong")
    assert (count("unknown_logins"), count("audit_events")) == (1, 0)
