"""Capturing what was set aside: who may, how much, and once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from payments_svc.domain.customer import AccountDisabled
from payments_svc.domain.idempotency import IdempotencyInProgress
from payments_svc.domain.ledger import PostingKind
from payments_svc.domain.money import InvalidAmount
from payments_svc.domain.outcome import MayHaveHappened, NotExecuted, ProviderError
from payments_svc.domain.payment_errors import (
    CaptureExceedsAuthorized,
    CaptureNotAllowed,
    CaptureRefused,
    OperationInProgress,
    PaymentNotCancelable,
    PaymentNotCapturable,
    PaymentNotFound,
)
from tests.fakes.payments import FakeWorld
from tests.unit.payments.asking import BOB, Asking


@pytest.fixture
def ask():
    ask = Asking(FakeWorld())
    answer = ask.authorize()
    assert (answer.body["status"], answer.body["amount_capturable"]) == ("requires_capture", 1000)
    ask.world.provider.asked.clear()
    return ask


def test_without_an_amount_all_is_captured(ask):
    answer = ask.capture()
    assert (answer.body["status"], answer.body["amount_captured"], answer.replayed) == ("succeeded", 1000, False)
    assert ask.world.provider.charged == {ask.payment.attempt_id: 1000}
    assert [posting.kind for posting in ask.world.postings] == [PostingKind.CAPTURE]
    assert [event.type for event in ask.world.events] == ["payment.created", "payment.authorized", "payment.succeeded"]
    assert ask.capture() == replace(answer, replayed=True)
    assert ask.asked == ["capture"]


def test_of_a_part_the_rest_is_let_go(ask):
    assert ask.capture(400).body["amount_captured"] == 400
    assert (ask.payment.amount_capturable, ask.payment.refundable) == (0, 400)
    with pytest.raises(PaymentNotCapturable):
        ask.capture(400, idempotency_key="again")


@pytest.mark.parametrize(
    "amount, error", [(1001, CaptureExceedsAuthorized), (0, InvalidAmount), (1.5, InvalidAmount), (True, InvalidAmount)]
)
def test_a_bad_amount_leaves_nothing_and_does_not_burn_the_key(ask, amount, error):
    with pytest.raises(error):
        ask.capture(amount)
    assert ask.asked == []
    assert not ask.capture().replayed


def test_what_was_not_set_aside_is_not_captured():
    ask = Asking(FakeWorld())
    ask.pay()
    with pytest.raises(PaymentNotCapturable):
        ask.capture()


# --- who may ---


def test_whoever_may_not_capture_is_told_nothing_else(ask):
    with pytest.raises(CaptureNotAllowed):
        ask.capture(may_capture=False, payment_id="nonsense", user_id="nobody")


def test_the_payment_of_somebody_else_is_not_found(ask):
    with pytest.raises(PaymentNotFound):
        ask.capture(user_id=BOB)


def test_the_staff_captures_for_others_and_the_trail_says_so(ask):
    ask.capture(user_id=BOB, may_act_for_others=True)
    assert ask.world.trail[-2:] == [("capture.requested", "staff"), ("capture.succeeded", "staff")]


def test_a_disabled_customer_captures_nothing_and_the_staff_does(ask):
    next(iter(ask.world.customers.values())).disable(sequence=2)
    with pytest.raises(AccountDisabled):
        ask.capture()
    assert ask.capture(user_id=BOB, may_act_for_others=True).body["status"] == "succeeded"


# --- what becomes of it ---


def test_a_refusal_is_told_again_and_again_and_leaves_it_capturable():
    ask = Asking(FakeWorld())
    ask.authorize("tok_capture_refused")
    for replayed in (False, True):
        with pytest.raises(CaptureRefused) as refusal:
            ask.capture()
        assert refusal.value.details == {
            "decline_code": "issuer_refused",
            "payment_id": str(ask.payment.id),
            "replayed": replayed,
        }
    assert ask.payment.amount_capturable == 1000
    assert ask.asked.count("capture") == 1
    assert ask.cancel().body["status"] == "canceled"


def test_a_lost_answer_leaves_the_capture_unknown_and_not_the_payment():
    ask = Asking(FakeWorld())
    ask.authorize("tok_capture_timeout")
    body = ask.capture(400).body
    assert (body["status"], body["operation"], body["operation_status"]) == ("requires_capture", "capture", "unknown")
    assert body["next_check_at"] == "2026-01-31T12:05:00Z"
    # It is known by the time that anybody asks for something else.
    with pytest.raises(PaymentNotCancelable):
        ask.cancel()
    assert (ask.payment.status, ask.payment.amount_captured) == ("succeeded", 400)
    # An unknown answer was not kept.
    again = ask.capture(400)
    assert (again.body["status"], again.replayed) == ("succeeded", True)


def test_what_was_not_executed_can_be_captured_with_the_same_key(ask):
    ask.world.provider.answer = NotExecuted("provider_error")
    with pytest.raises(ProviderError):
        ask.capture()
    assert (ask.payment.operation, ask.payment.status) == (None, "requires_capture")
    assert ask.capture().body["status"] == "succeeded"
    assert len({attempt for _, attempt in ask.world.provider.asked}) == 1


def test_an_authorization_that_is_gone_cancels_the_payment(ask):
    ask.world.provider.expire(ask.payment.attempt_id)
    for replayed in (False, True):
        with pytest.raises(CaptureRefused) as refused:
            ask.capture()
        told = refused.value.details
        assert (told["decline_code"], told["payment_id"]) == ("authorization_expired", str(ask.payment.id))
        assert told["replayed"] is replayed
        # The answer expires; the money is gone all the same.
        ask.world.time += timedelta(days=2)
    assert (ask.payment.status, ask.payment.cancellation_reason) == ("canceled", "expired")


def test_while_a_capture_is_running_nothing_else_begins(ask):
    told = []

    def meanwhile():
        for call in (ask.cancel, lambda: ask.capture(idempotency_key="other"), ask.refund):
            ask.world.provider.found = MayHaveHappened()
            with pytest.raises(OperationInProgress):
                call()
        with pytest.raises(IdempotencyInProgress):
            ask.capture()
        told.append(True)

    ask.world.provider.during = meanwhile
    assert ask.capture().body["status"] == "succeeded"
    assert told
    assert ask.world.provider.charged == {ask.payment.attempt_id: 1000}


@pytest.mark.parametrize("before", [True, False])
def test_a_crash_is_completed_with_the_same_attempt(ask, before):
    with ask.dying(before=before):
        ask.capture(400)
    ask.wait()
    assert ask.capture(400).body["amount_captured"] == 400
    assert ask.asked == (["lookup", "capture"] if before else ["lookup"])


def test_when_the_answer_has_expired_it_is_made_from_the_payment(ask):
    ask.capture()
    ask.world.time += timedelta(days=2)
    again = ask.capture()
    assert (again.body["status"], again.replayed, ask.asked) == ("succeeded", True, ["capture"])
