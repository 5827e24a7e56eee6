"""Canceling a payment: at once or by the provider, why, and once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from payments_svc.domain.customer import AccountDisabled
from payments_svc.domain.outcome import (
    Accepted,
    ActionRequired,
    MayHaveHappened,
    NotExecuted,
    ProviderBusy,
    ProviderUnreachable,
    Succeeded,
)
from payments_svc.domain.payment_errors import (
    CancelRefused,
    InvalidCancellationReason,
    OperationInProgress,
    PaymentDeclined,
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


# --- after an attempt that is believed not to have been executed ---


def unexecuted(ask, token="tok_visa", **more):
    """Make an attempt of which the provider has said that it did not execute it."""
    ask.world.provider.answer = NotExecuted("provider_unreachable")
    with pytest.raises(ProviderUnreachable):
        ask.pay(token, **more)
    ask.world.provider.asked.clear()


def test_what_was_surely_not_executed_is_canceled_once_the_provider_says_so(ask):
    unexecuted(ask)
    assert ask.cancel().body["status"] == "canceled"
    assert ask.asked == ["lookup"]


def test_what_was_executed_after_all_is_not_canceled(ask):
    unexecuted(ask)
    ask.world.provider.found = Succeeded(1000)
    with pytest.raises(PaymentNotCancelable):
        ask.cancel()
    assert (ask.payment.status, len(ask.world.postings)) == ("succeeded", 1)


def test_what_was_set_aside_after_all_is_let_go(ask):
    unexecuted(ask, capture_method="manual")
    ask.world.provider._do(ask.payment.charge_order())
    assert ask.cancel().body["status"] == "canceled"
    assert ask.asked == ["lookup", "cancel"]


@pytest.mark.parametrize("silence", [MayHaveHappened(), NotExecuted("provider_error")])
def test_while_the_provider_does_not_say_it_is_not_canceled(ask, silence):
    unexecuted(ask)
    ask.world.provider.found = silence
    with pytest.raises(ProviderUnreachable):
        ask.cancel()
    assert ask.payment.status == "requires_payment_method"
    assert ask.cancel().body["status"] == "canceled"


@pytest.mark.parametrize("found, status", [(Accepted(), "processing"), (ActionRequired(), "requires_action")])
def test_what_the_provider_is_at_after_all_is_not_canceled(ask, found, status):
    unexecuted(ask)
    ask.world.provider.found = found
    with pytest.raises(OperationInProgress):
        ask.cancel()
    assert ask.payment.status == status


def test_a_provider_that_wants_us_to_wait_has_it_tried_again(ask):
    unexecuted(ask)
    ask.world.provider.found = NotExecuted("provider_busy", 7)
    with pytest.raises(ProviderBusy) as refused:
        ask.cancel()
    assert refused.value.details["retry_after"] == 7
    assert ask.payment.status == "requires_payment_method"


def test_without_the_time_to_ask_it_is_not_canceled(ask):
    unexecuted(ask)
    ask.world.rules = replace(ask.world.rules, look_time=timedelta(seconds=8))
    ask.world.time_left = timedelta(seconds=7)
    with pytest.raises(OperationInProgress):
        ask.cancel()
    assert (ask.payment.status, ask.asked) == ("requires_payment_method", [])


@pytest.mark.parametrize("found", [None, Succeeded(1000)])
def test_of_another_attempt_made_meanwhile_nobody_is_sure(ask, found):
    unexecuted(ask)
    lookup = ask.world.provider.lookup

    def slow(order):
        ask.world.provider.lookup = lookup
        ask.world.provider.answer = NotExecuted("provider_unreachable")
        with pytest.raises(ProviderUnreachable):
            ask.confirm(payment_method="tok_other")
        return found

    ask.world.provider.lookup = slow
    with pytest.raises(OperationInProgress):
        ask.cancel()
    assert (ask.payment.status, ask.payment.payment_method) == ("requires_payment_method", "tok_other")


def test_after_a_decline_nobody_is_asked(ask):
    with pytest.raises(PaymentDeclined):
        ask.pay("tok_declined")
    assert ask.cancel().body["status"] == "canceled"
    assert ask.asked == ["charge"]


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
