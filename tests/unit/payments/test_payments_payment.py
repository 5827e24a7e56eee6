"""What a payment and its refunds may become, and what they never may."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.ids import new_id
from payments_svc.domain.details import Details
from payments_svc.domain.money import InvalidAmount, Money
from payments_svc.domain.outcome import (
    MayHaveHappened,
    NotExecuted,
    ProviderError,
    ProviderUnreachable,
    Refused,
    Succeeded,
    refusal_of,
)
from payments_svc.domain.payment import (
    IllegalTransition,
    Payment,
    PaymentCreated,
    PaymentFailed,
    PaymentRefunded,
    PaymentStatus,
    PaymentSucceeded,
)
from payments_svc.domain.refund import (
    IllegalRefundTransition,
    PaymentNotRefundable,
    RefundExceedsCaptured,
    RefundStatus,
)
from tests.fakes.payments import NOON

LATER, CHECK = NOON + timedelta(seconds=1), NOON + timedelta(minutes=5)
UNREACHABLE = NotExecuted("provider_unreachable")
CUSTOMER = new_id()

P, R = PaymentStatus, RefundStatus
# Said a second time here, on purpose: a row that slips into the code's table has to be put here, too.
LEGAL = {
    (P.REQUIRES_PAYMENT_METHOD, P.PROCESSING),
    (P.PROCESSING, P.SUCCEEDED),
    (P.PROCESSING, P.REQUIRES_PAYMENT_METHOD),
    (P.PROCESSING, P.UNKNOWN),
    (P.UNKNOWN, P.SUCCEEDED),
    (P.UNKNOWN, P.REQUIRES_PAYMENT_METHOD),
}
LEGAL_REFUND = {
    (R.PENDING, R.SUCCEEDED),
    (R.PENDING, R.FAILED),
    (R.PENDING, R.CANCELED),
    (R.PENDING, R.UNKNOWN),
    (R.UNKNOWN, R.SUCCEEDED),
    (R.UNKNOWN, R.FAILED),
}


def opened(amount=1000):
    return Payment.open(
        id=new_id(), customer_id=CUSTOMER, money=Money(amount, "EUR"), details=Details("rabbits"), now=NOON
    )


def started(payment=None):
    payment = payment or opened()
    payment.start_attempt(new_id(), payment_method="tok_visa", provider="fake", now=NOON, check_at=CHECK)
    return payment


def settled(outcome, payment=None):
    payment = started(payment)
    payment.settle(outcome, now=LATER, check_at=CHECK)
    return payment


def refund_of(payment, amount=None, **details):
    return payment.open_refund(
        id=new_id(),
        attempt_id=new_id(),
        amount=amount,
        reason=None,
        requested_by=CUSTOMER,
        now=NOON,
        check_at=CHECK,
        **details,
    )


def finish(payment, refund, outcome):
    payment.settle_refund(refund, outcome, now=LATER, check_at=CHECK)


def towards(payment, status):
    """Do what would make the payment's status `status`."""
    match status:
        case P.PROCESSING:
            started(payment)
        case P.SUCCEEDED:
            payment.settle(Succeeded(), now=LATER, check_at=CHECK)
        case P.REQUIRES_PAYMENT_METHOD:
            payment.settle(Refused("declined"), now=LATER, check_at=CHECK)
        case P.UNKNOWN:
            payment.settle(MayHaveHappened(), now=LATER, check_at=CHECK)


REACHED = [P.PROCESSING, P.SUCCEEDED, P.REQUIRES_PAYMENT_METHOD, P.UNKNOWN]


@pytest.mark.parametrize("before, after", list(itertools.product(P, REACHED)))
def test_a_payment_goes_where_the_table_says_and_nowhere_else(before, after):
    payment = opened()
    payment.status = before
    recorded = payment.sequence
    if (before, after) in LEGAL:
        towards(payment, after)
        assert payment.status is after
        return
    with pytest.raises(IllegalTransition):
        towards(payment, after)
    assert (payment.status, payment.amount_captured, payment.sequence) == (before, 0, recorded)


def test_the_table_names_no_other_step():
    from payments_svc.domain.payment import TRANSITIONS

    assert {(before, after) for before, targets in TRANSITIONS.items() for after in targets} == LEGAL
    assert set(TRANSITIONS) == set(P)


