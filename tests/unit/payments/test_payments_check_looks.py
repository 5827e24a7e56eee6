"""Looks that come on the way, late, or too late: they put nothing off, and write nothing about the past."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lib.errors import Overtaken
from payments_svc.application.check_payment import check_payment
from payments_svc.application.check_refund import check_refund
from payments_svc.application.get_payment import get_payment
from payments_svc.application.get_refund import get_refund
from payments_svc.domain.idempotency import ClaimStatus
from payments_svc.domain.outcome import Accepted, MayHaveHappened, Succeeded
from payments_svc.domain.payment_errors import OperationInProgress, PaymentNotConfirmable
from payments_svc.domain.refund import RefundExceedsCaptured
from tests.fakes.payments import FakeUnitOfWork, FakeWorld, LostRace
from tests.unit.payments.asking import ANN, Asking, only
from tests.unit.payments.paying import assert_sound, situation

LOOK = timedelta(seconds=8)


@pytest.fixture
def ask():
    return Asking(FakeWorld())


def check(ask, **more):
    changed = check_payment(ask.world.ports(), ask.payment.id, **more)
    assert_sound(ask.payment)
    return changed


def check_the_refund(ask, **more):
    return check_refund(ask.world.ports(), only(ask.world.refunds).id, **more)


def waiting(entity):
    return entity.next_check_at, entity.checks, entity.updated_at


# --- a look that is not due puts nothing off ---


@pytest.mark.parametrize("token", ["tok_timeout", "tok_async", "tok_3ds"])
@pytest.mark.parametrize("found", [None, MayHaveHappened()])
def test_asking_often_does_not_put_off_the_next_check(ask, token, found):
    ask.pay(token)
    before, commits = waiting(ask.payment), ask.world.database.commits
    ask.world.time += timedelta(minutes=1)
    for _ in range(3):
        ask.world.provider.found = found
        if found is None and token == "tok_timeout":
            ask.world.provider._charges.clear()
        assert not check(ask)
    assert (waiting(ask.payment), ask.world.database.commits) == (before, commits)


def test_those_who_want_something_else_do_not_put_it_off(ask):
    ask.pay("tok_timeout")
    ask.world.provider.forget(ask.payment.attempt_id)
    before = waiting(ask.payment)
    for key in ("1", "2"):
        with pytest.raises(OperationInProgress):
            ask.confirm(idempotency_key=key)
    assert waiting(ask.payment) == before


def test_an_operation_that_is_asked_for_again_in_between_is_not_put_off(ask):
    ask.authorize()
    ask.world.provider.answer = MayHaveHappened()
    ask.capture()
    before = waiting(ask.payment)
    ask.world.provider.found = MayHaveHappened()
    assert not check(ask)
    assert waiting(ask.payment) == before


def test_a_look_that_is_overdue_counts(ask):
    ask.pay("tok_timeout")
    ask.world.time = ask.payment.next_check_at
    ask.world.provider.found = MayHaveHappened()
    assert not check(ask)
    assert waiting(ask.payment)[:2] == (ask.world.time + timedelta(hours=1), 2)


def test_looks_at_a_refund_do_not_put_off_its_next_check(ask):
    ask.pay("tok_refund_timeout")
    ask.refund(400)
    before = waiting(only(ask.world.refunds))
    ask.world.provider.found = MayHaveHappened()
    assert not check_the_refund(ask)
    assert waiting(only(ask.world.refunds)) == before
    ask.world.provider.found = MayHaveHappened()
    assert not check_the_refund(ask, due=True)
    assert only(ask.world.refunds).checks == 2


def test_news_without_another_state_are_kept(ask):
    ask.pay("tok_refund_pending")
    ask.refund(400)
    ask.world.provider.found = Accepted("re_1")
    assert not check_the_refund(ask)
    assert only(ask.world.refunds).provider_reference == "re_1"


# --- an answer about the past is not written ---


def late_look(ask, monkeypatch, meanwhile, found):
    """Let the provider's answer to a look arrive only after something else has happened."""
    lookup = ask.world.provider.lookup

    def slow(order):
        monkeypatch.setattr(ask.world.provider, "lookup", lookup)
        known = found or lookup(order)
        meanwhile()
        return known

    monkeypatch.setattr(ask.world.provider, "lookup", slow)


