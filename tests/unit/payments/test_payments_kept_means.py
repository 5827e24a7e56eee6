"""Paying with a kept means of payment: its token is shown nowhere, and what is forgotten is charged no more."""

from dataclasses import replace

import pytest

from payments_svc.application.forget_payment_method import forget_payment_method
from payments_svc.application.get_payment import get_payment
from payments_svc.domain.details import UnknownPaymentMethod, UnsupportedPaymentMethod
from payments_svc.domain.idempotency import ClaimStatus
from payments_svc.domain.outcome import Authorized, NotExecuted, ProviderBusy
from payments_svc.domain.payment_errors import PaymentDeclined, PaymentMethodRequired, PaymentNotConfirmable
from payments_svc.presentation.history_schemas import FOUND_PAYMENTS, INSPECTED_PAYMENT
from payments_svc.presentation.schemas import PAYMENT, PAYMENT_ANSWER, PAYMENT_PAGE
from tests.fakes.payments import FakeWorld
from tests.unit.payments.asking import ANN, Asking

SECRET = "tok_visa_secret"
BUSY = NotExecuted("provider_busy", 1)


@pytest.fixture
def ask():
    return Asking(FakeWorld())


def forget(ask, method_id):
    forget_payment_method(ask.world.ports(), user_id=ANN, method_id=method_id)


def row(ask):
    """The payment as it is read."""
    return get_payment(ask.world.ports(), user_id=ANN, payment_id=str(ask.payment.id))


# --- what is shown ---


def by_its_id(ask, kept):
    return ask.pay(kept)


def by_default(ask, kept):
    return ask.pay(None, confirm=True)


def later_by_its_id(ask, kept):
    ask.pay(kept, confirm=False)
    return ask.confirm()


def confirmed_by_its_id(ask, kept):
    ask.pay("tok_other", confirm=False)
    return ask.confirm(payment_method=kept)


def confirmed_by_default(ask, kept):
    ask.pay(None)
    return ask.confirm()


WAYS = [by_its_id, by_default, later_by_its_id, confirmed_by_its_id, confirmed_by_default]


@pytest.mark.parametrize("way", WAYS)
def test_a_kept_one_is_shown_by_its_id_and_charged_by_its_token(ask, way):
    kept = ask.keep(SECRET, is_default=True)
    answer = way(ask, kept)
    assert (answer.body["status"], answer.body["payment_method"]) == ("succeeded", kept)
    assert (ask.payment.payment_method, str(ask.payment.payment_method_id)) == (SECRET, kept)
    claims = [claim for claim in ask.world.claims.values() if claim.answer is not None]
    assert claims
    assert SECRET not in f"{answer} {claims} {ask.world.trail} {ask.world.events}"


def test_no_schema_dumps_the_token(ask):
    kept = ask.keep(SECRET)
    answer, read = ask.pay(kept), row(ask)
    dumps = [
        PAYMENT.dump(read),
        PAYMENT_ANSWER.dump(answer)["payment"],
        PAYMENT_PAGE.dump({"data": [read], "next_cursor": None})["data"][0],
        FOUND_PAYMENTS.dump({"data": [read], "next_cursor": None})["data"][0],
        INSPECTED_PAYMENT.dump({**read, "refunds": []}),
    ]
    assert [each["payment_method"] for each in dumps] == [kept] * len(dumps)
    assert SECRET not in str(dumps)


def test_a_token_that_the_client_gave_is_shown_as_it_was_given(ask):
    ask.keep(SECRET)
    answer = ask.pay("tok_visa")
    assert answer.body["payment_method"] == PAYMENT.dump(row(ask))["payment_method"] == "tok_visa"
    assert ask.payment.payment_method_id is None


def test_without_any_there_is_none_to_show(ask):
    assert ask.pay(None).body["payment_method"] is PAYMENT.dump(row(ask))["payment_method"] is None


def test_another_one_replaces_both(ask):
    ask.pay(ask.keep("tok_declined"), confirm=False)
    with pytest.raises(PaymentDeclined):
        ask.confirm()
    answer = ask.confirm(idempotency_key="2", payment_method="tok_visa")
    assert (answer.body["payment_method"], ask.payment.payment_method_id) == ("tok_visa", None)


# --- what is forgotten ---


@pytest.mark.parametrize("given", ["id", "default"])
def test_what_is_forgotten_is_not_charged(ask, given):
    kept = ask.keep(SECRET, is_default=True)
    if given == "id":
        ask.pay(kept, confirm=False)
    else:
        ask.world.provider.answer = BUSY
        with pytest.raises(ProviderBusy):
            ask.pay(None, confirm=True)
    asked, before = list(ask.asked), ask.payment
    ask.keep("tok_other")
    forget(ask, kept)
    with pytest.raises(PaymentMethodRequired) as refusal:
        ask.confirm()
    assert refusal.value.details["errors"][0]["pointer"] == "/payment_method"
    # No attempt is noted, and another means of payment is not taken for it either.
    assert (ask.asked, ask.payment.attempt_id) == (asked, before.attempt_id)
    assert (ask.payment.status, len(ask.world.claims)) == (before.status, 1)
    assert row(ask)["payment_method_id"] is not None
    # The key is as good as new.
    answer = ask.confirm(payment_method="tok_visa")
    assert (answer.body["status"], answer.body["payment_method"]) == ("succeeded", "tok_visa")


