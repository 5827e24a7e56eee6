"""Canceling a payment: at once or by the provider, why, and once."""

from dataclasses import replace

import pytest

from payments_svc.domain.customer import AccountDisabled
from payments_svc.domain.outcome import NotExecuted, ProviderUnreachable
from payments_svc.domain.payment_errors import (
    CancelRefused,
    InvalidCancellationReason,
    OperationInProgress,
    PaymentNotCancelable,
    PaymentNotFound,
)
from tests.fakes.payments import FakeWorld
from tests.unit.payments.asking import BOB, Asking


@pytest.fixture
def ask():
    return Asking(FakeWorld())


@pytest.mark.parametrize("token", [None, "tok_visa"])
def test_what_no_provider_knows_of_is_canceled_at_once(ask, token):
    ask.pay(token, confirm=False)
    answer = ask.cancel()
    assert (answer.body["status"], answer.body["cancellation_reason"]) == ("canceled", "requested_by_customer")
    assert ask.asked == []
    assert ask.cancel() == replace(answer, replayed=True)
    assert [event.type for event in ask.world.events] == ["payment.created", "payment.canceled"]


@pytest.mark.parametrize("token, manual", [("tok_visa", True), ("tok_3ds", False)])
def test_what_the_provider_holds_is_let_go(ask, token, manual):
    ask.pay(token, capture_method="manual" if manual else "automatic")
    answer = ask.cancel(reason="duplicate")
    assert (answer.body["status"], answer.body["cancellation_reason"]) == ("canceled", "duplicate")
    assert ask.asked == ["charge", "cancel"]
    assert ask.cancel(reason="duplicate") == replace(answer, replayed=True)
    assert ask.world.provider.charged == {}
    assert ask.world.postings == []


def test_a_canceled_payment_gives_its_reference_free(ask):
    ask.pay(None, reference="order-17")
    ask.cancel()
    assert ask.pay(reference="order-17", idempotency_key="2").body["status"] == "succeeded"


@pytest.mark.parametrize("reason", ["", "expired", "provider", "because", 1, [], {"a": 1}])
def test_a_reason_is_one_that_callers_may_give(ask, reason):
    ask.authorize()
    with pytest.raises(InvalidCancellationReason):
        ask.cancel(reason=reason)
    assert ask.cancel().body["status"] == "canceled"


def test_what_has_succeeded_or_is_canceled_is_not_canceled(ask):
    ask.pay()
    with pytest.raises(PaymentNotCancelable):
        ask.cancel()
    other = ask.pay(None, idempotency_key="2").body["id"]
    ask.cancel(payment_id=other)
    with pytest.raises(PaymentNotCancelable):
        ask.cancel(payment_id=other, idempotency_key="again")


def test_what_the_provider_is_at_is_not_canceled(ask):
    ask.pay("tok_async")
    with pytest.raises(OperationInProgress):
        ask.cancel()
    ask.world.provider.let_time_pass()
    with pytest.raises(PaymentNotCancelable):
        ask.cancel()
    assert ask.payment.status == "succeeded"


def test_a_refusal_is_told_again_and_again(ask):
    ask.authorize()
    ask.world.provider.charged[ask.payment.attempt_id] = 1000
    ask.world.provider._charges[ask.payment.attempt_id].outcome = ask.world.provider._take(
        replace(ask.payment.charge_order(), capture=True)
    )
    for replayed in (False, True):
        with pytest.raises(CancelRefused) as refusal:
            ask.cancel()
        assert refusal.value.details["decline_code"] == "too_late"
        assert refusal.value.details["replayed"] is replayed
    # The charge is looked at soon: the provider sees it in another state than we do.
    assert ask.payment.next_check_at == ask.world.time + ask.world.rules.check_schedule[0]


def test_a_lost_answer_leaves_the_cancellation_unknown(ask):
    ask.authorize("tok_cancel_timeout")
    body = ask.cancel().body
    assert (body["status"], body["operation"], body["operation_status"]) == ("requires_capture", "cancel", "unknown")
    with pytest.raises(PaymentNotCancelable):
        ask.cancel(idempotency_key="again")
    assert ask.cancel().body["status"] == "canceled"


def test_what_was_not_executed_can_be_canceled_with_the_same_key(ask):
    ask.authorize()
    ask.world.provider.answer = NotExecuted("provider_unreachable")
    with pytest.raises(ProviderUnreachable):
        ask.cancel()
    assert ask.payment.cancellation_reason is None
    assert ask.cancel().body["status"] == "canceled"


@pytest.mark.parametrize("before", [True, False])
def test_a_crash_is_completed_with_the_same_attempt(ask, before):
    ask.authorize()
    with ask.dying(before=before):
        ask.cancel()
    ask.wait()
    assert ask.cancel().body["status"] == "canceled"
    assert ask.asked == (["lookup", "cancel"] if before else ["lookup"])


def test_the_payment_of_somebody_else_is_not_found(ask):
    ask.authorize()
    with pytest.raises(PaymentNotFound):
        ask.cancel(user_id=BOB)


def test_the_staff_cancels_for_others_and_the_trail_says_why(ask):
    ask.authorize()
    ask.cancel(user_id=BOB, may_act_for_others=True, reason="fraudulent")
    assert ask.world.trail[-2:] == [("cancel.requested", "staff"), ("cancel.voided", "staff")]
    assert [str(line.by.reason) for line in ask.world.database.committed.trail[-2:]] == ["fraudulent", "fraudulent"]


def test_a_disabled_customer_cancels_nothing_and_the_staff_does(ask):
    ask.authorize()
    next(iter(ask.world.customers.values())).disable(sequence=2)
    with pytest.raises(AccountDisabled):
        ask.cancel()
    assert ask.cancel(user_id=BOB, may_act_for_others=True).body["status"] == "canceled"