def test_a_look_that_began_before_a_charge_leaves_it_alone(ask, monkeypatch):
    with pytest.raises(Exception, match="failed"):
        ask.pay("tok_error")
    late_look(ask, monkeypatch, lambda: crash_while_charging(ask), MayHaveHappened())
    ask.world.provider.found = MayHaveHappened()
    assert not check(ask)
    # Taken for an answer to the charge, it would have made that unknown while it is running.
    assert situation(ask.payment) == "processing charge pending"
    assert only(ask.world.claims).status is ClaimStatus.RUNNING


def crash_while_charging(ask):
    with ask.dying(before=True):
        ask.pay("tok_error")


def test_what_a_look_has_missed_is_looked_at_again(ask, monkeypatch):
    ask.pay("tok_async")

    def accepted_again():
        with ask.world.ports().unit_of_work() as uow:
            uow.payments.get(ask.payment.id).version += 1
            uow.commit()
        ask.world.provider.let_time_pass()

    late_look(ask, monkeypatch, accepted_again, Accepted())
    assert check(ask)
    assert ask.payment.status == "succeeded"


def test_what_never_stands_still_is_left_for_later(ask, monkeypatch):
    ask.pay("tok_async")

    def touch(order):
        with ask.world.ports().unit_of_work() as uow:
            uow.payments.get(order.payment_id).version += 1
            uow.commit()
        return Succeeded(1000)

    monkeypatch.setattr(ask.world.provider, "lookup", touch)
    assert not check(ask)
    assert ask.payment.status == "processing"


def test_a_late_look_at_a_refund_does_not_write_over_what_is_known_since(ask, monkeypatch):
    ask.pay("tok_refund_pending")
    ask.world.provider.answer = MayHaveHappened()
    ask.refund(400)

    def accepted():
        assert check_the_refund(ask)
        assert only(ask.world.refunds).status == "pending"

    late_look(ask, monkeypatch, accepted, MayHaveHappened())
    assert not check_the_refund(ask, due=True)
    assert only(ask.world.refunds).status == "pending"


def test_a_refund_that_never_stands_still_is_left_for_later(ask, monkeypatch):
    ask.pay("tok_refund_timeout")
    ask.refund(400)

    def touch(order):
        with ask.world.ports().unit_of_work() as uow:
            uow.refunds.get(only(ask.world.refunds).id).checks += 1
            uow.commit()
        return Succeeded(400)

    monkeypatch.setattr(ask.world.provider, "lookup", touch)
    assert not check_the_refund(ask)
    assert only(ask.world.refunds).status == "unknown"


# --- after an outage, and after the clock was set back ---


def test_after_a_long_outage_what_the_check_sends_only_now_may_still_arrive(ask):
    with ask.dying(before=True):
        ask.pay()
    ask.world.time += timedelta(hours=2)
    execute, late = ask.world.provider.execute, []
    ask.world.provider.execute = lambda order: (late.append(order), MayHaveHappened())[1]
    check(ask, due=True)
    ask.world.provider.execute = execute
    ask.world.time += timedelta(seconds=5)
    with pytest.raises(OperationInProgress):
        ask.confirm(payment_method="tok_other")
    execute(late[0])
    with pytest.raises(PaymentNotConfirmable):
        ask.confirm(payment_method="tok_other")
    assert list(ask.world.provider.charged) == [ask.payment.attempt_id]


def test_what_was_begun_before_the_clock_was_set_back_is_completed(ask):
    with ask.dying(before=True):
        ask.pay()
    ask.world.time -= timedelta(days=1)
    assert check(ask)
    assert ask.payment.status == "succeeded"