def test_one_that_is_kept_again_is_another_one(ask):
    kept = ask.keep(SECRET)
    ask.pay(kept, confirm=False)
    forget(ask, kept)
    again = ask.keep(SECRET)
    with pytest.raises(PaymentMethodRequired):
        ask.confirm()
    assert ask.confirm(payment_method=again).body["payment_method"] == again


@pytest.mark.parametrize("given", ["id", "default"])
def test_a_creation_that_was_not_executed_is_not_made_up_for(ask, given):
    kept = ask.keep(SECRET, is_default=True)
    request = {"payment_method": kept} if given == "id" else {"payment_method": None, "confirm": True}
    ask.world.provider.answer = BUSY
    with pytest.raises(ProviderBusy):
        ask.pay(**request)
    forget(ask, kept)
    for _ in range(2):
        with pytest.raises(PaymentMethodRequired):
            ask.pay(**request)
    assert ask.asked == ["charge"]
    assert [claim.status for claim in ask.world.claims.values()] == [ClaimStatus.RELEASED]
    # The payment goes on with another means, and then the first key tells what became of it.
    answer = ask.confirm(payment_method="tok_visa")
    assert answer.body["status"] == "succeeded"
    assert ask.pay(**request).body == answer.body


@pytest.mark.parametrize(
    "given, error", [("own", PaymentMethodRequired), ("default", PaymentMethodRequired), ("id", UnknownPaymentMethod)]
)
def test_a_confirmation_that_was_not_executed_is_not_made_up_for(ask, given, error):
    kept = ask.keep(SECRET, is_default=True)
    ask.pay(kept if given == "own" else None, confirm=False)
    request = {"payment_method": kept} if given == "id" else {}
    ask.world.provider.answer = BUSY
    with pytest.raises(ProviderBusy):
        ask.confirm(**request)
    forget(ask, kept)
    with pytest.raises(error):
        ask.confirm(**request)
    assert ask.asked == ["charge"]
    assert ask.confirm(idempotency_key="2", payment_method="tok_visa").body["status"] == "succeeded"


def test_while_it_is_kept_what_was_not_executed_is_repeated(ask):
    kept = ask.keep(SECRET)
    ask.world.provider.answer = BUSY
    with pytest.raises(ProviderBusy):
        ask.pay(kept)
    answer = ask.pay(kept)
    assert (answer.body["status"], answer.body["payment_method"]) == ("succeeded", kept)


# --- what was begun before ---


def test_what_was_captured_stays_with_its_token_for_refunds(ask):
    kept = ask.keep(SECRET)
    paid = ask.pay(kept)
    forget(ask, kept)
    assert ask.pay(kept) == replace(paid, replayed=True)
    assert ask.refund().body["status"] == "succeeded"
    assert (ask.payment.payment_method, PAYMENT.dump(row(ask))["payment_method"]) == (SECRET, kept)
    with pytest.raises(PaymentNotConfirmable):
        ask.confirm()


def test_what_was_set_aside_can_still_be_captured(ask):
    kept = ask.keep(SECRET)
    ask.authorize(kept)
    forget(ask, kept)
    assert ask.capture().body["status"] == "succeeded"


def test_a_customer_who_has_to_act_can_go_on(ask):
    kept = ask.keep("tok_3ds")
    ask.pay(kept)
    forget(ask, kept)
    assert ask.confirm(authentication="succeed").body["status"] == "succeeded"


def test_a_charge_that_is_under_way_is_finished(ask):
    kept = ask.keep(SECRET)
    ask.pay(kept, confirm=False)
    ask.world.provider.during = lambda: forget(ask, kept)
    assert ask.confirm().body["status"] == "succeeded"


def test_a_charge_that_was_noted_before_is_completed(ask):
    kept = ask.keep(SECRET)
    with ask.dying(before=True):
        ask.pay(kept)
    forget(ask, kept)
    ask.wait()
    assert ask.pay(kept).body["status"] == "succeeded"


def test_what_is_late_is_still_looked_up(ask):
    kept = ask.keep("tok_timeout")
    assert ask.pay(kept, capture_method="manual").body["status"] == "unknown"
    forget(ask, kept)
    ask.world.provider.found = Authorized(ask.world.time)
    ask.wait()
    assert ask.capture().body["payment_method"] == kept


@pytest.mark.parametrize("how", ["by its id", "as the default", "as the payment's own"])
def test_one_whose_provider_is_gone_is_not_charged(ask, how):
    """Nobody could be asked what became of the charge."""
    kept = ask.keep(SECRET, is_default=True)
    if how == "as the payment's own":
        ask.pay(kept, confirm=False)
    gone = replace(ask.world.ports(), providers={})
    ask.world.ports = lambda: gone
    charge = {"by its id": lambda: ask.pay(kept), "as the default": lambda: ask.pay(None, confirm=True)}
    with pytest.raises(UnsupportedPaymentMethod):
        charge.get(how, ask.confirm)()
    assert ask.asked == []
    assert [each.operation for each in ask.world.payments.values()] in ([], [None])
