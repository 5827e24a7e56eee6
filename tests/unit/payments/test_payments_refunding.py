"""Refunds: whatever a provider says, they never exceed what was captured, and the books follow."""

import itertools
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_svc.domain.ledger import PostingKind
from payments_svc.domain.money import InvalidAmount
from payments_svc.domain.orders import GiveBack
from payments_svc.domain.outcome import Accepted, MayHaveHappened, Refused, Succeeded
from payments_svc.domain.payment_errors import OperationInProgress
from payments_svc.domain.payment_events import PaymentRefunded, PaymentRefundFailed
from payments_svc.domain.refund import (
    TRANSITIONS,
    IllegalRefundTransition,
    PaymentNotRefundable,
    RefundExceedsCaptured,
    RefundStatus,
)
from tests.fakes.payments import DEADLINES
from tests.unit.payments.paying import (
    CHECK,
    CUSTOMER,
    LATER,
    OUTCOMES,
    SITUATIONS,
    UNREACHABLE,
    assert_sound,
    finish,
    refund_of,
    succeeded,
)

R = RefundStatus
LEGAL = {
    (R.PENDING, R.SUCCEEDED),
    (R.PENDING, R.FAILED),
    (R.PENDING, R.CANCELED),
    (R.PENDING, R.UNKNOWN),
    (R.UNKNOWN, R.SUCCEEDED),
    (R.UNKNOWN, R.FAILED),
    (R.UNKNOWN, R.PENDING),
    (R.SUCCEEDED, R.FAILED),
}
# Another amount than the refund's 400 is no clear answer.
WORDS = OUTCOMES | {
    "succeeded, so much": Succeeded(400, "ref-1"),
    "succeeded, less": Succeeded(399, "ref-1"),
    "succeeded, more": Succeeded(401, "ref-1"),
    "succeeded, all of it": Succeeded(1000),
    "succeeded, nothing": Succeeded(0),
}
# What each outcome makes of a refund in each status; "=" is nothing.
TABLE = {
    R.PENDING: {
        "succeeded": R.SUCCEEDED,
        "succeeded, so much": R.SUCCEEDED,
        "refused": R.FAILED,
        "not executed": R.CANCELED,
        "accepted": "=",
    },
    R.UNKNOWN: {
        "succeeded": R.SUCCEEDED,
        "succeeded, so much": R.SUCCEEDED,
        "refused": R.FAILED,
        "not executed": "=",
        "accepted": R.PENDING,
    },
    R.SUCCEEDED: {"refused": R.FAILED},
    R.FAILED: {},
    R.CANCELED: {},
}


def in_status(status):
    payment = succeeded()
    payment.pull_events(), payment.pull_postings()
    refund = refund_of(payment, 400)
    towards = {R.UNKNOWN: MayHaveHappened(), R.SUCCEEDED: Succeeded(), R.FAILED: Refused("no"), R.CANCELED: UNREACHABLE}
    if status in towards:
        finish(payment, refund, towards[status])
    assert refund.status is status
    return payment, refund


def balances(payment):
    """Return the postings' sums: account → amount."""
    sums = Counter()
    for posting in payment.pull_postings():
        for entry in posting.entries:
            sums[entry.account] += entry.amount
    return {account: amount for account, amount in sums.items() if amount}


@pytest.mark.parametrize("before, after", list(itertools.product(R, R)))
def test_a_refund_goes_where_the_table_says_and_nowhere_else(before, after):
    refund = replace(refund_of(succeeded()), status=before)
    if (before, after) in LEGAL:
        refund.move(after, LATER)
        assert (refund.status, refund.updated_at, refund.next_check_at) == (after, LATER, None)
        return
    with pytest.raises(IllegalRefundTransition):
        refund.move(after, LATER)
    assert refund.status is before


def test_the_table_names_no_other_step():
    assert {(before, after) for before, targets in TRANSITIONS.items() for after in targets} == LEGAL
    assert set(TRANSITIONS) == set(R) == set(TABLE)


