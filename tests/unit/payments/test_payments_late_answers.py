"""Answers that come late, or to somebody else: none is lost, and each request is told of its own."""

from datetime import timedelta
from uuid import UUID

import pytest

from payments_svc.application import check_payment as looking
from payments_svc.application.check_due import check_due
from payments_svc.application.check_payment import check_payment
from payments_svc.application.check_refund import check_refund
from payments_svc.application.get_payment import get_payment
from payments_svc.application.get_refund import get_refund
from payments_svc.application.history_ports import PROVIDER
from payments_svc.application.settlement import WrongAmountError
from payments_svc.domain.outcome import (
    Accepted,
    ActionRequired,
    MayHaveHappened,
    NotExecuted,
    ProviderBusy,
    ProviderError,
    ProviderUnreachable,
    Refused,
    Succeeded,
)
from payments_svc.domain.payment_errors import (
    CaptureRefused,
    OperationInProgress,
    PaymentDeclined,
    PaymentNotConfirmable,
)
from payments_svc.domain.refund import RefundExceedsCaptured
from tests.fakes.payments import FakeWorld
from tests.unit.payments.asking import ANN, Asking, only
from tests.unit.payments.paying import assert_sound, situation


@pytest.fixture
def ask():
    return Asking(FakeWorld())


def given_up(ask):
    """Send a charge that the provider does not get for so long that it is believed not to have been executed.

    Return what is to be called when it gets it after all.
    """
    ask.pay("tok_timeout")
    attempt_id = ask.payment.attempt_id
    charge = ask.world.provider._charges[attempt_id]
    ask.world.provider.forget(attempt_id)
    ask.world.time += ask.world.rules.forget_after
    assert check_payment(ask.world.ports(), ask.payment.id, due=True)
    assert ask.payment.status == "requires_payment_method"
    ask.world.provider.asked.clear()

    def arrives(outcome=None):
        charge.outcome = outcome or Succeeded(1000, "ch_late")
        ask.world.provider._charges[attempt_id] = charge

    return arrives


# --- a charge that was given up ---


def test_another_charge_is_made_once_the_provider_says_that_it_knows_of_none(ask):
    given_up(ask)
    assert ask.confirm(payment_method="tok_visa").body["status"] == "succeeded"
    assert ask.asked == ["lookup", "charge"]
    assert list(ask.world.provider.charged.values()) == [1000]


def test_what_was_charged_after_all_is_not_charged_again(ask):
    given_up(ask)()
    with pytest.raises(PaymentNotConfirmable):
        ask.confirm(payment_method="tok_visa")
    assert (ask.payment.status, ask.asked) == ("succeeded", ["lookup"])
    assert len(ask.world.postings) == 1
    # The first request gets that answer, too.
    assert ask.pay("tok_timeout").body["status"] == "succeeded"


@pytest.mark.parametrize("found, status", [(Accepted(), "processing"), (ActionRequired(), "requires_action")])
def test_what_is_under_way_after_all_is_not_charged_again(ask, found, status):
    given_up(ask)(found)
    with pytest.raises(OperationInProgress):
        ask.confirm(payment_method="tok_visa")
    assert (ask.payment.status, ask.asked) == (status, ["lookup"])
    assert_sound(ask.payment)


@pytest.mark.parametrize("found, status", [(Accepted(), "processing"), (ActionRequired(), "requires_action")])
def test_a_message_is_enough_to_learn_that_it_is_under_way(ask, found, status):
    given_up(ask)(found)
    assert check_payment(ask.world.ports(), ask.payment.id, PROVIDER)
    assert ask.payment.status == status
    assert ask.payment.next_check_at is not None


@pytest.mark.parametrize(
    "silence, refusal",
    [(MayHaveHappened(), ProviderUnreachable), (NotExecuted("provider_busy", 9), ProviderBusy)],
)
def test_while_the_provider_does_not_say_there_is_no_other_charge(ask, silence, refusal):
    given_up(ask)
    ask.world.provider.found = silence
    with pytest.raises(refusal):
        ask.confirm(payment_method="tok_visa")
    assert (ask.payment.status, ask.asked) == ("requires_payment_method", ["lookup"])
    assert ask.confirm(payment_method="tok_visa").body["status"] == "succeeded"


def test_what_changes_while_the_provider_is_asked_is_not_charged(ask):
    given_up(ask)
    others = []
    ask.world.provider.during = lambda: others.append(ask.confirm(idempotency_key="other", payment_method="tok_visa"))
    with pytest.raises((OperationInProgress, PaymentNotConfirmable)):
        ask.confirm(payment_method="tok_visa")
    assert [each.body["status"] for each in others] == ["succeeded"]
    assert ask.asked.count("charge") == 1


def stumbled(ask, **more):
    """Confirm, and be told that nothing was executed; return what is to be called when the provider knows better."""
    ask.pay(confirm=False)
    ask.world.provider.answer = NotExecuted("provider_error")
    with pytest.raises(ProviderError):
        ask.confirm(**more)
    ask.world.provider.asked.clear()
    return lambda found: setattr(ask.world.provider, "found", found)


