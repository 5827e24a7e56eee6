"""What a payment may become, what may be begun with it, and what is asked of the provider then."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.ids import new_id
from payments_svc.domain.money import InvalidAmount
from payments_svc.domain.orders import Authentication, Capture, Charge, Void
from payments_svc.domain.outcome import (
    Authorized,
    MayHaveHappened,
    NotExecuted,
    ProviderBusy,
    ProviderError,
    ProviderUnreachable,
    Refused,
    refusal_of,
)
from payments_svc.domain.payment_errors import (
    CaptureExceedsAuthorized,
    IllegalTransition,
    OperationInProgress,
    PaymentMethodRequired,
    PaymentNotCancelable,
    PaymentNotCapturable,
    PaymentNotConfirmable,
)
from payments_svc.domain.payment_events import PaymentCanceled, PaymentCreated
from payments_svc.domain.payment_status import TRANSITIONS, CancellationReason, CaptureMethod, PaymentStatus
from tests.fakes.payments import NOON
from tests.unit.payments.paying import (
    CHECK,
    CUSTOMER,
    LATER,
    SITUATIONS,
    UNREACHABLE,
    UNTIL,
    acting,
    assert_sound,
    authenticating,
    authorized,
    canceling,
    capturing,
    charging,
    opened,
    settled,
    situation,
    succeeded,
)

P = PaymentStatus
# Said a second time here, on purpose: a row that slips into the code's table has to be put here, too.
LEGAL = {
    (P.REQUIRES_PAYMENT_METHOD, P.PROCESSING),
    (P.REQUIRES_PAYMENT_METHOD, P.CANCELED),
    (P.REQUIRES_PAYMENT_METHOD, P.SUCCEEDED),
    (P.REQUIRES_PAYMENT_METHOD, P.REQUIRES_CAPTURE),
    (P.REQUIRES_PAYMENT_METHOD, P.REQUIRES_ACTION),
    (P.REQUIRES_CONFIRMATION, P.PROCESSING),
    (P.REQUIRES_CONFIRMATION, P.CANCELED),
    *itertools.product(
        (P.PROCESSING, P.UNKNOWN),
        (P.SUCCEEDED, P.REQUIRES_CAPTURE, P.REQUIRES_ACTION, P.REQUIRES_PAYMENT_METHOD, P.CANCELED),
    ),
    (P.PROCESSING, P.UNKNOWN),
    (P.UNKNOWN, P.PROCESSING),
    (P.REQUIRES_ACTION, P.PROCESSING),
    (P.REQUIRES_ACTION, P.SUCCEEDED),
    (P.REQUIRES_ACTION, P.REQUIRES_CAPTURE),
    (P.REQUIRES_ACTION, P.REQUIRES_PAYMENT_METHOD),
    (P.REQUIRES_ACTION, P.CANCELED),
    (P.REQUIRES_CAPTURE, P.SUCCEEDED),
    (P.REQUIRES_CAPTURE, P.CANCELED),
}


@pytest.mark.parametrize("before, after", list(itertools.product(P, P)))
def test_a_payment_goes_where_the_table_says_and_nowhere_else(before, after):
    payment = opened()
    payment.status = before
    if (before, after) in LEGAL:
        payment._move(after, LATER)
        assert (payment.status, payment.updated_at) == (after, LATER)
        return
    with pytest.raises(IllegalTransition):
        payment._move(after, LATER)
    assert (payment.status, payment.updated_at) == (before, NOON)


def test_the_table_names_no_other_step():
    assert {(before, after) for before, targets in TRANSITIONS.items() for after in targets} == LEGAL
    assert set(TRANSITIONS) == set(P)


def begin_charge(payment, token="tok_other"):
    payment.begin_charge(new_id(), payment_method=token, provider="other", now=LATER, check_at=CHECK)


def begin_authentication(payment):
    payment.begin_authentication(new_id(), result=None, now=LATER, check_at=CHECK)


def begin_capture(payment, amount=None):
    payment.begin_capture(new_id(), amount=amount, now=LATER, check_at=CHECK)


def begin_cancel(payment):
    payment.begin_cancel(new_id(), reason=CancellationReason.DUPLICATE, now=LATER, check_at=CHECK)


CHARGEABLE = {"new", "to confirm", "declined", "not executed"}
BEGINNINGS = [
    (begin_charge, CHARGEABLE, PaymentNotConfirmable),
    (begin_authentication, {"acting"}, PaymentNotConfirmable),
    (begin_capture, {"authorized"}, PaymentNotCapturable),
    (begin_cancel, {*CHARGEABLE, "acting", "authorized"}, PaymentNotCancelable),
]


@pytest.mark.parametrize("begin, possible, refusal", BEGINNINGS, ids=[each[0].__name__ for each in BEGINNINGS])
@pytest.mark.parametrize("name", SITUATIONS)
def test_what_can_be_begun_in_which_situation(name, begin, possible, refusal):
    payment = SITUATIONS[name]()
    before, is_open = situation(payment), payment.operation is not None
    payment.pull_changes()
    if name in possible:
        begin(payment)
        assert_sound(payment)
        assert len(payment.pull_changes()) == 1
        return
    # What is under way comes first: until that is known, nobody can tell what is possible.
    with pytest.raises(OperationInProgress if is_open else refusal) as refused:
        begin(payment)
    assert situation(payment) == before
    assert payment.pull_changes() == []
    assert not is_open or refused.value.details == {"retry_after": 1}


def test_a_new_payment_waits_for_a_means_of_payment():
    payment = opened()
    assert (payment.status, payment.capture_method) == (P.REQUIRES_PAYMENT_METHOD, CaptureMethod.AUTOMATIC)
    assert payment.pull_events() == [(1, PaymentCreated(str(payment.id), str(CUSTOMER), 1000, "EUR"))]
    assert [change.action for change in payment.pull_changes()] == ["payment.created"]


def test_with_a_means_of_payment_it_waits_to_be_confirmed():
    payment = opened(payment_method="tok_visa", provider="fake")
    assert (payment.status, payment.payment_method, payment.provider) == (P.REQUIRES_CONFIRMATION, "tok_visa", "fake")


# --- charges ---


def test_an_attempt_is_noted_before_it_is_made():
    payment, attempt = opened(), new_id()
    payment.begin_charge(attempt, payment_method="tok_visa", provider="fake", now=LATER, check_at=CHECK)
    assert situation(payment) == "processing charge pending"
    assert (payment.attempt_id, payment.payment_method, payment.provider) == (attempt, "tok_visa", "fake")
    assert (payment.next_check_at, payment.operation_started_at, payment.updated_at) == (CHECK, LATER, LATER)
    assert payment.order() == Charge(attempt, payment.id, 1000, "EUR", "tok_visa", capture=True)


def test_a_manual_capture_only_sets_the_amount_aside():
    assert not charging(capture_method=CaptureMethod.MANUAL).order().capture


@pytest.mark.parametrize(
    "make, token, charged",
    [
        (opened, None, None),
        (opened, "tok_other", ("tok_other", "other")),
        (SITUATIONS["to confirm"], None, ("tok_visa", "fake")),
        (SITUATIONS["to confirm"], "tok_other", ("tok_other", "other")),
        (SITUATIONS["not executed"], None, ("tok_visa", "fake")),
        # What was declined once would be again.
        (SITUATIONS["declined"], None, None),
        (SITUATIONS["declined"], "tok_other", ("tok_other", "other")),
    ],
)
def test_which_means_of_payment_is_charged(make, token, charged):
    payment = make()
    assert payment.needs_means is (charged is None or make in (opened, SITUATIONS["declined"]))
    if charged is None:
        with pytest.raises(PaymentMethodRequired):
            begin_charge(payment, token)
        return
    begin_charge(payment, token)
    assert (payment.payment_method, payment.provider) == charged
    assert payment.decline_code is None


@pytest.mark.parametrize("name", sorted(set(SITUATIONS) - CHARGEABLE))
def test_what_cannot_be_charged_needs_no_means_of_payment(name):
    assert not SITUATIONS[name]().needs_means


def test_a_new_attempt_has_no_reference_of_the_old_one():
    payment = settled(acting(), Refused("no"))
    assert payment.provider_reference == "ref-1"
    begin_charge(payment)
    assert payment.order().reference is None


# --- authentication, captures, cancellations ---


def test_an_authentication_goes_on_with_the_charge():
    payment = authenticating("fail")
    order = payment.order()
    assert order == Authentication(payment.operation_id, payment.charge_order(), "fail")
    assert order.charge.attempt_id == payment.attempt_id != order.attempt_id
    assert situation(payment) == "processing authenticate pending"


@given(st.integers(1, 1000))
def test_a_part_can_be_captured(amount):
    payment = capturing(amount)
    assert payment.order() == Capture(payment.operation_id, payment.charge_order(), amount)
    assert situation(payment) == "requires_capture capture pending"


def test_all_is_captured_unless_it_is_said():
    assert capturing(None).order().amount == 1000


@given(st.integers(1001, 10**12))
def test_no_more_is_captured_than_was_set_aside(amount):
    payment = authorized()
    with pytest.raises(CaptureExceedsAuthorized, match=r"10\.00 EUR") as refusal:
        begin_capture(payment, amount)
    assert refusal.value.details["capturable"] == 1000
    assert situation(payment) == "requires_capture"


@pytest.mark.parametrize("amount", [0, -1, 1.5, True, "1", 10**12 + 1])
def test_a_capture_is_of_money(amount):
    with pytest.raises(InvalidAmount):
        begin_capture(authorized(), amount)


def test_a_currency_that_is_gone_can_be_captured_in_part():
    payment = authorized()
    payment.currency = "BGN"
    with pytest.raises(CaptureExceedsAuthorized, match=r"10\.00 BGN"):
        begin_capture(payment, 1001)
    begin_capture(payment, 400)
    assert payment.order().amount == 400


@pytest.mark.parametrize("name", sorted(CHARGEABLE))
def test_what_no_provider_holds_is_canceled_at_once(name):
    payment = SITUATIONS[name]()
    payment.pull_events()
    begin_cancel(payment)
    assert situation(payment) == "canceled"
    assert (payment.cancellation_reason, payment.next_check_at) == ("duplicate", None)
    assert payment.pull_events()[-1][1] == PaymentCanceled(str(payment.id), str(CUSTOMER), 1000, "EUR", "duplicate")


@pytest.mark.parametrize("make", [authorized, acting])
def test_what_a_provider_holds_it_is_asked_to_let_go(make):
    payment = canceling(make())
    assert payment.order() == Void(payment.operation_id, payment.charge_order())
    assert payment.operation_status == "pending"


# --- attempts ---


def test_what_is_under_way_awaits_its_outcome_and_else_the_last_charge():
    payment = charging()
    charge = payment.attempt_id
    assert payment.awaits(charge)
    assert not payment.awaits(new_id())
    settled(payment, MayHaveHappened())
    assert payment.awaits(charge)
    settled(payment, Authorized(UNTIL))
    assert payment.awaits(charge)
    begin_capture(payment)
    assert payment.awaits(payment.operation_id)
    assert not payment.awaits(charge)


def test_without_an_operation_the_provider_is_asked_about_the_charge():
    payment = authorized()
    assert payment.order() == payment.charge_order()


def test_how_long_something_has_been_under_way():
    payment = charging()
    assert payment.began_before(NOON)
    assert not payment.began_before(NOON - timedelta(microseconds=1))
    assert not opened().began_before(LATER)


@pytest.mark.parametrize("make, final", [(succeeded, True), (SITUATIONS["canceled"], True), (authorized, False)])
def test_some_statuses_are_the_end(make, final):
    assert make().is_final is final


@pytest.mark.parametrize(
    "outcome, error, wait",
    [
        (UNREACHABLE, ProviderUnreachable, 5),
        (NotExecuted("provider_error"), ProviderError, 1),
        (NotExecuted("provider_busy", 17), ProviderBusy, 17),
        (NotExecuted("provider_busy"), ProviderBusy, 5),
    ],
)
def test_a_provider_that_did_nothing_is_told_as_such(outcome, error, wait):
    refusal = refusal_of(outcome)
    assert type(refusal) is error
    assert (refusal.kind, refusal.code, refusal.details) == ("unavailable", outcome.reason, {"retry_after": wait})
