"""Refunding: who may, how much, and that it happens once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lib.ids import new_id
from payments_svc.application.create_payment import create_payment
from payments_svc.application.refund_payment import refund_payment
from payments_svc.domain.arguments import InvalidText
from payments_svc.domain.card_numbers import CardNumberRefused
from payments_svc.domain.idempotency import (
    ClaimStatus,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
)
from payments_svc.domain.money import InvalidAmount
from payments_svc.domain.outcome import MayHaveHappened, NotExecuted, ProviderUnreachable, Refused, Succeeded
from payments_svc.domain.payment_errors import PaymentNotFound
from payments_svc.domain.refund import PaymentNotRefundable, RefundExceedsCaptured, RefundNotAllowed, RefundStatus
from tests.fakes.payments import DEADLINES, FakeWorld

ANN, BOB = str(new_id()), str(new_id())


@pytest.fixture
def world():
    return FakeWorld()


@pytest.fixture
def payment_id(world):
    return paid(world)


def paid(world, key="payment"):
    answer = create_payment(
        world.ports(), user_id=ANN, amount=1000, currency="EUR", idempotency_key=key, payment_method="tok_visa"
    )
    world.provider.asked.clear()
    return answer.body["id"]


@pytest.fixture
def give_back(world, payment_id):
    def give_back(**changes):
        request = {"user_id": ANN, "payment_id": payment_id, "idempotency_key": "key-1", "may_refund": True}
        return refund_payment(world.ports(), **{**request, **changes})

    return give_back


def only(things):
    (one,) = things.values()
    return one


def claim_of_refund(world):
    (claim,) = [each for each in world.claims.values() if each.refund_id]
    return claim


class Crash(BaseException):
    """The process ends here: nothing below catches it."""


def crash():
    raise Crash


def test_without_an_amount_all_goes_back(world, give_back, payment_id):
    answer = give_back(reason="too many rabbits")
    refund = only(world.refunds)
    assert (answer.body["id"], answer.replayed) == (str(refund.id), False)
    assert (refund.amount, refund.status, refund.reason) == (1000, RefundStatus.SUCCEEDED, "too many rabbits")
    assert (str(refund.payment_id), str(refund.requested_by)) == (payment_id, ANN)
    assert world.provider.refunded == {refund.attempt_id: 1000}
    assert only(world.payments).amount_refunded == 1000
    assert world.events[-1].type == "payment.refunded"


def test_a_part_goes_back(world, give_back):
    assert give_back(amount=400).body["amount"] == 400
    assert only(world.payments).refundable == 600


def test_two_equal_parts_with_two_keys_both_go_back(world, give_back):
    give_back(amount=300)
    give_back(amount=300, idempotency_key="key-2")
    assert sorted(world.provider.refunded.values()) == [300, 300]
    assert only(world.payments).amount_refunded == 600


def test_more_than_was_captured_does_not(world, give_back):
    give_back(amount=600)
    with pytest.raises(RefundExceedsCaptured):
        give_back(amount=401, idempotency_key="key-2")
    assert sum(world.provider.refunded.values()) == 600
    assert give_back(amount=400, idempotency_key="key-2").body["status"] == "succeeded"


def test_what_the_provider_refuses_has_failed_and_stays_refundable(world, give_back):
    world.provider.charged.clear()
    answer = give_back(amount=400)
    assert (answer.body["status"], answer.body["failure_code"]) == ("failed", "charge_not_found")
    assert only(world.payments).refundable == 1000
    assert give_back(amount=400) == replace(answer, replayed=True)


def test_what_may_have_happened_is_unknown_and_counts(world, give_back):
    world.provider.answer = MayHaveHappened()
    answer = give_back(amount=400)
    assert (answer.body["status"], answer.body["next_check_at"]) == ("unknown", "2026-01-31T12:05:00Z")
    with pytest.raises(RefundExceedsCaptured):
        give_back(amount=601, idempotency_key="key-2")


# --- who may ---


def test_whoever_may_not_refund_is_told_nothing_else(world, give_back):
    with pytest.raises(RefundNotAllowed):
        give_back(may_refund=False, payment_id="nonsense", user_id="nobody")
    assert world.refunds == {}


@pytest.mark.parametrize("payment_id", ["nonsense", str(new_id()), None])
def test_a_payment_that_is_not_there_is_not_found(give_back, payment_id):
    with pytest.raises(PaymentNotFound):
        give_back(payment_id=payment_id)


def test_the_payment_of_somebody_else_is_not_found_either(world, give_back):
    with pytest.raises(PaymentNotFound):
        give_back(user_id=BOB)
    assert len(world.claims) == 1


def test_the_staff_refunds_for_others(world, give_back):
    give_back(user_id=BOB, may_refund_for_others=True)
    refund = only(world.refunds)
    assert (str(refund.requested_by), str(refund.customer_id)) == (BOB, ANN)


# --- what is refused before anything happens ---


@pytest.mark.parametrize(
    "changes, error",
    [
        ({"idempotency_key": "a b"}, InvalidIdempotencyKey),
        ({"amount": 0}, InvalidAmount),
        ({"amount": 1.5}, InvalidAmount),
        ({"amount": 1001}, RefundExceedsCaptured),
        ({"reason": ""}, InvalidText),
        ({"reason": "to 4111 1111 1111 1111"}, CardNumberRefused),
    ],
)
def test_a_bad_request_leaves_nothing_and_does_not_burn_its_key(world, give_back, changes, error):
    with pytest.raises(error):
        give_back(**changes)
    assert (world.refunds, world.provider.asked, only(world.payments).refundable) == ({}, [], 1000)
    assert not give_back().replayed


def test_a_payment_that_was_not_captured_has_nothing_to_refund(world, give_back):
    answer = create_payment(world.ports(), user_id=ANN, amount=1000, currency="EUR", idempotency_key="open")
    with pytest.raises(PaymentNotRefundable):
        give_back(payment_id=answer.body["id"])


# --- the same request again ---


def test_the_same_again_gives_the_same_answer_and_one_refund(world, give_back):
    first = give_back(amount=400)
    assert give_back(amount=400) == replace(first, replayed=True)
    assert len(world.refunds) == len(world.provider.refunded) == 1


@pytest.mark.parametrize("changes", [{"amount": 401}, {"amount": None}, {"reason": "x"}])
def test_the_same_key_for_something_else_is_refused(world, give_back, changes):
    give_back(amount=400)
    with pytest.raises(IdempotencyKeyReused):
        give_back(**{"amount": 400, **changes})


def test_the_keys_of_two_payments_have_nothing_to_do_with_each_other(world, give_back):
    give_back()
    assert not give_back(payment_id=paid(world, "second")).replayed


def test_a_key_of_a_payment_is_free_for_its_refund(give_back):
    assert not give_back(idempotency_key="payment").replayed


def test_when_the_answer_has_expired_it_is_made_from_the_refund(world, give_back):
    first = give_back()
    world.time += world.rules.answer_ttl
    only(world.refunds).failure_code = "later"
    assert give_back() == replace(first, body={**first.body, "failure_code": "later"}, replayed=True)


def test_an_unknown_refund_is_answered_as_it_is_by_now(world, give_back):
    world.provider.answer = MayHaveHappened()
    give_back(amount=400)
    only(world.payments).settle_refund(only(world.refunds), Succeeded(), now=world.time, deadlines=DEADLINES)
    again = give_back(amount=400)
    assert (again.body["status"], again.replayed) == ("succeeded", True)


def test_what_was_not_executed_is_canceled_and_another_takes_its_place(world, give_back):
    world.provider.answer = NotExecuted("provider_unreachable")
    with pytest.raises(ProviderUnreachable):
        give_back()
    (canceled,) = world.refunds.values()
    assert canceled.status is RefundStatus.CANCELED
    assert only(world.payments).refundable == 1000
    answer = give_back()
    assert (answer.body["status"], answer.replayed) == ("succeeded", False)
    assert answer.body["id"] != str(canceled.id)
    assert len(world.provider.refunded) == 1
    assert give_back() == replace(answer, replayed=True)


# --- at the same time, and after a crash ---


def test_claim_and_result_are_two_transactions_and_the_provider_is_asked_between(world, give_back):
    before, commits = world.database.commits, []
    world.provider.during = lambda: commits.append(world.database.commits - before)
    give_back()
    assert (commits, world.database.commits - before) == ([1], 2)


def test_while_the_first_is_running_the_second_has_to_wait(world, give_back):
    refused = []

    def meanwhile():
        with pytest.raises(IdempotencyInProgress):
            give_back(amount=400)
        with pytest.raises(RefundExceedsCaptured):
            give_back(amount=601, idempotency_key="key-2")
        refused.append(True)

    world.provider.during = meanwhile
    give_back(amount=400)
    assert refused
    assert len(world.provider.refunded) == 1


@pytest.mark.parametrize("patient", [True, False], ids=["after the time-out", "redelivered"])
def test_a_crash_after_the_refund_is_completed_without_refunding_again(world, give_back, patient):
    world.provider.during = crash
    with pytest.raises(Crash):
        give_back(amount=400)
    refund_id = only(world.refunds).id
    world.time += world.rules.patience if patient else timedelta(0)
    answer = give_back(amount=400, redelivered=not patient)
    assert (answer.body["id"], answer.body["status"]) == (str(refund_id), "succeeded")
    assert [question for question, _ in world.provider.asked] == ["refund", "lookup"]
    assert sum(world.provider.refunded.values()) == only(world.payments).amount_refunded == 400


def test_a_crash_before_the_refund_is_completed_with_the_same_attempt(world, give_back):
    execute = world.provider.execute
    world.provider.execute = lambda _: crash()
    with pytest.raises(Crash):
        give_back()
    world.provider.execute = execute
    world.time += world.rules.patience
    assert give_back().body["status"] == "succeeded"
    assert world.provider.asked == [(each, claim_of_refund(world).attempt_id) for each in ("lookup", "refund")]


def test_a_slow_process_does_not_write_over_the_result_of_the_one_that_took_over(world, give_back):
    answers = []

    def take_over():
        world.time += world.rules.patience
        answers.append(give_back(amount=400))

    world.provider.during = take_over
    assert give_back(amount=400) == replace(answers[0], replayed=True)
    assert only(world.payments).amount_refunded == 400


def test_a_slow_process_answers_from_the_refund_when_no_answer_is_kept(world, give_back):
    def take_over():
        world.time += world.rules.patience
        give_back(amount=400)
        claim_of_refund(world).answer = None

    world.provider.during = take_over
    assert give_back(amount=400).body["status"] == "succeeded"


def test_a_slow_process_that_was_not_executed_does_not_free_what_another_is_doing(world, give_back):
    def take_over():
        world.time += world.rules.patience
        world.provider.during = crash
        with pytest.raises(Crash):
            give_back(amount=400)

    world.provider.during = take_over
    world.provider.answer = NotExecuted("provider_unreachable")
    with pytest.raises(IdempotencyInProgress):
        give_back(amount=400)
    assert claim_of_refund(world).status is ClaimStatus.RUNNING
    assert only(world.payments).refundable == 600


def test_an_outcome_that_was_found_out_meanwhile_stays(world, give_back):
    def found_out():
        only(world.payments).version += 1
        only(world.payments).settle_refund(only(world.refunds), Refused("late"), now=world.time, deadlines=DEADLINES)

    world.provider.during = found_out
    assert give_back(amount=400).body["status"] == "failed"
    assert only(world.payments).refundable == 1000