@pytest.mark.parametrize("named", [{}, {"payment_method": "tok_visa"}])
@pytest.mark.parametrize(
    "found, status",
    [(ActionRequired(), "requires_action"), (Accepted(), "processing"), (Succeeded(1000), "succeeded")],
)
def test_its_own_key_is_told_what_became_of_it_and_begins_nothing_else(ask, found, status, named):
    stumbled(ask, **named)(found)
    assert check_payment(ask.world.ports(), ask.payment.id, PROVIDER)
    answer = ask.confirm(**named)
    assert (answer.body["status"], answer.replayed, ask.asked) == (status, True, ["lookup"])


def test_its_own_key_is_told_of_the_customer_who_failed(ask):
    stumbled(ask)(ActionRequired())
    assert check_payment(ask.world.ports(), ask.payment.id, PROVIDER)
    ask.world.provider.found = Refused("authentication_failed")
    assert check_payment(ask.world.ports(), ask.payment.id, PROVIDER)
    # As it would have been answered at first, for as long as answers are kept.
    assert ask.confirm().body["status"] == "requires_action"
    ask.world.time += timedelta(days=2)
    with pytest.raises(PaymentDeclined):
        ask.confirm()


# --- a process that was taken for dead and was not ---


def in_flight(ask, what):
    """Do something while the provider is at it and knows the attempt neither as done nor as new."""
    provider = ask.world.provider
    execute, lookup = provider.execute, provider.lookup

    def do():
        provider.execute, provider.lookup = (lambda _: NotExecuted("provider_error")), (lambda _: None)
        what()
        provider.execute, provider.lookup = execute, lookup

    provider.during = do


def test_an_answer_that_is_certain_counts_although_somebody_else_was_let_in(ask):
    seen = []
    in_flight(ask, lambda: seen.append(ask.pay(redelivered=True).body["status"]))
    answer = ask.pay()
    assert seen == ["unknown"]
    assert (answer.body["status"], answer.replayed) == ("succeeded", False)
    assert ask.pay().body == answer.body
    assert (situation(ask.payment), len(ask.world.postings)) == ("succeeded", 1)


def test_an_answer_that_is_certain_counts_although_the_clock_of_another_instance_is_ahead(ask):
    def job():
        ask.wait()
        assert check_due(ask.world.ports(), failed=pytest.fail) == 1

    in_flight(ask, job)
    assert ask.pay().body["status"] == "succeeded"
    assert situation(ask.payment) == "succeeded"


def test_a_refund_that_is_certain_counts_although_somebody_else_was_let_in(ask):
    ask.pay()
    seen = []
    in_flight(ask, lambda: seen.append(ask.refund(400, redelivered=True).body["status"]))
    answer = ask.refund(400)
    assert (seen, answer.body["status"]) == (["unknown"], "succeeded")
    assert ask.refund(400).body == answer.body
    assert (ask.payment.amount_refunded, ask.payment.amount_refunding) == (400, 0)


def test_what_is_not_certain_is_left_to_whoever_was_let_in(ask):
    ask.world.provider.during = lambda: ask.pay(redelivered=True)
    ask.world.provider.answer = MayHaveHappened()
    assert ask.pay().body["status"] == "succeeded"
    assert len(ask.world.postings) == 1


def test_what_another_has_settled_meanwhile_is_not_taken_over(ask, monkeypatch):
    with ask.dying(before=True):
        ask.pay()
    ask.wait()
    take_over = looking._take_over

    def late(ports, seen, task):
        monkeypatch.setattr(looking, "_take_over", take_over)
        assert ask.pay().body["status"] == "succeeded"
        ask.world.time += timedelta(minutes=1)
        return take_over(ports, seen, task)

    monkeypatch.setattr(looking, "_take_over", late)
    assert not check_payment(ask.world.ports(), ask.payment.id, due=True)
    claim = only(ask.world.claims)
    assert (str(claim.status), claim.run) == ("done", 2)


# --- answers to requests whose outcome was unknown ---


def test_what_became_of_an_unknown_capture_is_its_answer_whatever_comes_after(ask):
    ask.authorize()
    execute = ask.world.provider.execute
    ask.world.provider.execute = lambda _: MayHaveHappened()
    assert ask.capture(400).body["operation_status"] == "unknown"
    ask.world.provider.execute = lambda _: Refused("issuer_refused")
    ask.world.time = ask.payment.next_check_at
    assert check_payment(ask.world.ports(), ask.payment.id, due=True)
    ask.world.provider.execute = execute
    for _ in range(2):
        with pytest.raises(CaptureRefused) as refused:
            ask.capture(400)
        assert refused.value.details["decline_code"] == "issuer_refused"
        other = ask.capture(700, idempotency_key="second").body
        assert (other["status"], other["amount_captured"]) == ("succeeded", 700)


