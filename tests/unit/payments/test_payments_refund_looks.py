"""Refunds that are said to be of another amount, and looks at refunds that have succeeded."""

from datetime import timedelta

import pytest

from payments_svc.application.check_due import check_due
from payments_svc.application.check_refund import check_refund
from payments_svc.application.get_refund import get_refund
from payments_svc.application.settlement import WrongAmountError
from payments_svc.domain.outcome import MayHaveHappened, NotExecuted, Refused, Succeeded
from payments_svc.presentation.schemas import REFUND, REFUND_ANSWER
from tests.fakes.payments import NOON, FakeWorld
from tests.unit.payments.asking import ANN, Asking, only

DAY = timedelta(days=1)


@pytest.fixture
def ask():
    return Asking(FakeWorld())


def status(ask):
    return str(only(ask.world.refunds).status)


def told_failures(ask):
    return [(id, type(error), str(error)) for id, error in ask.world.failures]


def run(ask):
    return check_due(ask.world.ports(), failed=lambda id, error: pytest.fail(f"{id}: {error}"))


# --- another amount ---


@pytest.mark.parametrize("amount", [0, 399, 401, 1000])
def test_another_amount_than_was_asked_for_is_no_clear_answer_and_told(ask, amount):
    ask.pay()
    ask.world.provider.answer = Succeeded(amount, "re-1")
    assert ask.refund(400).body["status"] == "unknown"
    assert (ask.payment.amount_refunded, ask.payment.amount_refunding) == (0, 400)
    refund = only(ask.world.refunds)
    text = f"400 was to be given back, and {amount} is said to be"
    assert told_failures(ask) == [(refund.attempt_id, WrongAmountError, text)]
    # The next time it says the right one; nothing is sent twice, and the key is answered with what became of it.
    assert check_refund(ask.world.ports(), refund.id)
    assert (status(ask), ask.payment.amount_refunded) == ("succeeded", 400)
    assert ask.refund(400).body["status"] == "succeeded"
    assert ask.asked == ["charge", "refund", "lookup"]
    assert len(ask.world.failures) == 1


def test_it_is_asked_about_for_as_long_as_it_takes(ask):
    ask.pay("tok_refund_timeout")
    ask.refund(400)
    for checks in (2, 3):
        ask.world.provider.found = Succeeded(500)
        assert not check_refund(ask.world.ports(), only(ask.world.refunds).id, due=True)
        assert (status(ask), only(ask.world.refunds).checks) == ("unknown", checks)
        assert only(ask.world.refunds).next_check_at == NOON + timedelta(hours=1)
    assert len(ask.world.failures) == 2
    assert ask.world.postings[-1].kind == "refund"


@pytest.mark.parametrize("amount", [None, 400])
def test_the_amount_that_was_asked_for_is_one_and_so_is_none(ask, amount):
    ask.pay()
    ask.world.provider.answer = Succeeded(amount)
    assert ask.refund(400).body["status"] == "succeeded"
    assert ask.world.failures == []


def test_one_that_has_succeeded_stays_so_whatever_amount_is_said(ask):
    ask.pay()
    ask.refund(400)
    ask.world.provider.found = Succeeded(1)
    assert not check_refund(ask.world.ports(), only(ask.world.refunds).id)
    assert (status(ask), len(ask.world.failures)) == ("succeeded", 1)


# --- looking back ---


def test_one_that_came_back_is_found_without_a_message(ask):
    ask.pay("tok_refund_fail")
    ask.refund(400)
    ask.world.provider.let_time_pass()
    assert run(ask) == 0
    ask.world.time = NOON + DAY
    assert run(ask) == 1
    assert (status(ask), ask.payment.refundable) == ("failed", 1000)
    ask.world.time = NOON + 30 * DAY
    assert run(ask) == 0


@pytest.mark.parametrize("silence", [MayHaveHappened(), NotExecuted("provider_unreachable")])
def test_silence_is_asked_again_the_next_day(ask, silence):
    ask.pay()
    ask.refund(400)
    for day in (1, 2, 3):
        ask.world.time = NOON + day * DAY
        ask.world.provider.found = silence
        assert run(ask) == 1
        assert (status(ask), only(ask.world.refunds).next_check_at) == ("succeeded", ask.world.time + DAY)
    ask.world.time = NOON + 4 * DAY
    assert run(ask) == 1
    assert only(ask.world.refunds).next_check_at == NOON + 7 * DAY


def test_a_provider_that_knows_nothing_of_it_any_more_is_silent(ask):
    ask.pay()
    ask.refund(400)
    ask.world.provider._refunds.clear()
    ask.world.provider.refunded.clear()
    ask.world.time = NOON + DAY
    assert run(ask) == 1
    # And it is not sent again: it has gone back, as far as anybody knows.
    assert (status(ask), ask.world.provider.refunded) == ("succeeded", {})
    assert only(ask.world.refunds).next_check_at == NOON + 2 * DAY


def test_looks_in_between_put_nothing_off(ask):
    ask.pay()
    ask.refund(400)
    ask.world.provider.found = MayHaveHappened()
    assert not check_refund(ask.world.ports(), only(ask.world.refunds).id)
    assert only(ask.world.refunds).next_check_at == NOON + DAY


def test_these_looks_are_nobodys_business(ask):
    ask.pay()
    answer = ask.refund(400)
    assert only(ask.world.refunds).next_check_at is not None
    read = get_refund(ask.world.ports(), user_id=ANN, refund_id=answer.body["id"])
    for told in (REFUND.dump(read), REFUND_ANSWER.dump(answer)["refund"]):
        assert (told["status"], told["next_check_at"]) == ("succeeded", None)


@pytest.mark.parametrize("token, checked_at", [("tok_refund_timeout", "12:05"), ("tok_refund_pending", "12:10")])
def test_the_looks_at_what_is_open_are_told(ask, token, checked_at):
    ask.pay(token)
    answer = ask.refund(400)
    read = get_refund(ask.world.ports(), user_id=ANN, refund_id=answer.body["id"])
    for told in (REFUND.dump(read), REFUND_ANSWER.dump(answer)["refund"]):
        assert told["next_check_at"] == f"2026-01-31T{checked_at}:00Z"


def test_one_that_was_refused_is_not_looked_at(ask):
    ask.pay()
    ask.world.provider.answer = Refused("account_closed")
    ask.refund(400)
    assert only(ask.world.refunds).next_check_at is None