@pytest.mark.parametrize("before, after", list(itertools.product(R, R)))
def test_a_refund_goes_where_the_table_says_and_nowhere_else(before, after):
    refund = replace(refund_of(settled(Succeeded())), status=before)
    if (before, after) in LEGAL_REFUND:
        refund.move(after, LATER)
        assert (refund.status, refund.updated_at) == (after, LATER)
        return
    with pytest.raises(IllegalRefundTransition):
        refund.move(after, LATER)
    assert refund.status is before


def test_a_new_payment_waits_for_a_means_of_payment():
    payment = opened()
    assert payment.status is P.REQUIRES_PAYMENT_METHOD
    assert payment.pull_events() == [(1, PaymentCreated(str(payment.id), str(CUSTOMER), 1000, "EUR"))]


def test_an_attempt_is_noted_before_it_is_made():
    payment = opened()
    attempt = new_id()
    payment.start_attempt(attempt, payment_method="tok_visa", provider="fake", now=LATER, check_at=CHECK)
    assert (payment.status, payment.attempt_id, payment.payment_method) == (P.PROCESSING, attempt, "tok_visa")
    assert (payment.provider, payment.next_check_at, payment.updated_at) == ("fake", CHECK, LATER)


def test_success_captures_the_whole_amount():
    payment = settled(Succeeded())
    assert (payment.status, payment.amount_captured, payment.next_check_at) == (P.SUCCEEDED, 1000, None)
    assert payment.pull_events()[-1] == (2, PaymentSucceeded(str(payment.id), str(CUSTOMER), 1000, "EUR"))


def test_a_decline_leaves_the_payment_open():
    payment = settled(Refused("expired_card"))
    assert (payment.status, payment.amount_captured, payment.decline_code) == (
        P.REQUIRES_PAYMENT_METHOD,
        0,
        "expired_card",
    )
    assert payment.pull_events()[-1] == (2, PaymentFailed(str(payment.id), str(CUSTOMER), 1000, "EUR", "expired_card"))


def test_a_new_attempt_forgets_why_the_last_one_was_declined():
    payment = started(settled(Refused("expired_card")))
    assert payment.decline_code is None


def test_what_was_not_executed_leaves_the_payment_open_and_tells_nobody():
    payment = settled(UNREACHABLE)
    assert (payment.status, payment.decline_code, payment.next_check_at) == (P.REQUIRES_PAYMENT_METHOD, None, None)
    assert [event.type for _, event in payment.pull_events()] == ["payment.created"]


def test_what_may_have_happened_is_unknown_and_will_be_asked_about():
    payment = settled(MayHaveHappened())
    assert (payment.status, payment.next_check_at, payment.amount_captured) == (P.UNKNOWN, CHECK, 0)
    assert [event.type for _, event in payment.pull_events()] == ["payment.created"]


@pytest.mark.parametrize(
    "outcome, open_",
    [(None, True), (MayHaveHappened(), True), (Succeeded(), False), (Refused("x"), False), (UNREACHABLE, False)],
)
def test_only_an_open_attempt_awaits_its_outcome(outcome, open_):
    payment = started() if outcome is None else settled(outcome)
    assert payment.awaits(payment.attempt_id) is open_
    assert not payment.awaits(new_id())


@pytest.mark.parametrize(
    "reason, error", [("provider_unreachable", ProviderUnreachable), ("provider_error", ProviderError)]
)
def test_a_provider_that_did_nothing_is_told_as_such(reason, error):
    refusal = refusal_of(NotExecuted(reason))
    assert type(refusal) is error
    assert (refusal.kind, refusal.code) == ("unavailable", reason)
    assert refusal.details["retry_after"] >= 1


# --- refunds ---


def test_a_refund_sets_its_money_aside_at_once():
    payment = settled(Succeeded())
    refund = refund_of(payment, 400)
    assert (refund.amount, refund.currency, refund.status, refund.next_check_at) == (400, "EUR", R.PENDING, CHECK)
    assert (refund.payment_id, refund.customer_id) == (payment.id, CUSTOMER)
    assert (payment.amount_refunding, payment.amount_refunded, payment.refundable) == (400, 0, 600)


