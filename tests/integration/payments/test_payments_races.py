"""Many at once: one charge for one key, and never more back than was captured."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import sqlalchemy as sa

from lib import config as configuration
from lib.errors import DomainError
from lib.ids import new_id
from payments_svc.application.create_payment import create_payment
from payments_svc.application.open_customer import open_customer
from payments_svc.application.refund_payment import refund_payment
from payments_svc.bootstrap import build_ports

ANN = str(new_id())
# As the file of the project has it, but for what would slow a test down.
CONFIG = {**configuration.load("config.yaml", environ={}), "SANDBOX_LATENCY_MS": 0}


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


def test_twenty_at_once_with_one_key_are_one_payment_and_one_charge(slow_ports, ask):
    results = at_once(20, lambda _: pay(slow_ports))
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