def test_what_became_of_an_unknown_charge_is_its_answer_whatever_comes_after(ask):
    ask.world.provider.execute, execute = (lambda _: MayHaveHappened()), ask.world.provider.execute
    ask.pay("tok_declined")
    ask.world.provider.execute = execute
    ask.world.provider.found = Refused("insufficient_funds")
    assert check_payment(ask.world.ports(), ask.payment.id, due=True)
    for _ in range(2):
        with pytest.raises(PaymentDeclined) as declined:
            ask.pay("tok_declined")
        assert declined.value.details["decline_code"] == "insufficient_funds"
        assert ask.confirm(payment_method="tok_visa").body["status"] == "succeeded"


@pytest.mark.parametrize("told", [0, 1001])
def test_what_cannot_be_is_nobodys_answer(ask, told):
    ask.world.provider.execute, execute = (lambda _: MayHaveHappened()), ask.world.provider.execute
    ask.pay()
    ask.world.provider.execute = execute
    ask.world.provider.found = Succeeded(told)
    assert not check_payment(ask.world.ports(), ask.payment.id, due=True)
    assert ask.pay().body["status"] == "unknown"
    ((attempt_id, error),) = ask.world.failures
    assert (attempt_id, type(error)) == (ask.payment.attempt_id, WrongAmountError)
    ask.world.provider.found = Succeeded(1000)
    assert check_payment(ask.world.ports(), ask.payment.id, due=True)
    assert ask.pay().body["status"] == "succeeded"


def test_what_cannot_be_is_no_capture_either(ask):
    ask.authorize()
    ask.world.provider.answer = Succeeded(1001)
    assert ask.capture(400).body["operation_status"] == "unknown"
    assert len(ask.world.failures) == 1
    assert check_payment(ask.world.ports(), ask.payment.id, due=True)
    assert ask.capture(400).body["amount_captured"] == 400


def test_an_unknown_refund_is_answered_with_what_became_of_it(ask):
    ask.pay("tok_refund_timeout")
    assert ask.refund(400).body["status"] == "unknown"
    ask.world.time += timedelta(minutes=5)
    assert check_due(ask.world.ports(), failed=pytest.fail) == 1
    assert ask.refund(400).body["status"] == "succeeded"


def test_an_authentication_that_never_arrived_hides_no_money(ask):
    ask.pay("tok_3ds")
    ask.world.provider.execute, execute = (lambda _: MayHaveHappened()), ask.world.provider.execute
    assert ask.confirm().body["status"] == "unknown"
    ask.world.provider.execute = execute
    # Nobody knows anything so far.
    assert not check_payment(ask.world.ports(), ask.payment.id, PROVIDER)
    # The customer acts at the bank, which tells the provider.
    charge = ask.world.provider._charges[ask.payment.attempt_id]
    charge.outcome = ask.world.provider._take(charge.order)
    assert check_payment(ask.world.ports(), ask.payment.id, PROVIDER)
    assert (situation(ask.payment), len(ask.world.postings)) == ("succeeded", 1)
    assert ask.confirm().body["status"] == "succeeded"


# --- while the provider wants us to wait ---


def test_nobody_who_looks_is_told_of_it_and_nothing_is_put_off(ask):
    payment_id = ask.pay("tok_timeout").body["id"]
    ask.world.provider.found = NotExecuted("provider_busy", 9)
    assert not check_payment(ask.world.ports(), ask.payment.id, PROVIDER)
    ask.world.time += timedelta(minutes=5)
    ask.world.provider.found = NotExecuted("provider_busy", 9)
    told = get_payment(ask.world.ports(), user_id=ANN, payment_id=payment_id)
    assert (told["status"], ask.payment.checks) == ("unknown", 1)
    ask.wait()
    assert get_payment(ask.world.ports(), user_id=ANN, payment_id=payment_id)["status"] == "succeeded"


def test_nobody_who_looks_at_a_refund_is_told_of_it_either(ask):
    ask.pay("tok_refund_timeout")
    refund_id = ask.refund(400).body["id"]
    ask.world.provider.found = NotExecuted("provider_busy", 9)
    assert not check_refund(ask.world.ports(), UUID(refund_id), PROVIDER)
    ask.world.time += timedelta(minutes=5)
    ask.world.provider.found = NotExecuted("provider_busy", 9)
    assert get_refund(ask.world.ports(), user_id=ANN, refund_id=refund_id)["status"] == "unknown"
    ask.wait()
    assert get_refund(ask.world.ports(), user_id=ANN, refund_id=refund_id)["status"] == "succeeded"


# --- one attempt is one thing ---


def test_a_refund_that_was_not_executed_is_repeated_with_its_amount(ask):
    ask.pay()
    ask.world.provider.answer = NotExecuted("provider_error")
    with pytest.raises(ProviderError):
        ask.refund()
    ask.refund(300, idempotency_key="another")
    # "What is left" was all of it when this was asked for.
    with pytest.raises(RefundExceedsCaptured):
        ask.refund()
    ask.world.provider.answer = NotExecuted("provider_error")
    with pytest.raises(ProviderError):
        ask.refund(idempotency_key="rest")
    assert ask.refund(idempotency_key="rest").body["amount"] == 700
