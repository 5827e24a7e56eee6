"""A means of payment that is forgotten while it is charged: whichever comes first holds, and nothing in between."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Event

import pytest

from lib.errors import DomainError
from lib.ids import new_id
from payments_svc.application.confirm_payment import confirm_payment
from payments_svc.application.forget_payment_method import forget_payment_method
from payments_svc.application.keep_payment_method import keep_payment_method
from payments_svc.bootstrap import build_ports
from payments_svc.infrastructure.sql import PaymentsUnitOfWork
from tests.integration.payments.test_payments_races import CONFIG, at_once, pay
from tests.support.waiting import eventually

WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


@pytest.fixture
def ports(payments_sessions):
    return build_ports(CONFIG, payments_sessions)


@pytest.fixture
def ask(payments_sessions):
    """``ask(sql)`` → the rows."""

    def ask(query):
        with payments_sessions() as session:
            return [tuple(row) for row in session.connection().exec_driver_sql(query)]

    return ask


class Customer:
    def __init__(self, ports):
        self.ports, self.id = ports, str(new_id())

    def keep(self, token="tok_visa"):
        return str(keep_payment_method(self.ports, user_id=self.id, provider="sandbox", token=token).id)

    def forget(self, method_id, ports=None):
        forget_payment_method(ports or self.ports, user_id=self.id, method_id=method_id)
        return "forgotten"

    def pay(self, payment_method, ports=None, **changes):
        return pay(ports or self.ports, user_id=self.id, payment_method=payment_method, **changes).body

    def confirm(self, payment_id, ports=None, **changes):
        request = {"user_id": self.id, "payment_id": payment_id, "idempotency_key": "confirm-1"}
        return confirm_payment(ports or self.ports, **request, **changes).body


@pytest.fixture
def ann(ports):
    return Customer(ports)


@contextmanager
def holding(ports, sessions):
    """Give ports whose first transaction waits before its commit, and what to wait for and to set."""
    reached, go_on = Event(), Event()

    class Held(PaymentsUnitOfWork):
        def commit(self):
            if not reached.is_set():
                reached.set()
                assert go_on.wait(20)
            super().commit()

    try:
        yield replace(ports, unit_of_work=lambda: Held(sessions)), reached, go_on
    finally:
        go_on.set()


def in_turn(ask, ports, sessions, first, second):
    """Begin `second` while `first`'s transaction is open; return both results, refusals as their codes."""

    def result(work, *arguments):
        try:
            return work(*arguments)
        except DomainError as refusal:
            return refusal.code

    with holding(ports, sessions) as (held, reached, go_on), ThreadPoolExecutor(2) as pool:
        begun = pool.submit(result, first, held)
        assert reached.wait(20)
        waits = pool.submit(result, second)
        eventually(lambda: ask(WAITING) != [(0,)])
        go_on.set()
        return begun.result(20), waits.result(20)


def to_confirm(ann, kept):
    payment_id = ann.pay(kept, confirm=False)["id"]
    return lambda **options: ann.confirm(payment_id, **options)


def to_confirm_by_id(ann, kept):
    payment_id = ann.pay(None)["id"]
    return lambda **options: ann.confirm(payment_id, payment_method=kept, **options)


def to_confirm_by_default(ann, kept):
    payment_id = ann.pay(None)["id"]
    return lambda **options: ann.confirm(payment_id, **options)


def to_create(ann, kept):
    return lambda **options: ann.pay(kept, **options)


def to_create_by_default(ann, kept):
    return lambda **options: ann.pay(None, confirm=True, **options)


def to_create_again(ann, kept):
    with pytest.raises(DomainError, match="provider"):
        ann.pay(kept)
    return lambda **options: ann.pay(kept, **options)


WAYS = {
    to_confirm: "payment_method_required",
    to_confirm_by_id: "unknown_payment_method",
    to_confirm_by_default: "payment_method_required",
    to_create: "unknown_payment_method",
    to_create_by_default: "payment_method_required",
    to_create_again: "payment_method_required",
}


@pytest.mark.parametrize("way, refusal", WAYS.items())
def test_what_is_being_forgotten_is_not_charged(ports, payments_sessions, ask, ann, way, refusal):
    kept = ann.keep("tok_error" if way is to_create_again else "tok_visa")
    charge = way(ann, kept)
    before = ask("select status, attempt_id from payments"), ask("select status, calls from sandbox_charges")
    results = in_turn(ask, ports, payments_sessions, lambda held: ann.forget(kept, held), charge)
    assert results == ("forgotten", refusal)
    assert (ask("select status, attempt_id from payments"), ask("select status, calls from sandbox_charges")) == before
    assert ask("select count(*) from idempotency_claims where status = 'running'") == [(0,)]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_being_charged_is_charged_and_then_forgotten(ports, payments_sessions, ask, ann, way):
    kept = ann.keep("tok_error" if way is to_create_again else "tok_visa")
    charge = way(ann, kept)
    paid, forgotten = in_turn(ask, ports, payments_sessions, lambda held: charge(ports=held), lambda: ann.forget(kept))
    assert (paid["status"], paid["payment_method"], forgotten) == ("succeeded", kept, "forgotten")
    assert ask("select token from payment_methods") == [(None,)]
    assert ask("select status, payment_method_id::text from payments") == [("succeeded", kept)]
    assert ask("select status from sandbox_charges") == [("succeeded",)]


def test_at_the_same_moment_one_of_them_is_first(ports, ask):
    told = Counter()
    for number in range(12):
        customer = Customer(ports)
        kept = customer.keep()
        payment_id = customer.pay(kept, confirm=False, idempotency_key=f"pay-{number}")["id"]
        _, result = at_once(
            2, lambda turn, c=customer, k=kept, p=payment_id: c.confirm(p)["status"] if turn else c.forget(k)
        )
        told[result] += 1
    assert set(told) <= {"succeeded", "payment_method_required"}
    assert dict(ask("select status, count(*) from payments group by 1")) == {
        status: told[result]
        for status, result in (("succeeded", "succeeded"), ("requires_confirmation", "payment_method_required"))
        if told[result]
    }
    assert ask("select count(*) from sandbox_charges") == [(told["succeeded"],)]
    assert ask("select count(*) from payment_methods where token is not null") == [(0,)]


def test_the_row_holds_the_id_beside_the_token(ports, ask, ann):
    kept = ann.keep()
    ann.pay(kept)
    ann.pay("tok_visa", idempotency_key="key-2")
    rows = ask("select payment_method, payment_method_id::text from payments order by id")
    assert rows == [("tok_visa", kept), ("tok_visa", None)]
    assert ask("select answer->>'payment_method' from idempotency_claims order by attempt_id") == [
        (kept,),
        ("tok_visa",),
    ]
