"""Whatever a provider says, in whatever situation: what the payment becomes, and that it is said twice in vain."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments_svc.domain.ledger import PostingKind
from payments_svc.domain.outcome import (
    Accepted,
    ActionRequired,
    Authorized,
    MayHaveHappened,
    NotExecuted,
    Refused,
    Succeeded,
    Voided,
)
from payments_svc.domain.payment_status import PaymentStatus
from tests.fakes.payments import DEADLINES
from tests.unit.payments.paying import (
    LATER,
    OUTCOMES,
    SITUATIONS,
    UNTIL,
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

CHARGED = ("succeeded", "requires_capture", "requires_action")
AGAIN = "requires_payment_method"
# Each row: succeeded, authorized, action, accepted, refused, voided, expired, not executed, maybe. "=" is as before.
TABLE = {
    "new": "= = = = = = = = =",
    "to confirm": "= = = = = = = = =",
    "declined": "succeeded requires_capture = = = = = = =",
    "not executed": "succeeded requires_capture requires_action processing_charge_accepted = = = = =",
    "charging": f"succeeded requires_capture requires_action processing_charge_accepted {AGAIN} canceled canceled"
    f" {AGAIN} unknown_charge_unknown",
    "charge unknown": f"succeeded requires_capture requires_action processing_charge_accepted {AGAIN} canceled canceled"
    f" {AGAIN} =",
    "charge accepted": f"succeeded requires_capture requires_action = {AGAIN} canceled canceled {AGAIN}"
    " unknown_charge_unknown",
    "acting": f"succeeded requires_capture = processing_charge_accepted {AGAIN} canceled canceled = =",
    "authenticating": f"succeeded requires_capture requires_action processing_authenticate_accepted {AGAIN} canceled"
    " canceled requires_action unknown_authenticate_unknown",
    "authentication unknown": f"succeeded requires_capture requires_action processing_authenticate_accepted {AGAIN}"
    " canceled canceled requires_action =",
    "authorized": "succeeded = = = = canceled canceled = =",
    "capturing": "succeeded requires_capture_capture_unknown requires_capture_capture_unknown"
    " requires_capture_capture_accepted requires_capture canceled canceled requires_capture"
    " requires_capture_capture_unknown",
    "capture unknown": "succeeded = = requires_capture_capture_accepted requires_capture canceled canceled"
    " requires_capture =",
    "capture accepted": "succeeded requires_capture_capture_unknown requires_capture_capture_unknown = requires_capture"
    " canceled canceled requires_capture requires_capture_capture_unknown",
    "canceling": "requires_capture_cancel_unknown requires_capture_cancel_unknown requires_capture_cancel_unknown"
    " requires_capture_cancel_accepted requires_capture canceled canceled requires_capture"
    " requires_capture_cancel_unknown",
    "canceling while acting": "requires_action_cancel_unknown requires_action_cancel_unknown"
    " requires_action_cancel_unknown requires_action_cancel_accepted requires_action canceled canceled requires_action"
    " requires_action_cancel_unknown",
    "cancel unknown": "= = = requires_capture_cancel_accepted requires_capture canceled canceled requires_capture =",
    "cancel accepted": "requires_capture_cancel_unknown requires_capture_cancel_unknown requires_capture_cancel_unknown"
    " = requires_capture canceled canceled requires_capture requires_capture_cancel_unknown",
    "succeeded": "= = = = = = = = =",
    "canceled": "= = = = = = = = =",
}


def test_the_table_is_about_every_situation_and_every_outcome():
    assert TABLE.keys() == SITUATIONS.keys()
    assert {len(row.split()) for row in TABLE.values()} == {len(OUTCOMES)}
    kinds = {Succeeded, Authorized, ActionRequired, Accepted, Refused, Voided, NotExecuted, MayHaveHappened}
    assert {type(each) for each in OUTCOMES.values()} == kinds
    assert {make().status for make in SITUATIONS.values()} == set(PaymentStatus)


@pytest.mark.parametrize("name, outcome", list(itertools.product(SITUATIONS, OUTCOMES)))
def test_what_becomes_of_it(name, outcome):
    payment = SITUATIONS[name]()
    assert_sound(payment)
    before = situation(payment)
    payment.pull_events(), payment.pull_postings(), payment.pull_changes()
    expected = TABLE[name].split()[list(OUTCOMES).index(outcome)]
    settled(payment, OUTCOMES[outcome])
    assert_sound(payment)
    # Statuses have underscores, too: compared without any difference between them and spaces.
    assert situation(payment).replace(" ", "_") == (before.replace(" ", "_") if expected == "=" else expected)
    told = [event.type for _, event in payment.pull_events()]
    captured = [posting.kind for posting in payment.pull_postings()]
    changes = payment.pull_changes()
    if expected == "=":
        assert (told, captured, changes) == ([], [], [])
        return
    assert len(changes) == 1
    assert (changes[0].before, changes[0].after) == (before.split()[0], payment.status)
    assert captured == ([PostingKind.CAPTURE] if payment.status == "succeeded" else [])
    news = {
        "succeeded": "payment.succeeded",
        "canceled": "payment.canceled",
        "requires_capture": "payment.authorized",
        AGAIN: "payment.failed",
    }
    is_new = payment.status != before.split()[0] and outcome != "not executed"
    assert told == ([news[payment.status]] if is_new and payment.status in news else [])


@pytest.mark.parametrize("name, outcome", list(itertools.product(SITUATIONS, OUTCOMES)))
def test_what_is_said_twice_is_said_once(name, outcome):
    payment = SITUATIONS[name]()
    attempt = payment.operation_id or payment.attempt_id or payment.id
    settled(payment, OUTCOMES[outcome])
    if not payment.awaits(attempt):
        # A capture or cancellation that is over: nobody asks about that attempt again.
        assert name.startswith(("capt", "cancel", "authentic", "new", "to confirm"))
        return
    before, sequence = situation(payment), payment.sequence
    payment.pull_postings(), payment.pull_changes()
    settled(payment, OUTCOMES[outcome])
    assert (situation(payment), payment.sequence) == (before, sequence)
    assert (payment.pull_postings(), payment.pull_changes()) == ([], [])


@given(st.sampled_from(sorted(SITUATIONS)), st.lists(st.sampled_from(sorted(OUTCOMES)), max_size=12))
@settings(deadline=None)
def test_no_order_of_answers_breaks_a_payment_or_captures_twice(name, answers):
    payment = SITUATIONS[name]()
    final = None
    for each in answers:
        settled(payment, OUTCOMES[each])
        assert_sound(payment)
        if final is not None:
            assert payment.status is final
        final = payment.status if payment.is_final else None
    captures = [each for each in payment.pull_postings() if each.kind is PostingKind.CAPTURE]
    assert sum(each.entries[0].amount for each in captures) == payment.amount_captured
    assert len(captures) <= 1


# --- amounts ---


@given(st.integers(1, 10**12), st.data())
def test_any_amount_is_captured_as_it_is(amount, data):
    part = data.draw(st.integers(1, amount))
    payment = authorized(amount)
    payment.begin_capture(payment.id, amount=part, now=LATER, check_at=LATER)
    settled(payment, Succeeded())
    assert (payment.amount_captured, payment.amount_capturable) == (part, 0)
    (posting,) = payment.pull_postings()
    assert [(each.account, each.amount) for each in posting.entries] == [("provider:fake", part), ("sales", -part)]


@pytest.mark.parametrize("make", [charging, capturing, lambda: settled(charging(), MayHaveHappened())])
@given(st.integers(-5, 0) | st.integers(1001, 10**13))
def test_more_than_there_is_cannot_have_been_taken(make, amount):
    payment = settled(make(), Succeeded(amount))
    assert_sound(payment)
    assert (payment.operation_status, payment.amount_captured) == ("unknown", 0)


def test_the_provider_says_how_much_was_taken():
    assert settled(charging(), Succeeded(700)).amount_captured == 700
    assert settled(capturing(400), Succeeded(300)).amount_captured == 300
    assert settled(capturing(None), Succeeded()).amount_captured == 1000


# --- what else is noted ---


def test_the_first_reference_of_the_provider_stays_with_the_attempt():
    payment = settled(charging(), Authorized(UNTIL, "ch-1"))
    payment.begin_capture(payment.id, amount=None, now=LATER, check_at=LATER)
    assert settled(payment, Succeeded(reference="capture-2")).provider_reference == "ch-1"
    again = settled(charging(settled(charging(), Refused("no"))), Succeeded(reference="ch-2"))
    assert again.provider_reference == "ch-2"


def test_an_action_is_there_while_it_is_required():
    payment = authenticating()
    assert payment.next_action == {"type": "authenticate"}
    assert settled(payment, NotExecuted("provider_busy")).next_action == {"type": "authenticate"}
    assert settled(authenticating(), Succeeded()).next_action is None
    assert settled(SITUATIONS["acting"](), Accepted()).next_action is None


def test_an_authorization_ends_when_the_provider_says_so_and_is_looked_at_then():
    payment = authorized()
    assert (payment.authorized_until, payment.next_check_at) == (UNTIL, UNTIL)
    settled(payment, Authorized(LATER))
    assert (payment.authorized_until, payment.next_check_at) == (LATER, DEADLINES.unknown)
    assert settled(payment, Voided("expired")).cancellation_reason == "expired"


@pytest.mark.parametrize("why, reason", [("canceled", "provider"), ("expired", "expired"), ("abandoned", "abandoned")])
def test_a_cancellation_has_the_reason_of_whoever_asked_for_it(why, reason):
    assert settled(charging(), Voided(why)).cancellation_reason == reason
    assert settled(canceling(), Voided(why)).cancellation_reason == "duplicate"


@pytest.mark.parametrize("make", [capturing, canceling])
def test_after_a_refusal_the_charge_is_looked_at_soon(make):
    payment = settled(make(), Refused("too_late"))
    assert (payment.decline_code, payment.next_check_at) == ("too_late", DEADLINES.unknown)
    assert payment.cancellation_reason is None
    assert settled(make(), NotExecuted("provider_error")).next_check_at == UNTIL


def test_a_success_forgets_why_something_was_refused_before():
    payment = settled(capturing(), Refused("no"))
    payment.begin_capture(payment.id, amount=None, now=LATER, check_at=LATER)
    assert payment.decline_code is None
    late = settled(settled(charging(), Refused("no")), Succeeded())
    assert (late.status, late.decline_code) == ("succeeded", None)


def test_each_look_without_an_answer_is_counted_until_there_is_one():
    payment = settled(settled(charging(), MayHaveHappened()), MayHaveHappened())
    assert (payment.checks, payment.next_check_at) == (2, DEADLINES.unknown)
    assert settled(payment, Accepted()).next_check_at == DEADLINES.accepted
    assert settled(payment, Succeeded()).checks == 0


def test_what_waits_for_a_person_is_not_looked_at_sooner_because_the_provider_is_silent():
    payment = SITUATIONS["acting"]()
    deadline = payment.next_check_at
    assert settled(payment, MayHaveHappened()).next_check_at == deadline == DEADLINES.action


def test_a_final_payment_stays_and_a_new_one_has_nothing_to_hear():
    for make in (succeeded, opened):
        payment = make()
        before = vars(payment).copy()
        for outcome in OUTCOMES.values():
            settled(payment, outcome)
        assert vars(payment) == before
