"""What may have happened is found out by itself: no answer of the provider, no guess of ours, no second charge.

The sandbox sends no messages here, which would say at once what has become of everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from tests.e2e.paying import Books, Payer
from tests.support.stack import Stack
from tests.support.waiting import eventually, stays


@pytest.fixture(scope="module")
def curious(running_stack: Stack) -> Iterator[Stack]:
    """payments_svc asks about unknown outcomes a second later."""
    yield from _restarted(running_stack, UNKNOWN_CHECK_SCHEDULE="1s")


@pytest.fixture
def idle(stack: Stack) -> Iterator[Stack]:
    """payments_svc asks after an hour, if nobody does before."""
    yield from _restarted(stack, UNKNOWN_CHECK_SCHEDULE="1h")


def _restarted(stack: Stack, **environment: str) -> Iterator[Stack]:
    stack.stop(["payments_svc"])
    stack.start("payments_svc", SANDBOX_WEBHOOK_URL="off", **environment)
    stack.wait_healthy("gateway")
    yield stack
    stack.stop(["payments_svc"])
    stack.start("payments_svc")
    stack.wait_healthy("gateway")


@pytest.fixture
def payer(curious: Stack) -> Payer:
    payer = Payer(curious.url)
    payer.register(name="Una Unknown")
    return payer


def test_a_charge_without_an_answer_is_unknown_and_then_found(payer: Payer, database: Any) -> None:
    first = payer.pay(key="order-1", payment_method="tok_timeout")
    assert first.status_code == 201, first.text
    payment = first.json()
    assert payment["status"] == "unknown"
    assert payment["next_check_at"]
    assert payment["pending_operation"]["type"] == "charge"
    found = payer.reaches(payment["id"], "succeeded")
    assert (found["amount_captured"], found["next_check_at"], found["pending_operation"]) == (1999, None, None)
    again = payer.pay(key="order-1", payment_method="tok_timeout")
    assert (again.status_code, again.json()["status"]) == (201, "succeeded")
    assert again.headers["Idempotent-Replayed"] == "true"
    books = Books(database, payment["id"])
    assert books.charges() == [("succeeded", 1999)]
    assert books.postings() == {"capture": [1999]}
    assert books.events() == ["payment.created", "payment.succeeded"]


def test_a_capture_without_an_answer_is_unknown_and_then_found(payer: Payer, database: Any) -> None:
    payment_id = payer.authorized(payment_method="tok_capture_timeout")
    answer = payer.change(payment_id, "capture", key="capture-1", amount=600)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "requires_capture"
    operation = answer.json()["pending_operation"]
    assert (operation["type"], operation["amount"], operation["status"]) == ("capture", 600, "unknown")
    found = payer.reaches(payment_id, "succeeded")
    assert (found["amount_captured"], found["pending_operation"]) == (600, None)
    assert payer.change(payment_id, "capture", key="capture-1", amount=600).json()["status"] == "succeeded"
    assert Books(database, payment_id).postings() == {"capture": [600]}


def test_a_cancellation_without_an_answer_is_unknown_and_then_found(payer: Payer, database: Any) -> None:
    payment_id = payer.authorized(payment_method="tok_cancel_timeout")
    answer = payer.change(payment_id, "cancel", reason="fraudulent")
    assert answer.status_code == 200, answer.text
    assert answer.json()["pending_operation"]["status"] == "unknown"
    assert payer.reaches(payment_id, "canceled")["cancellation_reason"] == "fraudulent"
    assert Books(database, payment_id).postings() == {}


def test_a_refund_without_an_answer_is_unknown_and_counts_until_it_is_found(payer: Payer, database: Any) -> None:
    payment = payer.paid(payment_method="tok_refund_timeout")
    answer = payer.refund(payment["id"], key="refund-1", amount=1500)
    assert (answer.status_code, answer.json()["status"]) == (201, "unknown")
    assert answer.json()["next_check_at"]
    too_much = payer.refund(payment["id"], amount=500)
    assert too_much.json()["code"] == "refund_exceeds_captured"
    payer.refunds_reach(payment["id"], "succeeded")
    assert payer.refund(payment["id"], key="refund-1", amount=1500).json()["status"] == "succeeded"
    books = Books(database, payment["id"])
    assert books.given_back() == [("succeeded", 1500)]
    assert books.postings() == {"capture": [1999], "refund": [1500], "refund_settlement": [1500]}


@pytest.mark.parametrize("token", ["tok_unreachable", "tok_error", "tok_rate_limited"])
def test_what_was_surely_not_executed_may_be_asked_for_again_with_the_same_key(
    payer: Payer, database: Any, token: str
) -> None:
    first = payer.pay(key="order-1", payment_method=token)
    assert first.status_code == 503, first.text
    assert int(first.headers["Retry-After"]) > 0
    # A provider that wants us to wait is not asked meanwhile, whoever asks us.
    wanted = 503 if token == "tok_unreachable" else 201
    eventually(lambda: payer.pay(key="order-1", payment_method=token).status_code == wanted, every=0.3)
    payments = payer.get("/payments").json()["data"]
    assert len(payments) == 1
    books = Books(database, payments[0]["id"])
    assert books.charges() == ([] if token == "tok_unreachable" else [("succeeded", 1999)])


def test_who_looks_once_it_is_due_has_it_found_out(idle: Stack, database: Any) -> None:
    """And nobody asks before: no job comes for an hour."""
    payer = Payer(idle.url)
    payer.register(name="Ida Idle")
    payment_id = payer.paid(payment_method="tok_timeout")["id"]
    stays(lambda: payer.payment(payment_id)["status"] == "unknown", during=2.5, every=0.5)
    with database("payments") as connection:
        connection.execute(
            sa.text("update payments set next_check_at = now() - interval '1 second' where id = :id"),
            {"id": payment_id},
        )
    assert payer.payment(payment_id)["status"] == "succeeded"


def test_an_operation_on_a_payment_has_it_found_out_first(idle: Stack, database: Any) -> None:
    payer = Payer(idle.url)
    payer.register(name="Otto Operator")
    payment_id = payer.paid(payment_method="tok_timeout")["id"]
    refunded = payer.refund(payment_id, amount=500)
    assert (refunded.status_code, refunded.json()["status"]) == (201, "succeeded")
    assert payer.payment(payment_id)["status"] == "succeeded"
    assert Books(database, payment_id).charges() == [("succeeded", 1999)]
