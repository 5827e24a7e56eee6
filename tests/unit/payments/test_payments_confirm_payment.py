"""Confirming a payment: charging it later, going on after the customer has acted, and once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lib.ids import new_id
from payments_svc.domain.customer import AccountDisabled
from payments_svc.domain.details import UnknownPaymentMethod
from payments_svc.domain.idempotency import IdempotencyInProgress, IdempotencyKeyReused
from payments_svc.domain.outcome import MayHaveHappened, ProviderBusy, ProviderUnreachable
from payments_svc.domain.payment_errors import (
    InvalidAuthentication,
    OperationInProgress,
    PaymentDeclined,
    PaymentMethodRequired,
    PaymentNotConfirmable,
    PaymentNotFound,
)
from tests.fakes.payments import FakeWorld
from tests.unit.payments.asking import ANN, BOB, Asking


@pytest.fixture
def ask():
    return Asking(FakeWorld())


def test_a_payment_that_waits_is_charged(ask):
    assert ask.pay(confirm=False).body["status"] == "requires_confirmation"
    assert ask.asked == []
    answer = ask.confirm()
    assert (answer.body["status"], answer.body["amount_captured"], answer.replayed) == ("succeeded", 1000, False)
    assert ask.confirm() == replace(answer, replayed=True)
    assert len(ask.world.provider.charged) == 1


@pytest.mark.parametrize("made_with", [None, "tok_visa"])
def test_another_means_of_payment_can_be_given(ask, made_with):
    ask.pay(made_with, confirm=False)
    assert ask.confirm(payment_method="tok_timeout").body["status"] == "unknown"
    assert ask.payment.payment_method == "tok_timeout"


def test_a_kept_means_of_payment_can_be_given(ask):
    ask.pay(None)
    kept = ask.keep("tok_expires")
    ask.confirm(payment_method=kept)
    assert ask.payment.payment_method == "tok_expires"


def test_without_any_the_default_is_charged(ask):
    ask.pay(None)
    _, kept = ask.keep("tok_other"), ask.keep("tok_visa", is_default=True)
    assert ask.confirm().body["payment_method"] == kept
    assert ask.payment.payment_method == "tok_visa"


@pytest.mark.parametrize("kept_by", [ANN, BOB])
def test_without_any_and_without_a_default_one_is_needed(ask, kept_by):
    ask.pay(None)
    ask.keep(user_id=kept_by, is_default=kept_by == BOB)
    with pytest.raises(PaymentMethodRequired):
        ask.confirm()


def test_what_somebody_else_keeps_is_not_known(ask):
    ask.pay(None)
    with pytest.raises(UnknownPaymentMethod):
        ask.confirm(payment_method=ask.keep(user_id=BOB))


def test_after_a_decline_another_means_may_do(ask):
    with pytest.raises(PaymentDeclined):
        ask.pay("tok_declined")
    with pytest.raises(PaymentMethodRequired):
        ask.confirm()
    assert ask.confirm(payment_method="tok_visa").body["status"] == "succeeded"


def test_a_decline_is_told_again_and_again(ask):
    ask.pay("tok_insufficient_funds", confirm=False)
    with pytest.raises(PaymentDeclined) as first:
        ask.confirm()
    assert first.value.details == {
        "decline_code": "insufficient_funds",
        "payment_id": str(ask.payment.id),
        "replayed": False,
    }
    ask.world.time += timedelta(days=400)
    with pytest.raises(PaymentDeclined) as second:
        ask.confirm()
    assert second.value.details == {**first.value.details, "replayed": True}
    assert ask.asked == ["charge"]


# --- 3-D Secure ---


def test_a_customer_who_has_to_act_does(ask):
    answer = ask.pay("tok_3ds")
    assert (answer.body["status"], answer.body["next_action"]) == ("requires_action", {"type": "authenticate"})
    assert ask.confirm(authentication="succeed").body["status"] == "succeeded"
    assert ask.asked == ["charge", "authenticate"]
    assert list(ask.world.provider.charged) == [ask.payment.attempt_id]


def test_one_who_fails_does_not_pay_and_may_try_another_card(ask):
    ask.pay("tok_3ds")
    with pytest.raises(PaymentDeclined, match="declined") as refusal:
        ask.confirm(authentication="fail")
    assert refusal.value.details["decline_code"] == "authentication_failed"
    assert ask.confirm(idempotency_key="2", payment_method="tok_visa").body["status"] == "succeeded"


def test_where_only_the_provider_knows_it_is_asked(ask):
    ask.pay("tok_3ds")
    answer = ask.confirm()
    assert answer.body["status"] == "requires_action"
    assert ask.confirm() == replace(answer, replayed=True)
    assert ask.confirm(idempotency_key="2", authentication="succeed").body["status"] == "succeeded"


def test_while_the_customer_has_to_act_no_other_means_is_taken(ask):
    ask.pay("tok_3ds")
    with pytest.raises(PaymentNotConfirmable):
        ask.confirm(payment_method="tok_visa")


@pytest.mark.parametrize("authentication", ["", "yes", 1, True, {}])
def test_an_authentication_is_one_of_two_words(ask, authentication):
    ask.pay("tok_3ds")
    with pytest.raises(InvalidAuthentication):
        ask.confirm(authentication=authentication)
    assert ask.confirm(authentication="succeed").body["status"] == "succeeded"


def test_what_asks_for_no_authentication_takes_none(ask):
    ask.pay(confirm=False)
    with pytest.raises(PaymentNotConfirmable):
        ask.confirm(authentication="succeed")


# --- what is refused ---


@pytest.mark.parametrize("payment_id", ["nonsense", None, str(new_id())])
def test_a_payment_that_is_not_there_is_not_found(ask, payment_id):
    ask.pay(confirm=False)
    with pytest.raises(PaymentNotFound):
        ask.confirm(payment_id=payment_id)


def test_the_payment_of_somebody_else_is_not_found_either(ask):
    ask.pay(confirm=False)
    with pytest.raises(PaymentNotFound):
        ask.confirm(user_id=BOB)
    assert len(ask.world.claims) == 1


def test_what_has_succeeded_is_not_charged_again(ask):
    ask.pay()
    with pytest.raises(PaymentNotConfirmable):
        ask.confirm()
    assert ask.asked == ["charge"]


def test_the_same_key_for_something_else_is_refused(ask):
    ask.pay(confirm=False)
    ask.confirm()
    with pytest.raises(IdempotencyKeyReused):
        ask.confirm(payment_method="tok_visa")


@pytest.mark.parametrize("token, error", [("tok_unreachable", ProviderUnreachable), ("tok_rate_limited", ProviderBusy)])
def test_what_was_surely_not_executed_can_be_confirmed_again_with_the_same_key(ask, token, error):
    ask.pay(token, confirm=False)
    with pytest.raises(error) as refusal:
        ask.confirm()
    assert refusal.value.details["retry_after"] >= 1
    if token == "tok_rate_limited":
        assert ask.confirm().body["status"] == "succeeded"
        assert len({attempt for _, attempt in ask.world.provider.asked}) == 1


def test_a_disabled_customer_confirms_nothing(ask):
    ask.pay(confirm=False)
    only_customer = next(iter(ask.world.customers.values()))
    only_customer.disable(sequence=2)
    with pytest.raises(AccountDisabled):
        ask.confirm()
    assert ask.asked == []


# --- two keys, and crashes ---


def test_two_keys_at_the_same_time_are_one_charge(ask):
    ask.pay(confirm=False)
    told = []

    def meanwhile():
        ask.world.provider.found = MayHaveHappened()
        with pytest.raises(OperationInProgress) as refusal:
            ask.confirm(idempotency_key="other")
        told.append(refusal.value.details)
        with pytest.raises(IdempotencyInProgress):
            ask.confirm()

    ask.world.provider.during = meanwhile
    assert ask.confirm().body["status"] == "succeeded"
    assert told == [{"retry_after": 1}]
    assert len(ask.world.provider.charged) == 1


def test_if_the_outcome_is_there_already_the_second_hears_of_it(ask):
    ask.pay(confirm=False)
    refusals = []

    def meanwhile():
        with pytest.raises(PaymentNotConfirmable) as refusal:
            ask.confirm(idempotency_key="other")
        refusals.append(refusal)

    ask.world.provider.during = meanwhile
    answer = ask.confirm()
    # Settled by the second; still the first one's answer, and the only charge.
    assert (answer.body["status"], answer.replayed) == ("succeeded", False)
    assert len(refusals) == len(ask.world.provider.charged) == 1
    assert [event.type for event in ask.world.events] == ["payment.created", "payment.succeeded"]
    assert ask.confirm() == replace(answer, replayed=True)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("patient", [True, False], ids=["after the time-out", "redelivered"])
def test_a_crash_is_completed_with_the_same_attempt(ask, before, patient):
    ask.pay(confirm=False)
    with ask.dying(before=before):
        ask.confirm()
    if patient:
        ask.wait()
    answer = ask.confirm(redelivered=not patient)
    assert (answer.body["status"], answer.replayed) == ("succeeded", False)
    assert ask.asked == (["lookup", "charge"] if before else ["lookup"])
    assert list(ask.world.provider.charged) == [ask.payment.attempt_id]


def test_what_a_disabled_customer_left_half_done_is_not_charged(ask):
    ask.pay(confirm=False)
    with ask.dying(before=True):
        ask.confirm()
    next(iter(ask.world.customers.values())).disable(sequence=2)
    ask.wait()
    assert ask.confirm().body["status"] == "unknown"
    assert ask.world.provider.charged == {}
