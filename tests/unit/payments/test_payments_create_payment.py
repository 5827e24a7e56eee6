"""Creating a payment: what it becomes, and that it is charged once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lib.errors import Malformed
from lib.ids import new_id
from payments_svc.application.create_payment import create_payment
from payments_svc.domain.arguments import BadArgument, InvalidText, InvalidUserId
from payments_svc.domain.card_numbers import CardNumberRefused
from payments_svc.domain.details import InvalidMetadata, UnknownPaymentMethod
from payments_svc.domain.idempotency import (
    ClaimStatus,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
    body_hash,
)
from payments_svc.domain.money import InvalidAmount, UnsupportedCurrency
from payments_svc.domain.outcome import NotExecuted, ProviderError, ProviderUnreachable, Succeeded
from payments_svc.domain.payment_errors import (
    InvalidCaptureMethod,
    PaymentDeclined,
    PaymentMethodRequired,
    ReferenceTaken,
)
from payments_svc.domain.payment_status import PaymentStatus
from tests.fakes.payments import DEADLINES, NOON, FakeUnitOfWork, FakeWorld
from tests.unit.payments.asking import Asking

ANN, BOB = str(new_id()), str(new_id())


@pytest.fixture
def world():
    return FakeWorld()


@pytest.fixture
def pay(world):
    def pay(**changes):
        request = {
            "user_id": ANN,
            "amount": 1050,
            "currency": "EUR",
            "idempotency_key": "key-1",
            "payment_method": "tok_visa",
        }
        return create_payment(world.ports(), **{**request, **changes})

    return pay


def only(things):
    (one,) = things.values()
    return one


class Crash(BaseException):
    """The process ends here: nothing below catches it."""


def crash():
    raise Crash


# --- what it becomes ---


def test_a_payment_with_a_token_is_charged_at_once(world, pay):
    answer = pay(description="two rabbits", metadata={"order": "17"}, reference="order-17")
    payment = only(world.payments)
    assert not answer.replayed
    assert answer.body["id"] == str(payment.id)
    assert (payment.status, payment.amount_captured) == (PaymentStatus.SUCCEEDED, 1050)
    assert (payment.description, payment.metadata, payment.reference) == ("two rabbits", {"order": "17"}, "order-17")
    assert payment.provider == "fake"
    assert world.provider.charged == {payment.attempt_id: 1050}
    assert [event.type for event in world.events] == ["payment.created", "payment.succeeded"]


def test_the_claims_attempt_is_what_the_provider_sees(world, pay):
    pay()
    assert world.provider.asked == [("charge", only(world.claims).attempt_id)]


def test_without_a_token_the_payment_waits_for_one(world, pay):
    answer = pay(payment_method=None)
    assert answer.body["status"] == "requires_payment_method"
    assert world.provider.asked == []
    assert [event.type for event in world.events] == ["payment.created"]
    assert pay(payment_method=None) == replace(answer, replayed=True)


def test_the_customer_is_there_before_its_event(world, pay):
    pay()
    assert {str(each) for each in world.customers} == {ANN}


def test_a_decline_is_told_and_the_payment_stays(world, pay):
    with pytest.raises(PaymentDeclined) as refusal:
        pay(payment_method="tok_insufficient_funds")
    payment = only(world.payments)
    assert refusal.value.details == {
        "decline_code": "insufficient_funds",
        "payment_id": str(payment.id),
        "replayed": False,
    }
    assert payment.status is PaymentStatus.REQUIRES_PAYMENT_METHOD
    assert [event.type for event in world.events] == ["payment.created", "payment.failed"]


def test_a_silent_provider_leaves_it_unknown_and_to_be_asked_about(world, pay):
    answer = pay(payment_method="tok_timeout")
    assert (answer.body["status"], answer.body["next_check_at"]) == ("unknown", "2026-01-31T12:05:00Z")
    assert [event.type for event in world.events] == ["payment.created"]


@pytest.mark.parametrize("token, error", [("tok_unreachable", ProviderUnreachable), ("tok_error", ProviderError)])
def test_what_was_surely_not_executed_leaves_it_open(world, pay, token, error):
    with pytest.raises(error):
        pay(payment_method=token)
    payment = only(world.payments)
    assert (payment.status, payment.next_check_at) == (PaymentStatus.REQUIRES_PAYMENT_METHOD, None)
    assert only(world.claims).status is ClaimStatus.RELEASED
    assert [event.type for event in world.events] == ["payment.created"]


def test_claim_and_result_are_two_transactions_and_the_provider_is_asked_between(world, pay):
    commits = []
    world.provider.during = lambda: commits.append(world.database.commits)
    pay()
    assert commits == [1]
    assert world.database.commits == 2


def test_while_the_provider_is_asked_the_payment_can_be_seen(world, pay):
    seen = []
    world.provider.during = lambda: seen.append(only(world.payments))
    pay()
    assert (seen[0].status, seen[0].next_check_at) == (PaymentStatus.PROCESSING, NOON + world.rules.patience)


@pytest.mark.parametrize("given, expected", [({}, "succeeded"), ({"confirm": True}, "succeeded")])
def test_a_payment_can_be_charged_later_or_only_set_aside(world, pay, given, expected):
    assert pay(**given).body["status"] == expected
    assert pay(idempotency_key="2", confirm=False).body["status"] == "requires_confirmation"
    manual = pay(idempotency_key="3", capture_method="manual").body
    assert (manual["status"], manual["capture_method"], manual["amount_capturable"]) == (
        "requires_capture",
        "manual",
        1050,
    )
    assert [question for question, _ in world.provider.asked] == ["charge", "charge"]


def test_a_customer_may_have_to_act_or_to_wait(pay):
    assert pay(payment_method="tok_3ds").body["next_action"] == {"type": "authenticate"}
    assert pay(payment_method="tok_async", idempotency_key="2").body["status"] == "processing"


def test_a_kept_means_of_payment_is_charged_by_its_id(world, pay):
    kept = Asking(world).keep("tok_visa", user_id=ANN)
    assert pay(payment_method=kept).body["payment_method"] == kept
    assert [each.payment_method for each in world.payments.values()] == ["tok_visa"]


def test_without_one_the_default_is_charged_if_it_is_asked_for(world, pay):
    Asking(world).keep("tok_visa", user_id=ANN, is_default=True)
    assert pay(payment_method=None).body["status"] == "requires_payment_method"
    assert pay(payment_method=None, confirm=True, idempotency_key="2").body["status"] == "succeeded"


def test_a_key_from_before_there_were_more_arguments_still_fits(world, pay):
    pay()
    names = ("amount", "currency", "payment_method", "description", "metadata", "reference")
    body = {**dict.fromkeys(names), "amount": 1050, "currency": "EUR", "payment_method": "tok_visa"}
    assert only(world.claims).body_hash == body_hash(body)


def test_the_steps_on_the_way_are_told(world, pay):
    pay()
    steps = ("after_claim", "before_send", "after_send", "before_commit")
    assert world.reached == [(f"payment.{step}", "charge") for step in steps]


# --- what is refused before anything happens ---


@pytest.mark.parametrize(
    "changes, error",
    [
        ({"user_id": "nobody"}, InvalidUserId),
        ({"amount": 10.5}, InvalidAmount),
        ({"amount": 0}, InvalidAmount),
        ({"currency": "XXX"}, UnsupportedCurrency),
        ({"idempotency_key": ""}, InvalidIdempotencyKey),
        ({"payment_method": "4111111111111111"}, CardNumberRefused),
        ({"payment_method": "pm_unknown"}, UnknownPaymentMethod),
        ({"payment_method": str(new_id())}, UnknownPaymentMethod),
        ({"payment_method": None, "confirm": True}, PaymentMethodRequired),
        ({"confirm": "yes"}, BadArgument),
        ({"capture_method": "later"}, InvalidCaptureMethod),
        ({"capture_method": []}, InvalidCaptureMethod),
        ({"payment_method": ""}, InvalidText),
        ({"description": "card 4111 1111 1111 1111"}, CardNumberRefused),
        ({"metadata": {"card": "4111-1111-1111-1111"}}, CardNumberRefused),
        ({"metadata": []}, InvalidMetadata),
        ({"reference": "4111111111111111"}, CardNumberRefused),
        ({"amount": float("nan")}, Malformed),
    ],
)
def test_a_bad_request_leaves_nothing_and_does_not_burn_its_key(world, pay, changes, error):
    with pytest.raises(error):
        pay(**changes)
    assert (world.payments, world.claims, world.customers, world.provider.asked) == ({}, {}, {}, [])
    assert not pay().replayed


# --- the same request again ---


def test_the_same_again_gives_the_same_answer_and_one_charge(world, pay):
    first = pay()
    world.time += timedelta(hours=1)
    assert pay() == replace(first, replayed=True)
    assert len(world.payments) == 1
    assert len(world.provider.asked) == 1


def test_the_answer_is_the_one_that_was_given_not_what_the_payment_became(world, pay):
    first = pay()
    only(world.payments).amount_refunded = 1050
    assert pay().body == first.body


def test_a_decline_is_told_again(world, pay):
    with pytest.raises(PaymentDeclined) as first:
        pay(payment_method="tok_declined")
    with pytest.raises(PaymentDeclined) as second:
        pay(payment_method="tok_declined")
    assert second.value.details == {**first.value.details, "replayed": True}
    assert len(world.provider.asked) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 1051},
        {"currency": "USD"},
        {"payment_method": "tok_declined"},
        {"payment_method": None},
        {"description": "x"},
        {"metadata": {}},
        {"reference": "r"},
        {"amount": 0},
        {"confirm": True},
        {"capture_method": "manual"},
    ],
)
def test_the_same_key_for_something_else_is_refused(world, pay, changes):
    pay()
    with pytest.raises(IdempotencyKeyReused):
        pay(**changes)
    assert len(world.provider.charged) == 1


def test_keys_of_two_users_have_nothing_to_do_with_each_other(world, pay):
    assert pay().body["id"] != pay(user_id=BOB).body["id"]
    assert len(world.provider.charged) == 2


def test_two_keys_are_two_payments(world, pay):
    assert pay().body["id"] != pay(idempotency_key="key-2").body["id"]
    assert len(world.provider.charged) == 2


def test_when_the_answer_has_expired_it_is_made_from_the_payment_and_nothing_is_charged(world, pay):
    first = pay()
    world.time += world.rules.answer_ttl
    only(world.payments).amount_refunded = 50
    again = pay()
    assert again.replayed
    assert again.body == {**first.body, "amount_refunded": 50}
    assert len(world.provider.asked) == 1


def test_a_decline_is_told_even_when_its_answer_has_expired(world, pay):
    with pytest.raises(PaymentDeclined):
        pay(payment_method="tok_declined")
    world.time += timedelta(days=400)
    with pytest.raises(PaymentDeclined) as refusal:
        pay(payment_method="tok_declined")
    assert refusal.value.details["replayed"]
    assert len(world.provider.asked) == 1


def test_an_unknown_payment_is_answered_as_it_is_by_now(world, pay):
    pay(payment_method="tok_timeout")
    assert pay(payment_method="tok_timeout").body["status"] == "unknown"
    only(world.payments).settle(Succeeded(), now=world.time, deadlines=DEADLINES)
    again = pay(payment_method="tok_timeout")
    assert (again.body["status"], again.replayed) == ("succeeded", True)
    assert len(world.provider.asked) == 1


def test_after_an_error_the_same_request_goes_through_with_the_same_payment(world, pay):
    with pytest.raises(ProviderError):
        pay(payment_method="tok_error", reference="order-17")
    payment_id = only(world.payments).id
    answer = pay(payment_method="tok_error", reference="order-17")
    assert (answer.body["id"], answer.body["status"], answer.replayed) == (str(payment_id), "succeeded", False)
    assert len(world.payments) == len(world.provider.charged) == 1
    assert len({attempt for _, attempt in world.provider.asked}) == 1
    assert pay(payment_method="tok_error", reference="order-17").replayed


# --- at the same time, and after a crash ---


def test_while_the_first_is_running_the_second_has_to_wait(world, pay):
    refusals = []

    def meanwhile():
        with pytest.raises(IdempotencyInProgress) as refusal:
            pay()
        refusals.append(refusal.value.details)

    world.provider.during = meanwhile
    pay()
    assert refusals == [{"retry_after": 1}]
    assert len(world.provider.asked) == 1


@pytest.mark.parametrize("patient", [True, False], ids=["after the time-out", "redelivered"])
def test_a_crash_after_the_charge_is_completed_without_charging_again(world, pay, patient):
    world.provider.during = crash
    with pytest.raises(Crash):
        pay()
    payment_id = only(world.payments).id
    world.time += world.rules.patience if patient else timedelta(0)
    answer = pay(redelivered=not patient)
    assert (answer.body["id"], answer.body["status"], answer.replayed) == (str(payment_id), "succeeded", False)
    assert len(world.payments) == len(world.provider.charged) == 1
    assert [question for question, _ in world.provider.asked] == ["charge", "lookup"]
    assert pay().replayed


def test_a_crash_before_the_charge_is_completed_with_the_same_attempt(world, pay):
    execute = world.provider.execute
    world.provider.execute = lambda _: crash()
    with pytest.raises(Crash):
        pay()
    world.provider.execute = execute
    world.time += world.rules.patience
    assert pay().body["status"] == "succeeded"
    assert world.provider.asked == [(each, only(world.claims).attempt_id) for each in ("lookup", "charge")]


def test_a_crash_in_the_result_is_completed_without_charging_again(world, pay, monkeypatch):
    commit = FakeUnitOfWork.commit
    monkeypatch.setattr(FakeUnitOfWork, "commit", lambda uow: crash() if uow._database.commits else commit(uow))
    with pytest.raises(Crash):
        pay()
    monkeypatch.undo()
    world.time += world.rules.patience
    assert pay().body["status"] == "succeeded"
    assert len(world.provider.charged) == 1


def test_a_crash_before_the_claim_leaves_nothing(world, pay, monkeypatch):
    monkeypatch.setattr(FakeUnitOfWork, "commit", lambda uow: crash())
    with pytest.raises(Crash):
        pay()
    assert (world.payments, world.claims, world.events, world.provider.asked) == ({}, {}, [], [])


def test_a_slow_process_does_not_write_over_the_result_of_the_one_that_took_over(world, pay):
    answers = []

    def take_over():
        world.time += world.rules.patience
        answers.append(pay())

    world.provider.during = take_over
    slow = pay()
    assert slow == replace(answers[0], replayed=True)
    assert [event.type for event in world.events] == ["payment.created", "payment.succeeded"]
    assert len(world.provider.charged) == 1


def test_a_slow_process_that_was_not_executed_does_not_free_what_another_is_doing(world, pay):
    def take_over():
        # While the one that takes over is at it, the slow one comes back.
        world.time += world.rules.patience
        world.provider.during = crash
        with pytest.raises(Crash):
            pay()

    world.provider.during = take_over
    world.provider.answer = NotExecuted("provider_unreachable")
    with pytest.raises(IdempotencyInProgress):
        pay()
    assert only(world.claims).status is ClaimStatus.RUNNING
    assert only(world.payments).status is PaymentStatus.PROCESSING
    world.time += world.rules.patience
    assert pay().body["status"] == "succeeded"
    assert len(world.provider.charged) == 1


def test_a_slow_process_answers_from_the_payment_when_no_answer_is_kept(world, pay):
    def take_over():
        world.time += world.rules.patience
        pay(payment_method="tok_timeout")
        only(world.claims).answer = None

    world.provider.during = take_over
    assert pay(payment_method="tok_timeout").body["status"] == "succeeded"


def test_an_outcome_that_was_found_out_meanwhile_stays(world, pay):
    def found_out():
        only(world.payments).version += 1
        only(world.payments).settle(Succeeded(), now=world.time, deadlines=DEADLINES)

    world.provider.during = found_out
    assert pay(payment_method="tok_timeout").body["status"] == "succeeded"
    assert only(world.payments).status is PaymentStatus.SUCCEEDED


# --- references ---


def test_a_reference_is_used_once_by_a_customer(world, pay):
    first = pay(reference="order-17")
    with pytest.raises(ReferenceTaken) as refusal:
        pay(reference="order-17", idempotency_key="key-2")
    assert refusal.value.details == {"payment_id": first.body["id"]}
    assert len(world.payments) == len(world.claims) == len(world.provider.charged) == 1


def test_another_customer_has_references_of_its_own(world, pay):
    pay(reference="order-17")
    pay(reference="order-17", user_id=BOB)
    assert len(world.provider.charged) == 2


def test_a_canceled_payment_gives_its_reference_free(world, pay):
    pay(reference="order-17")
    only(world.payments).status = PaymentStatus.CANCELED
    assert pay(reference="order-17", idempotency_key="key-2").body["status"] == "succeeded"
