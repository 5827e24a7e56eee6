"""The job that asks about everything whose time has come."""

from dataclasses import replace
from datetime import timedelta

import pytest

from payments_svc.application.check_due import check_due
from payments_svc.application.settlement import settle
from payments_svc.domain.outcome import MayHaveHappened, NotExecuted
from tests.fakes.payments import FakeWorld
from tests.unit.payments.asking import Asking


@pytest.fixture
def ask():
    return Asking(FakeWorld())


def run(ask, **more):
    failures = []
    return check_due(ask.world.ports(), failed=lambda id, exc: failures.append((id, exc)), **more), failures


def statuses(ask):
    return sorted(str(each.status) for each in ask.world.payments.values())


def test_while_nothing_is_due_nothing_is_written(ask):
    ask.pay("tok_timeout")
    commits = ask.world.database.commits
    assert run(ask) == (0, [])
    assert ask.world.database.commits == commits


def test_payments_and_refunds_are_checked_when_their_time_has_come(ask):
    for number in range(3):
        ask.pay("tok_timeout", idempotency_key=str(number))
    paid = ask.pay("tok_refund_timeout", idempotency_key="refunded").body["id"]
    ask.refund(400, payment_id=paid)
    ask.world.time += timedelta(minutes=5)
    assert run(ask) == (4, [])
    assert statuses(ask) == ["succeeded"] * 4
    assert [str(each.status) for each in ask.world.refunds.values()] == ["succeeded"]
    assert run(ask) == (0, [])


def test_customers_who_did_not_act_are_given_up_on(ask):
    ask.pay("tok_3ds")
    ask.world.time += ask.world.rules.action_ttl
    assert run(ask) == (1, [])
    assert statuses(ask) == ["canceled"]


def test_what_a_dead_process_left_is_completed(ask):
    with ask.dying():
        ask.pay()
    assert run(ask) == (0, [])
    ask.wait()
    assert run(ask) == (1, [])
    assert statuses(ask) == ["succeeded"]


def test_a_check_that_goes_wrong_is_told_and_keeps_none_from_being_done(ask, monkeypatch):
    for number in range(2):
        ask.pay("tok_timeout", idempotency_key=str(number))
    ask.world.time += timedelta(minutes=5)
    error = RuntimeError("a mistake of ours")
    mistakes = [error]

    def once(ports, task, outcome):
        if mistakes:
            raise mistakes.pop()
        return settle(ports, task, outcome)

    monkeypatch.setattr("payments_svc.application.check_payment.settle", once)
    done, failures = run(ask)
    assert (done, statuses(ask)) == (2, ["succeeded", "unknown"])
    ((id, told),) = failures
    assert told is error
    # It is put off, not forgotten.
    assert ask.world.payments[id].next_check_at == ask.world.time + ask.world.rules.patience
    ask.wait()
    assert run(ask) == (1, [])
    assert statuses(ask) == ["succeeded", "succeeded"]


def test_an_adapter_that_raises_is_told_and_counts_as_no_answer(ask):
    ask.pay("tok_timeout")
    error = RuntimeError("a mistake of the adapter")

    def fail():
        raise error

    ask.world.provider.during = fail
    ask.world.time += timedelta(minutes=5)
    assert run(ask) == (1, [])
    assert ask.world.failures == [(ask.payment.attempt_id, error)]
    assert (statuses(ask), ask.payment.next_check_at) == (["unknown"], ask.world.time + timedelta(hours=1))


def test_a_provider_that_is_not_there_any_more_leaves_its_payments_open(ask):
    ask.pay("tok_timeout")
    ask.world.time += timedelta(minutes=5)
    ports = replace(ask.world.ports(), providers={})
    assert check_due(ports, failed=pytest.fail) == 1
    assert statuses(ask) == ["unknown"]
    ((attempt_id, error),) = ask.world.failures
    assert (attempt_id, type(error)) == (ask.payment.attempt_id, KeyError)


def test_a_provider_that_wants_us_to_wait_puts_nothing_off(ask):
    for number in range(3):
        ask.pay("tok_timeout", idempotency_key=str(number))
    paid = ask.pay("tok_refund_timeout", idempotency_key="refunded").body["id"]
    ask.refund(400, payment_id=paid)
    ask.world.time += timedelta(minutes=5)
    ask.world.provider.found = NotExecuted("provider_busy", 1)
    before = ask.asked.count("lookup")
    assert run(ask) == (4, [])
    assert ask.asked.count("lookup") == before + 4
    # Of the first one no look was made, so the next one is soon, and counts as the first.
    (left,) = (each for each in ask.world.payments.values() if each.status == "unknown")
    assert (left.checks, left.next_check_at) == (1, ask.world.time + ask.world.rules.patience)
    ask.wait()
    assert run(ask) == (1, [])
    assert statuses(ask) == ["succeeded"] * 4


def test_one_run_has_an_end(ask):
    for number in range(5):
        ask.pay("tok_timeout", idempotency_key=str(number))
    ask.world.time += timedelta(minutes=5)
    assert run(ask, at_most=2) == (2, [])
    assert statuses(ask).count("unknown") == 3


def test_several_share_what_is_due(ask):
    for number in range(2):
        ask.pay("tok_timeout", idempotency_key=str(number))
    ask.world.time += timedelta(minutes=5)
    others = []
    ask.world.provider.during = lambda: others.append(run(ask))
    assert run(ask) == (1, [])
    assert others == [(1, [])]
    assert ask.asked.count("lookup") == 2


def test_what_another_has_taken_meanwhile_is_left_to_it(ask, monkeypatch):
    ask.pay("tok_timeout")
    ask.world.time += timedelta(minutes=5)
    monkeypatch.setattr("tests.fakes.payment_store.FakePayments.take_due", lambda *_, **__: [])
    assert run(ask) == (0, [])


def test_an_outcome_that_stays_unknown_waits_for_its_next_time(ask):
    ask.pay("tok_timeout")
    ask.world.time += timedelta(minutes=5)
    ask.world.provider.found = MayHaveHappened()
    assert run(ask) == (1, [])
    (payment,) = ask.world.payments.values()
    assert payment.next_check_at == ask.world.time + timedelta(hours=1)
