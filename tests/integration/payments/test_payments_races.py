"""Many at once: one charge for one key, and never more back than was captured."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from threading import Barrier
from uuid import UUID

import pytest
import sqlalchemy as sa

from lib import config as configuration
from lib.errors import DomainError
from lib.ids import new_id, utc_now
from payments_svc.application.cancel_payment import cancel_payment
from payments_svc.application.capture_payment import capture_payment
from payments_svc.application.check_due import check_due
from payments_svc.application.check_payment import check_payment
from payments_svc.application.confirm_payment import confirm_payment
from payments_svc.application.create_payment import create_payment
from payments_svc.application.open_customer import open_customer
from payments_svc.application.refund_payment import refund_payment
from payments_svc.bootstrap import build_ports
from payments_svc.domain.outcome import ProviderBusy, ProviderError
from payments_svc.infrastructure.sql import PaymentsUnitOfWork

ANN = str(new_id())
# As the file of the project has it, but for what would slow a test down, or stop it after some unknown outcomes.
CONFIG = {**configuration.load("config.yaml", environ={}), "SANDBOX_LATENCY_MS": 0, "PROVIDER_BREAKER_FAILURES": 1000}


@pytest.fixture
def ports(payments_sessions):
    return build_ports(CONFIG, payments_sessions)


@pytest.fixture
def slow_ports(payments_sessions):
    """Ports whose provider takes so long that everybody else comes while it is at it."""
    return build_ports({**CONFIG, "SANDBOX_LATENCY_MS": 500}, payments_sessions)


@pytest.fixture
def ask(payments_sessions):
    """``ask(sql)`` → the rows."""

    def ask(query):
        with payments_sessions() as session:
            return [tuple(row) for row in session.execute(sa.text(query))]

    return ask


def pay(ports, **changes):
    request = {
        "user_id": ANN,
        "amount": 1000,
        "currency": "EUR",
        "idempotency_key": "key-1",
        "payment_method": "tok_visa",
    }
    return create_payment(ports, **{**request, **changes})


def refund(ports, payment_id, **changes):
    request = {"user_id": ANN, "payment_id": payment_id, "idempotency_key": "key-1", "may_refund": True}
    return refund_payment(ports, **{**request, **changes})


def at_once(times, work):
    """Call ``work(n)`` in as many threads at the same moment; return the results, refusals as their codes."""
    start = Barrier(times)

    def one(number):
        start.wait()
        try:
            return work(number)
        except DomainError as refusal:
            return refusal.code

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


def test_fifty_at_once_with_one_key_are_one_payment_and_one_charge(slow_ports, ask):
    results = at_once(50, lambda _: pay(slow_ports))
    answers = [each for each in results if not isinstance(each, str)]
    assert {each for each in results if isinstance(each, str)} <= {"idempotency_in_progress"}
    assert [each.replayed for each in answers].count(False) == 1
    assert {each.body["id"] for each in answers} == {str(id) for (id,) in ask("select id from payments")}
    assert ask("select amount, calls from sandbox_charges") == [(1000, 1)]
    assert ask("select type from outbox order by position") == [("payment.created",), ("payment.succeeded",)]


def test_afterwards_everybody_gets_the_same_answer(ports):
    at_once(20, lambda _: pay(ports))
    results = at_once(20, lambda _: pay(ports))
    assert {each.replayed for each in results} == {True}
    assert len({str(each.body) for each in results}) == 1


def test_one_key_for_two_contents_at_once_is_one_payment(slow_ports, ask):
    results = at_once(10, lambda number: pay(slow_ports, amount=1000 + number % 2))
    told = Counter(each if isinstance(each, str) else "paid" for each in results)
    assert told["paid"] == 1
    assert set(told) <= {"paid", "idempotency_in_progress", "idempotency_key_reused"}
    assert told["idempotency_key_reused"] == 5
    assert len(ask("select 1 from sandbox_charges")) == 1


def test_ten_keys_at_once_are_ten_payments_of_one_customer(ports, ask):
    results = at_once(10, lambda number: pay(ports, idempotency_key=f"key-{number}"))
    assert len({each.body["id"] for each in results}) == 10
    assert ask("select id::text from customers") == [(ANN,)]


def test_a_reference_is_given_once(ports, ask):
    results = at_once(10, lambda number: pay(ports, idempotency_key=f"key-{number}", reference="order-17"))
    assert Counter(each if isinstance(each, str) else "paid" for each in results) == {"paid": 1, "reference_taken": 9}
    assert len(ask("select 1 from sandbox_charges")) == len(ask("select 1 from idempotency_claims")) == 1


def test_the_customer_is_made_by_whoever_comes_first(ports, ask):
    def work(number):
        if number % 2:
            return pay(ports, idempotency_key=f"key-{number}")
        return open_customer(ports, event_id=str(new_id()), user_id=ANN)

    assert not [each for each in at_once(10, work) if isinstance(each, str)]
    assert ask("select id::text from customers") == [(ANN,)]


def test_one_event_many_times_at_once_has_one_effect(ports, ask):
    event = str(new_id())
    at_once(10, lambda _: open_customer(ports, event_id=event, user_id=ANN))
    assert ask("select handler from inbox") == [("open_customer",)]


@pytest.mark.parametrize("amount", [100, 300, None])
def test_twenty_refunds_at_once_never_exceed_what_was_captured(ports, ask, amount):
    payment_id = pay(ports).body["id"]
    results = at_once(20, lambda number: refund(ports, payment_id, idempotency_key=f"key-{number}", amount=amount))
    expected = 1000 // (amount or 1000)
    told = Counter(each if isinstance(each, str) else each.body["status"] for each in results)
    assert told == {"succeeded": expected, "refund_exceeds_captured": 20 - expected}
    returned = expected * (amount or 1000)
    assert ask("select sum(amount)::int from sandbox_refunds") == [(returned,)]
    assert ask("select amount_refunded, amount_refunding from payments") == [(returned, 0)]
    # Each event tells the sum at its moment, and their numbers have no gap.
    events = ask(
        "select (envelope->>'sequence')::int, (envelope->'data'->>'amount_refunded')::int from outbox"
        " where type = 'payment.refunded' order by 1"
    )
    assert events == [(3 + n, (n + 1) * (amount or 1000)) for n in range(expected)]


def test_twenty_at_once_with_one_key_are_one_refund(slow_ports, ask):
    payment_id = pay(slow_ports).body["id"]
    results = at_once(20, lambda _: refund(slow_ports, payment_id, amount=100))
    assert {each for each in results if isinstance(each, str)} <= {"idempotency_in_progress"}
    assert [each.replayed for each in results if not isinstance(each, str)].count(False) == 1
    assert ask("select amount, calls from sandbox_refunds") == [(100, 1)]


def test_two_equal_parts_with_two_keys_both_go_back(ports, ask):
    payment_id = pay(ports).body["id"]
    for key in ("key-1", "key-2"):
        refund(ports, payment_id, idempotency_key=key, amount=300)
    assert ask("select amount_refunded from payments") == [(600,)]


# --- operations ---


def operate(use_case, ports, payment_id, **changes):
    return use_case(ports, **{"user_id": ANN, "payment_id": payment_id, "idempotency_key": "key-1", **changes})


def told(results):
    return Counter(each if isinstance(each, str) else each.body["status"] for each in results)


def test_of_a_capture_and_a_cancellation_one_wins(ports, ask):
    for number in range(6):
        payment_id = pay(ports, idempotency_key=f"pay-{number}", capture_method="manual").body["id"]
        results = at_once(
            2,
            lambda turn, id=payment_id: (
                operate(cancel_payment, ports, id) if turn else operate(capture_payment, ports, id, may_capture=True)
            ),
        )
        (won,) = [each.body["status"] for each in results if not isinstance(each, str)]
        (lost,) = [each for each in results if isinstance(each, str)]
        assert won in ("succeeded", "canceled")
        assert lost in ("operation_in_progress", "payment_not_capturable", "payment_not_cancelable")
    states = ask("select status, amount_captured > 0, operation, count(*) from payments group by 1, 2, 3")
    assert {(status, taken, operation) for status, taken, operation, _ in states} <= {
        ("succeeded", True, None),
        ("canceled", False, None),
    }
    assert ask(
        "select count(*) from payments p join sandbox_charges s on s.attempt_id = p.attempt_id"
        " where (p.status = 'succeeded') is distinct from (s.status = 'succeeded')"
    ) == [(0,)]


@pytest.mark.parametrize("latency", ["ports", "slow_ports"])
def test_ten_confirmations_with_ten_keys_are_one_charge(request, ask, latency):
    ports = request.getfixturevalue(latency)
    payment_id = pay(ports, confirm=False).body["id"]
    results = at_once(10, lambda turn: operate(confirm_payment, ports, payment_id, idempotency_key=f"key-{turn}"))
    assert told(results)["succeeded"] == 1
    assert set(told(results)) <= {"succeeded", "operation_in_progress", "payment_not_confirmable"}
    assert ask("select status, calls from sandbox_charges") == [("succeeded", 1)]
    assert ask("select count(*) from outbox where type = 'payment.succeeded'") == [(1,)]


def test_ten_captures_of_parts_at_once_are_one(ports, ask):
    payment_id = pay(ports, capture_method="manual").body["id"]
    results = at_once(
        10,
        lambda turn: operate(
            capture_payment, ports, payment_id, idempotency_key=f"key-{turn}", may_capture=True, amount=100 + turn
        ),
    )
    assert told(results)["succeeded"] == 1
    ((captured, taken),) = ask(
        "select p.amount_captured, s.amount_captured from payments p join sandbox_charges s using (attempt_id)"
    )
    assert captured == taken
    assert ask("select sum(amount)::int from ledger_entries where amount > 0") == [(captured,)]


def test_ten_who_look_at_once_settle_it_once(ports, ask):
    payment_id = pay(ports, payment_method="tok_timeout").body["id"]
    assert not [each for each in at_once(10, lambda _: check_payment(ports, UUID(payment_id))) if isinstance(each, str)]
    assert ask("select status, operation from payments") == [("succeeded", None)]
    assert ask("select count(*) from outbox where type = 'payment.succeeded'") == [(1,)]
    assert ask("select count(*) from audit_entries where action = 'charge.succeeded'") == [(1,)]
    assert ask("select sum(amount)::int from ledger_entries where account = 'sales'") == [(-1000,)]


class LosesOnce(PaymentsUnitOfWork):
    """Its second commit is the victim of a deadlock."""

    commits = count(1)

    def commit(self):
        if next(self.commits) == 2:
            self.session.execute(sa.text("DO $$ BEGIN RAISE 'deadlock detected' USING ERRCODE = '40P01'; END $$"))
        super().commit()


def test_a_result_that_was_the_victim_of_a_deadlock_is_written_again(ports, ask, payments_sessions, monkeypatch):
    monkeypatch.setattr(LosesOnce, "commits", count(1))
    answer = pay(replace(ports, unit_of_work=partial(LosesOnce, payments_sessions)))
    assert (answer.body["status"], answer.replayed, next(LosesOnce.commits)) == ("succeeded", False, 4)
    assert ask("SELECT status, answer IS NOT NULL FROM idempotency_claims") == [("done", True)]
    assert ask("SELECT status, count(*) FROM sandbox_charges GROUP BY 1") == [("succeeded", 1)]


def test_two_attempts_that_were_not_executed_are_never_mixed_up(ports, ask):
    with pytest.raises(ProviderError):
        pay(ports, payment_method="tok_error")
    ((payment_id,),) = ask("SELECT id::text FROM payments")
    with pytest.raises(ProviderBusy):
        operate(confirm_payment, ports, payment_id, payment_method="tok_rate_limited")
    answer = pay(ports, payment_method="tok_error")
    assert (answer.body["status"], answer.replayed) == ("requires_payment_method", True)
    # Both keys may come again.
    assert ask("SELECT status FROM idempotency_claims") == [("released",), ("released",)]


def test_two_jobs_share_what_is_due(ports, ask):
    for number in range(8):
        pay(ports, payment_method="tok_timeout", idempotency_key=f"key-{number}")
    later = replace(ports, now=lambda: utc_now() + timedelta(minutes=6))
    failures = []
    done = at_once(2, lambda _: check_due(later, failed=lambda *failure: failures.append(failure)))
    assert (sum(done), failures) == (8, [])
    assert ask("select distinct status from payments") == [("succeeded",)]
    assert ask("select count(*) from outbox where type = 'payment.succeeded'") == [(8,)]


def test_a_charge_takes_two_transactions_and_few_statements(ports, payments_sessions):
    pay(ports)
    statements = []
    listen = partial(sa.event.listen, payments_sessions.engine)
    listen("before_cursor_execute", lambda *call: statements.append(call[2].split(maxsplit=3)[:3]))
    listen("commit", lambda *_: statements.append(["COMMIT"]))
    pay(ports, idempotency_key="key-2")
    ours = [each for each in statements if not each[-1].startswith("sandbox")]
    # Beside BEGIN: the claim, the customer, the payment, its event and its line of the trail; then all of the result.
    assert len([each for each in ours if each != ["COMMIT"]]) == 5
    assert ours.count(["COMMIT"]) == 1
