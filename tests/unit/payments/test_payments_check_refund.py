"""Asking the provider what became of a refund."""

from datetime import timedelta

import pytest

from payments_svc.application.check_refund import check_refund
from payments_svc.application.get_refund import get_refund
from payments_svc.application.history_ports import PROVIDER
from payments_svc.domain.outcome import Accepted, MayHaveHappened, NotExecuted, ProviderError, Refused, Succeeded
from payments_svc.domain.refund import RefundExceedsCaptured
from tests.fakes.payments import NOON, FakeWorld
from tests.unit.payments.asking import ANN, Asking, only
from tests.unit.payments.paying import assert_sound


@pytest.fixture
def ask():
    return Asking(FakeWorld())


def check(ask, **more):
    changed = check_refund(ask.world.ports(), only(ask.world.refunds).id, **more)
    assert_sound(ask.payment)
    return changed


def status(ask):
    return str(only(ask.world.refunds).status)


def test_an_unknown_refund_is_found(ask):
    ask.pay("tok_refund_timeout")
    assert ask.refund(400).body["status"] == "unknown"
    assert check(ask)
    assert (status(ask), ask.payment.amount_refunded, ask.payment.amount_refunding) == ("succeeded", 400, 0)
    assert ask.asked == ["charge", "refund", "lookup"]
    again = ask.refund(400)
    assert (again.body["status"], again.replayed) == ("succeeded", True)


def test_one_that_has_not_arrived_is_asked_for_again_with_the_same_attempt(ask):
    ask.pay()
    ask.world.provider.answer = MayHaveHappened()
    ask.refund(400)
    ask.world.provider._refunds.clear()
    ask.world.provider.refunded.clear()
    ask.world.provider.asked.clear()
    assert check(ask)
    assert (status(ask), ask.asked) == ("succeeded", ["lookup", "refund"])
    assert len({attempt for _, attempt in ask.world.provider.asked}) == 1


@pytest.mark.parametrize("silence", [MayHaveHappened(), NotExecuted("provider_unreachable")])
def test_a_provider_that_cannot_be_asked_says_nothing(ask, silence):
    ask.pay("tok_refund_timeout")
    ask.refund(400)
    ask.world.provider.found = silence
    assert not check(ask, due=True)
    refund = only(ask.world.refunds)
    assert (status(ask), refund.next_check_at, refund.checks) == ("unknown", NOON + timedelta(hours=1), 2)
    assert ask.payment.refundable == 600


def test_a_slow_refund_arrives(ask):
    ask.pay("tok_refund_pending")
    answer = ask.refund(400)
    assert (answer.body["status"], answer.body["next_check_at"]) == ("pending", "2026-01-31T12:10:00Z")
    assert not check(ask)
    ask.world.provider.found = MayHaveHappened()
    assert not check(ask)
    assert status(ask) == "pending"
    ask.world.provider.let_time_pass()
    assert check(ask, by=PROVIDER)
    assert (status(ask), ask.world.trail[-1]) == ("succeeded", ("refund.succeeded", "provider"))
    # What was answered at first is answered again.
    assert ask.refund(400).body == answer.body


def test_a_refund_may_come_back(ask):
    ask.pay("tok_refund_fail")
    ask.refund(400)
    assert not check(ask, by=PROVIDER)
    ask.world.provider.let_time_pass()
    assert check(ask, by=PROVIDER)
    assert (status(ask), ask.payment.refundable) == ("failed", 1000)
    assert ask.world.events[-1].type == "payment.refund_failed"
    assert not check(ask, by=PROVIDER)
    assert ask.asked.count("lookup") == 2


def test_one_that_was_not_executed_is_over(ask):
    ask.pay()
    ask.world.provider.answer = NotExecuted("provider_error")
    with pytest.raises(ProviderError):
        ask.refund()
    ask.world.provider.asked.clear()
    assert not check(ask)
    assert ask.asked == []


@pytest.mark.parametrize("before", [True, False])
def test_one_whose_process_died_is_completed_and_its_request_gets_the_answer(ask, before):
    ask.pay()
    with ask.dying(before=before):
        ask.refund(400)
    ask.wait()
    assert check(ask)
    assert ask.asked == (["lookup", "refund"] if before else ["lookup"])
    answer = ask.refund(400)
    assert (answer.body["status"], answer.replayed) == ("succeeded", True)
    assert sum(ask.world.provider.refunded.values()) == ask.payment.amount_refunded == 400