@pytest.mark.parametrize("status, outcome", list(itertools.product(R, WORDS)))
def test_what_becomes_of_it(status, outcome):
    payment, refund = in_status(status)
    silence = R.UNKNOWN if status is R.PENDING else "="
    expected = TABLE[status].get(outcome, silence)
    payment.pull_changes()
    finish(payment, refund, WORDS[outcome])
    finish(payment, refund, WORDS[outcome])
    assert refund.status is (status if expected == "=" else expected)
    assert refund.awaits_outcome is (refund.status in (R.PENDING, R.UNKNOWN))
    # Also one that has succeeded: it may come back.
    assert (refund.next_check_at is not None) is (refund.awaits_outcome or refund.status is R.SUCCEEDED)
    assert len(payment.pull_changes()) == (expected != "=")
    assert_sound(payment)
    taken = refund.status in (R.PENDING, R.UNKNOWN, R.SUCCEEDED)
    assert payment.refundable == (600 if taken else 1000)
    # The books say the same: what is owed, what has gone, and nothing if it came back.
    left = {
        R.PENDING: {"sales": 400, "refunds_payable": -400},
        R.UNKNOWN: {"sales": 400, "refunds_payable": -400},
        R.SUCCEEDED: {"sales": 400, "provider:fake": -400},
    }
    assert balances(payment) == left.get(refund.status, {})


def test_a_refund_sets_its_money_aside_at_once():
    payment = succeeded()
    refund = refund_of(payment, 400)
    assert (refund.amount, refund.currency, refund.status, refund.next_check_at) == (400, "EUR", R.PENDING, CHECK)
    assert (refund.payment_id, refund.customer_id) == (payment.id, CUSTOMER)
    assert (payment.amount_refunding, payment.amount_refunded, payment.refundable) == (400, 0, 600)
    assert payment.refund_order(refund) == GiveBack(refund.attempt_id, payment.charge_order(), 400)


def test_a_refund_without_an_amount_is_about_all_that_is_left():
    payment = succeeded()
    refund_of(payment, 400)
    assert refund_of(payment).amount == 600


@pytest.mark.parametrize("amount", [601, 1000, 10**12])
def test_more_than_what_is_left_is_refused(amount):
    payment = succeeded()
    refund_of(payment, 400)
    with pytest.raises(RefundExceedsCaptured, match=r"6\.00 EUR") as refusal:
        refund_of(payment, amount)
    assert refusal.value.details["refundable"] == 600
    assert payment.amount_refunding == 400


def test_when_nothing_is_left_there_is_nothing_to_refund():
    payment = succeeded()
    refund_of(payment)
    with pytest.raises(RefundExceedsCaptured):
        refund_of(payment)


@pytest.mark.parametrize("amount", [0, -1, 1.5, True, "1"])
def test_a_refund_is_of_money(amount):
    with pytest.raises(InvalidAmount):
        refund_of(succeeded(), amount)


@pytest.mark.parametrize("name", sorted(set(SITUATIONS) - {"succeeded"}))
def test_only_what_was_captured_can_be_refunded(name):
    payment = SITUATIONS[name]()
    with pytest.raises(PaymentNotRefundable if payment.operation is None else OperationInProgress):
        refund_of(payment, 1)


def test_a_refund_that_succeeds_is_told():
    payment, refund = in_status(R.SUCCEEDED)
    assert (payment.amount_refunding, payment.amount_refunded, payment.updated_at) == (0, 400, LATER)
    assert payment.pull_events() == [
        (3, PaymentRefunded(str(payment.id), str(CUSTOMER), str(refund.id), 400, "EUR", 400))
    ]


@pytest.mark.parametrize("before", [R.PENDING, R.UNKNOWN, R.SUCCEEDED])
def test_a_refund_that_fails_is_told_and_can_be_made_again(before):
    payment, refund = in_status(before)
    finish(payment, refund, Refused("account_closed"))
    assert refund.failure_code == "account_closed"
    assert (payment.amount_refunding, payment.amount_refunded) == (0, 0)
    failed = PaymentRefundFailed(str(payment.id), str(CUSTOMER), str(refund.id), 400, "EUR", 0, "account_closed")
    assert payment.pull_events()[-1][1] == failed
    assert refund_of(payment, 1000).amount == 1000


def test_a_refund_that_was_not_executed_is_told_to_nobody():
    payment, refund = in_status(R.CANCELED)
    assert (refund.failure_code, payment.pull_events()) == (None, [])