def test_a_refund_without_an_amount_is_about_all_that_is_left():
    payment = settled(Succeeded())
    refund_of(payment, 400)
    assert refund_of(payment).amount == 600


@pytest.mark.parametrize("amount", [601, 1000, 10**12])
def test_more_than_what_is_left_is_refused(amount):
    payment = settled(Succeeded())
    refund_of(payment, 400)
    with pytest.raises(RefundExceedsCaptured, match=r"6\.00 EUR") as refusal:
        refund_of(payment, amount)
    assert refusal.value.details["refundable"] == 600
    assert payment.amount_refunding == 400


def test_when_nothing_is_left_there_is_nothing_to_refund():
    payment = settled(Succeeded())
    refund_of(payment)
    with pytest.raises(RefundExceedsCaptured):
        refund_of(payment)


@pytest.mark.parametrize("amount", [0, -1, 1.5, True, "1"])
def test_a_refund_is_of_money(amount):
    with pytest.raises(InvalidAmount):
        refund_of(settled(Succeeded()), amount)


@pytest.mark.parametrize("outcome", [Refused("declined"), UNREACHABLE, MayHaveHappened()])
def test_only_what_was_captured_can_be_refunded(outcome):
    with pytest.raises(PaymentNotRefundable):
        refund_of(settled(outcome), 1)


def test_a_refund_that_succeeds_is_told():
    payment = settled(Succeeded())
    refund = refund_of(payment, 400)
    finish(payment, refund, Succeeded())
    assert (refund.status, refund.next_check_at, refund.awaits_outcome) == (R.SUCCEEDED, None, False)
    assert (payment.amount_refunding, payment.amount_refunded, payment.updated_at) == (0, 400, LATER)
    assert payment.pull_events()[-1] == (
        3,
        PaymentRefunded(str(payment.id), str(CUSTOMER), str(refund.id), 400, "EUR", 400),
    )


@pytest.mark.parametrize(
    "outcome, status, failure_code",
    [(Refused("charge_not_found"), R.FAILED, "charge_not_found"), (UNREACHABLE, R.CANCELED, None)],
)
def test_a_refund_that_did_not_happen_gives_its_money_free(outcome, status, failure_code):
    payment = settled(Succeeded())
    refund = refund_of(payment, 400)
    finish(payment, refund, outcome)
    assert (refund.status, refund.failure_code, refund.awaits_outcome) == (status, failure_code, False)
    assert (payment.amount_refunding, payment.amount_refunded, payment.refundable) == (0, 0, 1000)


def test_a_refund_that_may_have_happened_counts_as_taken():
    payment = settled(Succeeded())
    refund = refund_of(payment, 400)
    finish(payment, refund, MayHaveHappened())
    assert (refund.status, refund.next_check_at, refund.awaits_outcome) == (R.UNKNOWN, CHECK, True)
    assert payment.refundable == 600
    finish(payment, refund, Succeeded())
    assert (payment.amount_refunding, payment.amount_refunded) == (0, 400)


OUTCOMES = st.sampled_from([Succeeded(), Refused("no"), UNREACHABLE, MayHaveHappened()])
STEPS = st.lists(st.tuples(st.none() | st.integers(1, 1200), OUTCOMES | st.none(), st.integers(0, 5)), max_size=25)


@given(STEPS)
def test_refunds_never_exceed_what_was_captured(steps):
    payment = settled(Succeeded())
    refunds = []
    for amount, outcome, which in steps:
        try:
            if outcome is None or not refunds:
                refunds.append(refund_of(payment, amount))
            else:
                finish(payment, refunds[which % len(refunds)], outcome)
        except (RefundExceedsCaptured, IllegalRefundTransition):
            pass
        # From the refunds themselves, not from the payment's sums, which are what is under test.
        sums = {status: sum(each.amount for each in refunds if each.status is status) for status in R}
        assert sums[R.PENDING] + sums[R.SUCCEEDED] + sums[R.UNKNOWN] <= 1000
        assert payment.amount_refunded == sums[R.SUCCEEDED]
        assert payment.amount_refunding == sums[R.PENDING] + sums[R.UNKNOWN]