def test_what_a_dead_process_may_have_sent_is_unknown_if_it_cannot_be_sent_again(ask):
    ask.pay()
    with ask.dying(before=True):
        ask.refund(400)
    ask.wait()
    ask.world.provider.answer = NotExecuted("provider_unreachable")
    assert check(ask)
    assert (status(ask), ask.payment.refundable) == ("unknown", 600)


@pytest.mark.parametrize("known", [MayHaveHappened(), Accepted()])
def test_what_a_living_process_is_doing_is_left_to_it(ask, known):
    ask.pay()
    seen = []

    def meanwhile():
        ask.world.provider.found = known
        seen.append(check(ask))

    ask.world.provider.during = meanwhile
    assert not ask.refund(400).replayed
    assert seen == [False]


@pytest.mark.parametrize("found, expected", [(Succeeded(400), "succeeded"), (Refused("no"), "failed")])
def test_a_message_that_comes_before_the_answer_settles_it_once(ask, found, expected):
    ask.pay()

    def meanwhile():
        ask.world.provider.found = found
        assert check(ask, by=PROVIDER)

    ask.world.provider.during = meanwhile
    answer = ask.refund(400)
    assert (answer.body["status"], answer.replayed) == (expected, False)
    assert [action for action, _ in ask.world.trail[-2:]] == ["refund.requested", f"refund.{expected}"]


def test_one_that_was_not_executed_meanwhile_is_not_executed_by_whoever_still_thinks_it_is_open(ask, monkeypatch):
    ask.pay()
    old = []

    def meanwhile():
        with ask.world.ports().unit_of_work() as uow:
            old.append(uow.refunds.look(only(ask.world.refunds).id))

    ask.world.provider.during = meanwhile
    ask.world.provider.answer = NotExecuted("provider_error")
    with pytest.raises(ProviderError):
        ask.refund(400)
    monkeypatch.setattr("tests.fakes.payment_store.FakeRefunds.look", lambda *_: old[0])
    assert not check_refund(ask.world.ports(), old[0].id)
    assert (ask.world.provider.refunded, ask.asked) == ({}, ["charge", "refund"])


# --- before another refund is refused ---


def test_what_did_not_go_back_after_all_can_be_refunded(ask):
    ask.pay()
    ask.world.provider.answer = MayHaveHappened()
    ask.refund(700)
    ask.world.provider.found = Refused("account_closed")
    assert ask.refund(1000, idempotency_key="2").body["status"] == "failed"
    assert ask.payment.refundable == 1000


def test_what_did_go_back_counts(ask):
    ask.pay("tok_refund_timeout")
    ask.refund(700)
    with pytest.raises(RefundExceedsCaptured) as refusal:
        ask.refund(301, idempotency_key="2")
    assert refusal.value.details["refundable"] == 300
    assert ask.payment.amount_refunded == 700


def test_without_open_refunds_nobody_is_asked(ask):
    ask.pay()
    with pytest.raises(RefundExceedsCaptured):
        ask.refund(1001)
    assert ask.asked == ["charge"]


# --- reading ---


def read(ask):
    refund_id = str(only(ask.world.refunds).id)
    return get_refund(ask.world.ports(), user_id=ANN, refund_id=refund_id)["status"]


def test_reading_asks_the_provider_when_it_is_time(ask):
    ask.pay("tok_refund_timeout")
    ask.refund(400)
    assert read(ask) == "unknown"
    ask.world.time += timedelta(minutes=5)
    seen = []
    ask.world.provider.during = lambda: seen.append(read(ask))
    assert read(ask) == "succeeded"
    assert seen == ["unknown"]
    assert ask.asked.count("lookup") == 1


def test_one_that_another_is_asking_about_is_read_as_it_is(ask, monkeypatch):
    ask.pay("tok_refund_timeout")
    ask.refund(400)
    ask.world.time += timedelta(minutes=5)
    monkeypatch.setattr("tests.fakes.payment_store.FakeRefunds.take_due", lambda *_, **__: [])
    assert read(ask) == "unknown"
