"""The same key again after another one has gone on with the payment: whose attempt is whose."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lib.ids import new_id
from payments_svc.domain.idempotency import ClaimStatus
from payments_svc.domain.outcome import (
    MayHaveHappened,
    NotExecuted,
    ProviderBusy,
    ProviderError,
    ProviderUnreachable,
    Refused,
)
from payments_svc.domain.payment_errors import OperationInProgress, PaymentDeclined, PaymentNotConfirmable
from tests.fakes.payments import DEADLINES, FakeWorld
from tests.unit.payments.asking import Asking
from tests.unit.payments.paying import situation


@pytest.fixture
def ask():
    return Asking(FakeWorld())


@pytest.fixture
def sent(ask, monkeypatch):
    """What was sent: attempt id → the means of payment that went along."""
    means, execute = {}, ask.world.provider.execute

    def note(order):
        means.setdefault(order.attempt_id, set()).add(order.payment_method)
        return execute(order)

    monkeypatch.setattr(ask.world.provider, "execute", note)
    return means


def pay_and_stumble(ask):
    with pytest.raises(ProviderError):
        ask.pay("tok_error")


# --- the key that was not executed, after another attempt ---


def test_an_attempt_is_never_sent_with_the_means_of_another(ask, sent):
    pay_and_stumble(ask)
    with pytest.raises(ProviderBusy):
        ask.confirm(payment_method="tok_rate_limited")
    answer = ask.pay("tok_error")
    assert (answer.body["status"], answer.replayed) == ("requires_payment_method", True)
    assert list(sent.values()) == [{"tok_error"}, {"tok_rate_limited"}]
    # The key may still come again, and whoever has begun the last attempt may go on.
    assert ask.confirm(payment_method="tok_rate_limited").body["status"] == "succeeded"
    assert ask.pay("tok_error").body["status"] == "succeeded"
    assert len(ask.world.provider.charged) == 1


@pytest.mark.parametrize("word, status", [("confirm", "succeeded"), ("cancel", "canceled")])
def test_what_another_key_has_brought_to_an_end_is_answered_as_it_is(ask, word, status):
    pay_and_stumble(ask)
    getattr(ask, word)(**({"payment_method": "tok_visa"} if word == "confirm" else {}))
    answer = ask.pay("tok_error")
    assert (answer.body["status"], answer.replayed) == (status, True)
    assert len(ask.world.provider.charged) == (word == "confirm")


def test_what_another_key_is_at_is_answered_as_it_is(ask):
    pay_and_stumble(ask)
    ask.confirm(payment_method="tok_timeout")
    assert ask.pay("tok_error").body["status"] == "unknown"


def test_a_decline_of_another_attempt_is_not_told_as_this_ones(ask):
    pay_and_stumble(ask)
    with pytest.raises(PaymentDeclined):
        ask.confirm(payment_method="tok_declined")
    assert ask.pay("tok_error").body["decline_code"] == "declined"


def test_nobody_else_has_come_and_the_same_attempt_is_made_again(ask, sent):
    pay_and_stumble(ask)
    assert ask.pay("tok_error").body["status"] == "succeeded"
    assert list(sent.values()) == [{"tok_error"}]


def test_a_confirmation_that_named_no_means_is_not_made_with_those_of_another(ask, sent):
    ask.pay("tok_error", confirm=False)
    with pytest.raises(ProviderError):
        ask.confirm()
    with pytest.raises(ProviderBusy):
        ask.confirm(payment_method="tok_rate_limited", idempotency_key="2")
    answer = ask.confirm()
    assert (answer.body["status"], answer.replayed) == ("requires_payment_method", True)
    assert list(sent.values()) == [{"tok_error"}, {"tok_rate_limited"}]


def test_one_that_named_its_means_goes_on(ask, sent):
    ask.pay(None)
    with pytest.raises(ProviderError):
        ask.confirm(payment_method="tok_error")
    with pytest.raises(ProviderBusy):
        ask.confirm(payment_method="tok_rate_limited", idempotency_key="2")
    assert ask.confirm(payment_method="tok_error").body["status"] == "succeeded"
    assert list(sent.values()) == [{"tok_error"}, {"tok_rate_limited"}]


def test_an_authentication_that_was_not_executed_is_made_again(ask):
    ask.pay("tok_3ds")
    ask.world.provider.answer = NotExecuted("provider_unreachable")
    with pytest.raises(ProviderUnreachable):
        ask.confirm(authentication="succeed")
    assert ask.confirm(authentication="succeed").body["status"] == "succeeded"


# --- a mistake of ours ---


def test_an_adapter_that_raises_leaves_it_unknown_and_is_told(ask):
    error = RuntimeError("another content")

    def fail():
        raise error

    ask.world.provider.during = fail
    assert ask.pay().body["status"] == "unknown"
    assert ask.world.failures == [(ask.payment.attempt_id, error)]
    assert ask.payment.next_check_at == ask.world.time + ask.world.rules.check_schedule[0]
    assert [claim.status for claim in ask.world.claims.values()] == [ClaimStatus.DONE]


def test_a_result_that_nobody_awaits_any_more_changes_nothing(ask):
    def goes_on():
        payment = ask.payment
        payment.settle(Refused("no"), now=ask.world.time, deadlines=DEADLINES)
        payment.begin_charge(
            new_id(), payment_method="tok_other", provider="fake", now=ask.world.time, check_at=ask.world.time
        )
        payment.version += 1

    ask.world.provider.during = goes_on
    assert ask.pay().body["status"] == "processing"
    assert (situation(ask.payment), ask.world.postings) == ("processing charge pending", [])


# --- answers that have expired ---


def test_an_expired_answer_of_a_payment_that_was_not_charged_is_no_decline(ask):
    first = ask.pay("tok_visa", confirm=False)
    with pytest.raises(PaymentDeclined):
        ask.confirm(payment_method="tok_declined")
    assert ask.pay("tok_visa", confirm=False) == replace(first, replayed=True)
    ask.world.time += ask.world.rules.answer_ttl
    answer = ask.pay("tok_visa", confirm=False)
    assert (answer.body["status"], answer.replayed) == ("requires_payment_method", True)
    # It is still the confirmation's.
    with pytest.raises(PaymentDeclined):
        ask.confirm(payment_method="tok_declined")


def test_a_failed_authentication_is_told_after_its_answer_has_expired(ask):
    ask.pay("tok_3ds")
    for _ in range(2):
        with pytest.raises(PaymentDeclined):
            ask.confirm(authentication="fail")
        ask.world.time += timedelta(days=400)


# --- what was sent again is believed lost only a while after that ---


def test_after_a_long_outage_what_is_sent_only_now_may_still_arrive(ask):
    with ask.dying(before=True):
        ask.pay()
    ask.world.time += timedelta(hours=2)
    execute, late = ask.world.provider.execute, []
    ask.world.provider.execute = lambda order: (late.append(order), MayHaveHappened())[1]
    assert ask.pay().body["status"] == "unknown"
    ask.world.provider.execute = execute
    ask.world.time += timedelta(seconds=5)
    with pytest.raises(OperationInProgress):
        ask.confirm(payment_method="tok_other")
    execute(late[0])
    with pytest.raises(PaymentNotConfirmable):
        ask.confirm(payment_method="tok_other")
    assert len(ask.world.provider.charged) == 1
