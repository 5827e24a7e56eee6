"""A process that dies at the worst moment, and a provider that keeps us waiting."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from lib.ids import utc_now
from payments_svc.application.check_due import check_due
from payments_svc.application.check_payment import check_payment
from payments_svc.bootstrap import build_ports
from payments_svc.domain.idempotency import IdempotencyInProgress
from payments_svc.domain.outcome import ProviderError, ProviderUnreachable
from payments_svc.domain.refund import RefundExceedsCaptured
from tests.integration.payments.test_payments_races import ANN, CONFIG, pay, refund

# A process of its own, so that it can really be killed.
PROGRAM = """
import json, sys
from lib.database import make_engine, Sessions
from payments_svc.application.create_payment import create_payment
from payments_svc.application.refund_payment import refund_payment
from payments_svc.bootstrap import build_ports
uri, config, use_case, arguments = sys.argv[1], *map(json.loads, sys.argv[2:])
engine = make_engine(uri, statement_timeout=3, pool_size=2, application_name="victim")
run = {"create_payment": create_payment, "refund_payment": refund_payment}[use_case]
run(build_ports(config, Sessions(engine)), **arguments)
"""


class Crash(BaseException):
    """The process ends here: nothing below catches it."""


class Dying:
    """A provider whose caller dies right after it did what it was asked for."""

    name = "sandbox"

    def __init__(self, provider):
        self._provider = provider

    def check_payment_method(self, payment_method):
        self._provider.check_payment_method(payment_method)

    def execute(self, order):
        self._provider.execute(order)
        raise Crash


class Watching(Dying):
    """A provider that looks at our database while it is asked."""

    def __init__(self, provider, look):
        super().__init__(provider)
        self._look = look

    def execute(self, order):
        self._look()
        return self._provider.execute(order)

    def lookup(self, order):
        self._look()
        return self._provider.lookup(order)


def through(ports, provider):
    return replace(ports, provider=provider, providers={provider.name: provider})


@pytest.fixture
def ports(payments_sessions):
    return build_ports(CONFIG, payments_sessions)


@pytest.fixture
def dying(ports):
    return through(ports, Dying(ports.provider))


@pytest.fixture
def later(ports):
    """The same ports, when the process that died has been waited for long enough."""
    return replace(ports, now=lambda: utc_now() + ports.rules.patience)


@pytest.fixture
def ask(payments_sessions):
    def ask(query):
        with payments_sessions() as session:
            return [tuple(row) for row in session.execute(sa.text(query))]

    return ask


def test_a_charge_whose_result_was_lost_is_found_and_not_made_again(ports, dying, later, ask):
    with pytest.raises(Crash):
        pay(dying)
    ((payment_id, status),) = ask("select id::text, status from payments")
    assert status == "processing"
    assert ask("select calls from sandbox_charges") == [(1,)]
    with pytest.raises(IdempotencyInProgress):
        pay(ports)
    answer = pay(later)
    assert (answer.body["id"], answer.body["status"], answer.replayed) == (payment_id, "succeeded", False)
    assert ask("select calls from sandbox_charges") == [(1,)]
    assert pay(ports) == replace(answer, replayed=True)
    assert ask("select type from outbox order by position") == [("payment.created",), ("payment.succeeded",)]


def test_a_redelivered_request_is_completed_at_once(ports, dying, ask):
    with pytest.raises(Crash):
        pay(dying)
    assert pay(ports, redelivered=True).body["status"] == "succeeded"
    assert ask("select calls from sandbox_charges") == [(1,)]


def test_a_refund_whose_result_was_lost_is_found_and_not_made_again(ports, dying, later, ask):
    payment_id = pay(ports).body["id"]
    with pytest.raises(Crash):
        refund(dying, payment_id, amount=600)
    with pytest.raises(RefundExceedsCaptured):
        refund(ports, payment_id, amount=401, idempotency_key="key-2")
    assert refund(later, payment_id, amount=600).body["status"] == "succeeded"
    assert ask("select amount, calls from sandbox_refunds") == [(600, 1)]
    assert ask("select amount_refunded, amount_refunding from payments") == [(600, 0)]


def test_an_unknown_outcome_stays_unknown_and_is_not_charged_again(ports, later, ask):
    answer = pay(ports, payment_method="tok_timeout")
    assert answer.body["status"] == "unknown"
    again = pay(later, payment_method="tok_timeout")
    assert (again.body["id"], again.body["status"], again.replayed) == (answer.body["id"], "unknown", True)
    assert ask("select status, calls from sandbox_charges") == [("succeeded", 1)]
    assert ask("select next_check_at - updated_at from payments") == [(timedelta(minutes=5),)]


def test_what_was_not_sent_can_be_sent_again_with_the_same_key(ports, ask):
    with pytest.raises(ProviderUnreachable):
        pay(ports, payment_method="tok_unreachable", reference="order-17")
    with pytest.raises(ProviderUnreachable):
        pay(ports, payment_method="tok_unreachable", reference="order-17")
    assert ask("select status, reference from payments") == [("requires_payment_method", "order-17")]
    assert ask("select 1 from sandbox_charges") == []


def test_after_an_error_of_the_provider_the_same_key_goes_through(ports, ask):
    with pytest.raises(ProviderError):
        pay(ports, payment_method="tok_error")
    answer = pay(ports, payment_method="tok_error")
    assert (answer.body["status"], answer.replayed) == ("succeeded", False)
    assert ask("select id::text from payments") == [(answer.body["id"],)]
    assert ask("select status, calls from sandbox_charges") == [("succeeded", 2)]


def test_no_row_is_locked_and_no_transaction_is_open_while_the_provider_is_asked(ports, payments_sessions):
    looked = []

    def look():
        with payments_sessions() as session:
            for table in ("payments", "idempotency_claims", "customers"):
                assert session.execute(sa.text(f"select 1 from {table} for update nowait")).all()
            mine = "datname = current_database() and pid <> pg_backend_pid() and xact_start is not null"
            looked.append(session.execute(sa.text(f"select count(*) from pg_stat_activity where {mine}")).scalar())

    watched = through(ports, Watching(ports.provider, look))
    payment_id = pay(watched).body["id"]
    refund(watched, payment_id)
    unknown = pay(ports, payment_method="tok_timeout", idempotency_key="key-2").body["id"]
    assert check_payment(watched, UUID(unknown))
    assert looked == [0, 0, 0]


def test_a_lock_that_is_held_would_be_seen(ports, payments_sessions):
    """The test above can fail."""
    pay(ports)
    with payments_sessions() as holder, payments_sessions() as other:
        holder.execute(sa.text("select 1 from payments for update"))
        with pytest.raises(OperationalError, match="could not obtain lock"):
            other.execute(sa.text("select 1 from payments for update nowait"))


@pytest.fixture
def killed_at(payments_sessions):
    """``killed_at(point, use_case, arguments)`` runs the use case in a process that kills itself at the point."""
    import json

    uri = payments_sessions.engine.url.render_as_string(hide_password=False)

    def killed_at(point, use_case, arguments):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, uri, json.dumps(CONFIG), json.dumps(use_case), json.dumps(arguments)],
            env={**os.environ, "FAULT_POINT": point},
            timeout=60,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL

    return killed_at


@pytest.mark.parametrize(
    "point, charged",
    [
        ("payment.after_claim", []),
        ("payment.before_send", []),
        ("sandbox.before_charge", []),
        ("sandbox.after_charge", [(1,)]),
        ("payment.after_send.charge", [(1,)]),
        ("payment.before_commit", [(1,)]),
    ],
)
def test_a_process_killed_around_the_charge_leaves_what_the_next_request_completes(
    killed_at, ports, later, ask, point, charged
):
    request = {"user_id": ANN, "amount": 1000, "currency": "EUR", "idempotency_key": "key-1"}
    killed_at(point, "create_payment", {**request, "payment_method": "tok_visa"})
    ((payment_id, status),) = ask("select id::text, status from payments")
    assert (status, ask("select calls from sandbox_charges")) == ("processing", charged)
    # The job finds it as the next request with the key would.
    assert check_due(later, failed=lambda id, error: pytest.fail(f"{id}: {error}")) == 1
    answer = pay(ports)
    assert (answer.body["id"], answer.body["status"], answer.replayed) == (payment_id, "succeeded", True)
    assert ask("select calls from sandbox_charges") == [(1,)]
    assert ask("select type from outbox order by position") == [("payment.created",), ("payment.succeeded",)]
    books = ask("select account, amount from ledger_entries order by 1")
    assert books == [("provider:sandbox", 1000), ("sales", -1000)]


def test_a_process_killed_after_the_refund_leaves_what_the_next_request_completes(killed_at, ports, later, ask):
    payment_id = pay(ports).body["id"]
    request = {"user_id": ANN, "payment_id": payment_id, "idempotency_key": "key-1", "may_refund": True, "amount": 600}
    killed_at("sandbox.after_refund", "refund_payment", request)
    assert ask("select status from refunds") == [("pending",)]
    assert refund(later, payment_id, amount=600).body["status"] == "succeeded"
    assert ask("select amount, calls from sandbox_refunds") == [(600, 1)]
