"""Payments over HTTP, through every process: manual capture, cancellation, 3-D Secure, slow payments, slow refunds."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from tests.e2e.client import Client
from tests.e2e.paying import Books, Payer
from tests.e2e.test_main_journey import rows
from tests.support.stack import Stack
from tests.support.waiting import eventually, stays


@pytest.fixture
def payer(stack: Stack) -> Payer:
    payer = Payer(stack.url)
    payer.register(name="Paula Payer")
    return payer


def code(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json()["code"])


def test_a_part_of_what_was_set_aside_is_captured_and_the_rest_let_go(payer: Payer, database: Any) -> None:
    payment = payer.paid(1000, capture_method="manual")
    assert (payment["status"], payment["amount_capturable"], payment["amount_captured"]) == (
        "requires_capture",
        1000,
        0,
    )
    assert payment["capture_before"]
    payment_id = payment["id"]
    assert code(payer.change(payment_id, "capture", amount=1001)) == (422, "capture_exceeds_authorized")
    assert code(payer.refund(payment_id)) == (409, "payment_not_refundable")

    captured = payer.change(payment_id, "capture", key="capture-1", amount=600)
    assert captured.status_code == 200, captured.text
    assert (captured.json()["status"], captured.json()["amount_captured"]) == ("succeeded", 600)
    assert captured.json()["amount_capturable"] == 0
    again = payer.change(payment_id, "capture", key="capture-1", amount=600)
    assert (again.status_code, again.json()) == (200, captured.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert code(payer.change(payment_id, "capture", key="capture-1", amount=500)) == (422, "idempotency_key_reused")
    assert code(payer.change(payment_id, "capture")) == (409, "payment_not_capturable")
    assert code(payer.change(payment_id, "cancel")) == (409, "payment_not_cancelable")

    rest = payer.refund(payment_id)
    assert (rest.status_code, rest.json()["amount"]) == (201, 600)
    books = Books(database, payment_id)
    assert books.charges() == [("succeeded", 600)]
    assert books.postings() == {"capture": [600], "refund": [600], "refund_settlement": [600]}
    assert books.balanced()
    assert books.events() == ["payment.created", "payment.authorized", "payment.succeeded", "payment.refunded"]


def test_what_was_set_aside_is_let_go_by_a_cancellation(payer: Payer, database: Any) -> None:
    payment_id = payer.authorized(reference="order-7")
    canceled = payer.change(payment_id, "cancel", key="cancel-1", reason="duplicate")
    assert canceled.status_code == 200, canceled.text
    assert (canceled.json()["status"], canceled.json()["cancellation_reason"]) == ("canceled", "duplicate")
    assert canceled.json()["amount_capturable"] == 0
    assert payer.change(payment_id, "cancel", key="cancel-1", reason="duplicate").json() == canceled.json()
    books = Books(database, payment_id)
    assert books.charges() == [("voided", 0)]
    assert books.postings() == {}
    assert books.events() == ["payment.created", "payment.authorized", "payment.canceled"]
    # The reference is free again.
    assert payer.pay(reference="order-7").status_code == 201
    assert code(payer.pay(reference="order-7")) == (409, "reference_taken")


def test_a_payment_that_no_provider_knows_is_canceled_at_once(payer: Payer, database: Any) -> None:
    payment = payer.paid(payment_method="tok_visa", confirm=False)
    assert payment["status"] == "requires_confirmation"
    assert payer.change(payment["id"], "cancel").json()["cancellation_reason"] == "requested_by_customer"
    assert Books(database, payment["id"]).charges() == []
    assert code(payer.change(payment["id"], "confirm")) == (409, "payment_not_confirmable")


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"capture_method": "later"}, "invalid_capture_method"),
        ({"payment_method": "tok_nobody_knows"}, "unknown_payment_method"),
        ({"currency": "XXX"}, "unsupported_currency"),
    ],
)
def test_words_that_nobody_knows_are_refused_and_leave_the_key_good(
    payer: Payer, fields: dict[str, Any], refusal: str
) -> None:
    assert code(payer.pay(key="key-1", **fields)) == (422, refusal)
    assert payer.pay(key="key-1").status_code == 201


def test_a_declined_payment_succeeds_with_another_means_of_payment(payer: Payer, database: Any) -> None:
    declined = payer.pay(key="order-1", payment_method="tok_lost_card")
    assert (declined.status_code, declined.json()["decline_code"]) == (402, "lost_card")
    payment_id = declined.json()["payment_id"]
    assert code(payer.change(payment_id, "confirm")) == (422, "payment_method_required")
    again = payer.pay(key="order-1", payment_method="tok_lost_card")
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (402, "true")

    confirmed = payer.change(payment_id, "confirm", payment_method="tok_visa")
    assert (confirmed.status_code, confirmed.json()["status"]) == (200, "succeeded")
    assert confirmed.json()["decline_code"] is None
    books = Books(database, payment_id)
    assert sorted(books.charges()) == [("declined", 0), ("succeeded", 1999)]
    assert books.events() == ["payment.created", "payment.failed", "payment.succeeded"]
    # Two events at nearly the same moment may be told in any order.
    eventually(lambda: sorted(books.notifications(payer.user_id)) == ["payment_failed", "payment_succeeded"])


# --- 3-D Secure -----------------------------------------------------------------------------------------------------


def test_the_customer_authenticates_and_the_payment_succeeds(payer: Payer, database: Any) -> None:
    payment = payer.paid(payment_method="tok_3ds")
    assert payment["status"] == "requires_action"
    assert payment["next_action"]
    confirmed = payer.change(payment["id"], "confirm", key="3ds-1", authentication="succeed")
    assert confirmed.status_code == 200, confirmed.text
    assert (confirmed.json()["status"], confirmed.json()["next_action"]) == ("succeeded", None)
    again = payer.change(payment["id"], "confirm", key="3ds-1", authentication="succeed")
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (confirmed.json(), "true")
    assert Books(database, payment["id"]).charges() == [("succeeded", 1999)]
    assert Books(database, payment["id"]).postings() == {"capture": [1999]}


def test_the_customer_fails_to_authenticate_and_nothing_is_taken(payer: Payer, database: Any) -> None:
    payment = payer.paid(payment_method="tok_3ds")
    assert code(payer.change(payment["id"], "confirm", authentication="perhaps")) == (422, "invalid_authentication")
    failed = payer.change(payment["id"], "confirm", authentication="fail")
    assert code(failed) == (402, "payment_declined")
    assert payer.payment(payment["id"])["status"] == "requires_payment_method"
    assert Books(database, payment["id"]).postings() == {}


# --- what takes its time: told by the provider's own webhook --------------------------------------------------------


def test_a_slow_payment_succeeds_by_the_providers_message(payer: Payer, database: Any) -> None:
    payment = payer.paid(payment_method="tok_async")
    assert payment["status"] == "processing"
    assert payment["pending_operation"]["status"] == "accepted"
    assert code(payer.change(payment["id"], "cancel")) == (409, "operation_in_progress")
    payer.reaches(payment["id"], "succeeded")
    books = Books(database, payment["id"])
    assert books.charges() == [("succeeded", 1999)]
    assert books.postings() == {"capture": [1999]}
    assert books.events() == ["payment.created", "payment.succeeded"]
    notices = "select status from webhook_notices where payment_id = :id"
    eventually(lambda: ("processed",) in [tuple(e) for e in rows(database, "payments", notices, id=payment["id"])])
    eventually(lambda: books.notifications(payer.user_id) == ["payment_succeeded"])
    stays(lambda: books.notifications(payer.user_id) == ["payment_succeeded"], during=0.5)


def test_a_slow_payment_fails_by_the_providers_message(payer: Payer, database: Any) -> None:
    payment = payer.paid(payment_method="tok_async_fail")
    assert payment["status"] == "processing"
    failed = payer.reaches(payment["id"], "requires_payment_method")
    assert failed["decline_code"]
    assert Books(database, payment["id"]).postings() == {}


def test_a_refund_that_takes_its_time(payer: Payer, database: Any) -> None:
    payment = payer.paid(payment_method="tok_refund_pending")
    asked = payer.refund(payment["id"], amount=500)
    assert (asked.status_code, asked.json()["status"]) == (201, "pending")
    # What is on its way back is gone for every further one.
    assert code(payer.refund(payment["id"], amount=1500)) == (422, "refund_exceeds_captured")
    payer.refunds_reach(payment["id"], "succeeded")
    assert payer.payment(payment["id"])["amount_refunded"] == 500
    books = Books(database, payment["id"])
    assert books.given_back() == [("succeeded", 500)]
    assert books.postings() == {"capture": [1999], "refund": [500], "refund_settlement": [500]}
    eventually(lambda: books.notifications(payer.user_id) == ["payment_succeeded", "payment_refunded"])


def test_a_refund_that_fails_later_can_be_given_again(payer: Payer, database: Any) -> None:
    payment = payer.paid(payment_method="tok_refund_fail")
    asked = payer.refund(payment["id"])
    assert (asked.status_code, asked.json()["status"]) == (201, "succeeded")
    (refund,) = payer.refunds_reach(payment["id"], "failed")
    assert refund["failure_code"]
    assert payer.payment(payment["id"])["amount_refunded"] == 0
    books = Books(database, payment["id"])
    assert books.postings() == {
        "capture": [1999],
        "refund": [1999],
        "refund_settlement": [1999],
        "refund_return": [1999],
    }
    assert books.balanced()
    assert books.events()[-1] == "payment.refund_failed"
    assert payer.refund(payment["id"]).status_code == 201


def test_what_nobody_captures_expires(payer: Payer, database: Any) -> None:
    payment_id = payer.authorized(payment_method="tok_expires")
    canceled = payer.reaches(payment_id, "canceled")
    assert canceled["cancellation_reason"] == "expired"
    assert Books(database, payment_id).charges() == [("voided", 0)]


# --- money of other kinds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "currency"), [(500, "JPY"), (1230, "KWD"), (1500, "ISK"), (990, "CLP"), (700, "UGX"), (10**12, "EUR")]
)
def test_whole_numbers_of_every_currency_arrive_and_go_back_as_they_are(
    payer: Payer, database: Any, amount: int, currency: str
) -> None:
    payment = payer.paid(amount, currency=currency.lower())
    assert (payment["amount"], payment["currency"], payment["amount_captured"]) == (amount, currency, amount)
    assert payer.refund(payment["id"], amount=1).json()["currency"] == currency
    books = Books(database, payment["id"])
    assert (books.charges(), books.given_back()) == ([("succeeded", amount)], [("succeeded", 1)])


@pytest.mark.parametrize("amount", [0, -1, 10**12 + 1, 10.5, "10", True])
def test_what_is_no_amount_is_refused(payer: Payer, amount: Any) -> None:
    assert payer.pay(amount).status_code == 422


# --- others ---------------------------------------------------------------------------------------------------------


def test_nobody_touches_anothers_payment(payer: Payer, stack: Stack, database: Any) -> None:
    payment_id = payer.authorized()
    stranger = Payer(stack.url)
    stranger.register()
    for what in ("confirm", "capture", "cancel"):
        assert code(stranger.change(payment_id, what)) == (404, "payment_not_found")
        assert Client(stack.url).post(f"/payments/{payment_id}/{what}").status_code == 401
    assert payer.payment(payment_id)["status"] == "requires_capture"
    # A key is its user's own: the same one of somebody else is another.
    first, second = payer.pay(key="mine").json(), stranger.pay(key="mine").json()
    assert first["id"] != second["id"]


def test_a_key_on_another_route_is_another_key(payer: Payer) -> None:
    one, other = payer.authorized(), payer.authorized()
    assert payer.change(one, "capture", key="same").status_code == 200
    assert payer.change(other, "capture", key="same").status_code == 200
    assert "Idempotent-Replayed" not in payer.change(one, "cancel", key="same").headers


def test_one_request_id_leads_from_the_gateway_to_the_books(payer: Payer, stack: Stack, database: Any) -> None:
    request_id = f"pay-{time.time_ns()}"
    body = {"amount": 1999, "currency": "EUR", "payment_method": "tok_visa"}
    headers = {"X-Request-ID": request_id, "Idempotency-Key": "order-1"}
    answer = payer.post("/payments", body, headers=headers)
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (201, request_id)
    entries = "select count(*) from ledger_entries where correlation_id = :id"
    assert rows(database, "payments", entries, id=request_id) == [(2,)]
    audited = "select action from audit_entries where correlation_id = :id order by id"
    actions = [each for (each,) in rows(database, "payments", audited, id=request_id)]
    assert actions == ["payment.created", "charge.requested", "charge.succeeded"]
    events = (
        "select type from outbox where envelope->>'correlation_id' = :id and type like 'payment.%' order by position"
    )
    assert rows(database, "payments", events, id=request_id) == [("payment.created",), ("payment.succeeded",)]
    for process in ("gateway", "payments_svc", "users_svc"):
        eventually(lambda process=process: request_id in stack.log(process), within=5)