def test_each_look_at_a_refund_is_counted_and_its_reference_kept():
    payment, refund = in_status(R.PENDING)
    finish(payment, refund, Accepted("re-1"))
    assert (refund.next_check_at, refund.checks, refund.provider_reference) == (DEADLINES.accepted, 1, "re-1")
    finish(payment, refund, MayHaveHappened())
    assert (refund.next_check_at, refund.checks) == (DEADLINES.unknown, 2)
    finish(payment, refund, Succeeded(reference="re-2"))
    assert (refund.provider_reference, payment.refund_order(refund).reference) == ("re-2", "re-2")


DAY = timedelta(days=1)


def looked_back(payment, refund, outcome, now):
    payment.settle_refund(refund, outcome, now=now, deadlines=DEADLINES)
    assert refund.status is R.SUCCEEDED
    return None if refund.next_check_at is None else refund.next_check_at - LATER


def test_one_that_has_succeeded_is_asked_about_twice_more():
    payment, refund = in_status(R.SUCCEEDED)
    assert refund.next_check_at == LATER + DAY
    assert looked_back(payment, refund, Succeeded(400), LATER + DAY) == 7 * DAY
    assert looked_back(payment, refund, Succeeded(), LATER + 8 * DAY) is None
    assert refund.updated_at == LATER
    # What was late for the first look is in time for the second.
    payment, refund = in_status(R.SUCCEEDED)
    assert looked_back(payment, refund, Succeeded(), LATER + 3 * DAY) == 7 * DAY
    payment, refund = in_status(R.SUCCEEDED)
    assert looked_back(payment, refund, Succeeded(), LATER + 9 * DAY) is None


@pytest.mark.parametrize("silence", [MayHaveHappened(), UNREACHABLE, Accepted(), Succeeded(399)])
def test_while_nobody_says_clearly_that_it_has_stayed_it_is_asked_about_on_other_days(silence):
    payment, refund = in_status(R.SUCCEEDED)
    for day in (1, 7, 8, 30):
        assert looked_back(payment, refund, silence, LATER + day * DAY) == (day + 1) * DAY
    assert looked_back(payment, refund, Succeeded(400), LATER + 31 * DAY) is None


def test_who_never_says_is_asked_no_more_after_a_month():
    payment, refund = in_status(R.SUCCEEDED)
    assert looked_back(payment, refund, MayHaveHappened(), LATER + 37 * DAY) == 38 * DAY
    assert looked_back(payment, refund, MayHaveHappened(), LATER + 38 * DAY) is None


def test_a_currency_that_is_gone_can_be_given_back_in_parts():
    payment = succeeded()
    payment.currency = "BGN"
    assert refund_of(payment, 300).currency == "BGN"
    with pytest.raises(RefundExceedsCaptured, match=r"7\.00 BGN"):
        refund_of(payment, 701)
    for amount in (0, 1.5):
        with pytest.raises(InvalidAmount):
            refund_of(payment, amount)
    assert refund_of(payment).amount == 700


STEPS = st.lists(
    st.tuples(st.none() | st.integers(1, 1200), st.sampled_from(sorted(OUTCOMES)) | st.none(), st.integers(0, 5)),
    max_size=25,
)


@given(STEPS)
def test_refunds_never_exceed_what_was_captured_and_the_books_agree(steps):
    payment, refunds = succeeded(), []
    for amount, outcome, which in steps:
        if outcome is None or not refunds:
            try:
                refunds.append(refund_of(payment, amount))
            except RefundExceedsCaptured:
                continue
        else:
            finish(payment, refunds[which % len(refunds)], OUTCOMES[outcome])
        # From the refunds themselves, not from the payment's sums, which are what is under test.
        sums = {status: sum(each.amount for each in refunds if each.status is status) for status in R}
        assert sums[R.PENDING] + sums[R.SUCCEEDED] + sums[R.UNKNOWN] <= 1000
        assert payment.amount_refunded == sums[R.SUCCEEDED]
        assert payment.amount_refunding == sums[R.PENDING] + sums[R.UNKNOWN]
    postings = payment.pull_postings()
    kinds = Counter((posting.kind, posting.source_id) for posting in postings)
    assert max(kinds.values()) == kinds[PostingKind.CAPTURE, payment.id] == 1
    found = Counter()
    for posting in postings:
        for entry in posting.entries:
            found[entry.account] += entry.amount
    assert found["provider:fake"] == 1000 - payment.amount_refunded
    assert found["refunds_payable"] == -payment.amount_refunding
    assert found["sales"] == -payment.refundable