def test_giving_up_goes_on_after_the_clock_was_set_back(ask):
    ask.pay("tok_3ds")
    ask.world.time = ask.payment.next_check_at
    with ask.dying(before=True):
        check_payment(ask.world.ports(), ask.payment.id, due=True)
    ask.world.time -= timedelta(days=1)
    assert check(ask, due=True)
    assert ask.payment.status == "canceled"


# --- nobody waits for ever ---


@pytest.fixture
def hurried(ask):
    ask.world.rules = replace(ask.world.rules, look_time=LOOK)
    ask.world.time_left = LOOK - timedelta(microseconds=1)
    return ask


def get(ask):
    return get_payment(ask.world.ports(), user_id=ANN, payment_id=str(ask.payment.id))["status"]


def get_the_refund(ask):
    return get_refund(ask.world.ports(), user_id=ANN, refund_id=str(only(ask.world.refunds).id))["status"]


def test_who_has_no_time_reads_the_payment_as_it_is_stored(hurried):
    hurried.pay("tok_timeout")
    hurried.world.time = due_at = hurried.payment.next_check_at
    assert get(hurried) == "unknown"
    assert (hurried.asked, hurried.payment.next_check_at) == (["charge"], due_at)
    hurried.world.time_left = LOOK
    assert get(hurried) == "succeeded"


def test_who_has_no_time_reads_the_refund_as_it_is_stored(hurried):
    hurried.pay("tok_refund_timeout")
    hurried.refund(400)
    hurried.world.time = only(hurried.world.refunds).next_check_at
    assert get_the_refund(hurried) == "unknown"
    hurried.world.time_left = LOOK
    assert get_the_refund(hurried) == "succeeded"


def test_who_has_no_time_is_told_that_something_is_open(hurried):
    hurried.pay("tok_timeout")
    with pytest.raises(OperationInProgress):
        hurried.confirm()
    assert hurried.asked == ["charge"]


def test_nothing_is_begun_for_one_who_has_no_time_left_after_asking(hurried):
    hurried.authorize("tok_capture_timeout")
    hurried.capture(400)
    hurried.world.time_left = LOOK
    hurried.world.provider.during = lambda: setattr(hurried.world, "time_left", timedelta(0))
    with pytest.raises(OperationInProgress):
        hurried.refund(400)
    assert hurried.payment.status == "succeeded"
    assert hurried.world.refunds == {}


def test_refunds_that_are_open_are_not_asked_about_without_time(hurried):
    hurried.pay("tok_refund_timeout")
    hurried.refund(700)
    with pytest.raises(RefundExceedsCaptured):
        hurried.refund(700, idempotency_key="2")
    assert "lookup" not in hurried.asked


# --- a race for rows in the last step ---


@pytest.mark.parametrize("lost", [LostRace, Overtaken])
def test_a_result_that_lost_a_race_for_rows_is_written_again(ask, monkeypatch, lost):
    commit, lost_once = FakeUnitOfWork.commit, []

    def commit_or_lose(uow):
        if ask.world.database.commits and not lost_once:
            lost_once.append(1)
            raise lost
        commit(uow)

    monkeypatch.setattr(FakeUnitOfWork, "commit", commit_or_lose)
    answer = ask.pay()
    assert (answer.body["status"], answer.replayed, lost_once) == ("succeeded", False, [1])
    assert ask.asked == ["charge"]
    assert len(ask.world.postings) == 1
    assert [event.type for event in ask.world.events] == ["payment.created", "payment.succeeded"]


def test_another_failure_is_not_taken_for_a_race(ask, monkeypatch):
    commit = FakeUnitOfWork.commit

    def fail(uow):
        if ask.world.database.commits:
            raise RuntimeError("the disk is full")
        commit(uow)

    monkeypatch.setattr(FakeUnitOfWork, "commit", fail)
    with pytest.raises(RuntimeError, match="disk"):
        ask.pay()
