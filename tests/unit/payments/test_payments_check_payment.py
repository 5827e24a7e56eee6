"""Asking the provider what became of a payment: what it says counts, and nothing is guessed."""

from datetime import timedelta

import pytest

from payments_svc.application.check_payment import check_payment
from payments_svc.application.get_payment import get_payment
from payments_svc.application.history_ports import PROVIDER
from payments_svc.domain.outcome import ActionRequired, Authorized, MayHaveHappened, NotExecuted, Succeeded, Voided
from payments_svc.domain.payment_errors import PaymentDeclined, PaymentNotFound
from tests.fakes.payments import NOON, FakeWorld
from tests.unit.payments.asking import ANN, Asking, crash
from tests.unit.payments.paying import assert_sound, situation

MINUTES, HOUR = timedelta(minutes=5), timedelta(hours=1)


@pytest.fixture
def ask():
    return Asking(FakeWorld())


def check(ask, **more):
    changed = check_payment(ask.world.ports(), ask.payment.id, **more)
    assert_sound(ask.payment)
    return changed


# --- unknown ---


def test_an_unknown_charge_is_found(ask):
    ask.pay("tok_timeout")
    assert check(ask)
    assert situation(ask.payment) == "succeeded"
    assert ask.asked == ["charge", "lookup"]
    assert len(ask.world.postings) == 1
    assert not check(ask)
    assert ask.asked == ["charge", "lookup"]


def test_what_the_provider_does_not_know_is_not_believed_at_first(ask):
    ask.pay("tok_timeout")
    ask.world.provider.forget(ask.payment.attempt_id)
    waits = []
    for _ in range(3):
        assert not check(ask, due=True)
        assert situation(ask.payment) == "unknown charge unknown"
        waits.append(ask.payment.next_check_at - ask.world.time)
    # The last wait of the schedule repeats.
    assert waits == [HOUR, HOUR, HOUR]
    ask.world.time += ask.world.rules.forget_after
    assert check(ask)
    assert situation(ask.payment) == "requires_payment_method"
    # The old key never charges again.
    assert ask.pay("tok_timeout").body["status"] == "requires_payment_method"
    assert "charge" not in ask.asked[1:]


def test_the_waits_are_those_of_the_schedule(ask):
    ask.pay("tok_timeout")
    assert ask.payment.next_check_at == NOON + MINUTES
    ask.world.provider.found = MayHaveHappened()
    check(ask, due=True)
    assert (ask.payment.next_check_at, ask.payment.checks) == (NOON + HOUR, 2)


@pytest.mark.parametrize("silence", [NotExecuted("provider_unreachable"), MayHaveHappened()])
def test_a_provider_that_cannot_be_asked_says_nothing(ask, silence):
    ask.pay("tok_timeout")
    ask.world.time += timedelta(days=30)
    ask.world.provider.found = silence
    assert not check(ask)
    assert situation(ask.payment) == "unknown charge unknown"


def test_a_charge_that_was_believed_not_executed_is_taken_in_if_it_was(ask):
    ask.pay("tok_timeout")
    ask.world.provider.found = NotExecuted("provider_unreachable")
    ask.world.time += HOUR
    check(ask)
    payment = ask.payment
    ask.world.provider.forget(payment.attempt_id)
    check(ask)
    assert ask.payment.status == "requires_payment_method"
    assert not check(ask, by=PROVIDER)
    ask.world.provider.found = Succeeded(1000)
    assert check(ask, by=PROVIDER)
    assert (ask.payment.status, ask.payment.amount_captured) == ("succeeded", 1000)
    assert ask.world.trail[-1] == ("payment.succeeded", "provider")


@pytest.mark.parametrize("token, word", [("tok_capture_timeout", "capture"), ("tok_cancel_timeout", "cancel")])
def test_an_unknown_operation_is_found_or_asked_for_again(ask, token, word):
    ask.authorize(token)
    getattr(ask, word)()
    ask.world.provider.asked.clear()
    # It has not arrived: the same attempt again is the same operation.
    attempt = ask.payment.operation_id
    ask.world.provider._operations.clear()
    ask.world.provider._charges[ask.payment.attempt_id].outcome = Authorized(NOON + timedelta(days=7))
    assert not check(ask)
    assert ask.world.provider.asked == [("lookup", attempt), (word, attempt)]
    assert check(ask)
    assert ask.payment.is_final


def test_an_unknown_operation_that_cannot_be_sent_again_stays_unknown(ask):
    ask.authorize()
    ask.world.provider.answer = MayHaveHappened()
    ask.capture()
    ask.world.provider._operations.clear()
    ask.world.provider.answer = NotExecuted("provider_unreachable")
    assert not check(ask)
    assert situation(ask.payment) == "requires_capture capture unknown"


# --- what the provider is at ---


def test_what_was_accepted_stays_so_while_nobody_knows_more(ask):
    assert ask.pay("tok_async").body["status"] == "processing"
    assert ask.payment.next_check_at == NOON + timedelta(minutes=10)
    for silence in (None, MayHaveHappened(), NotExecuted("provider_unreachable")):
        ask.world.provider.found = silence
        assert not check(ask, due=True)
        assert situation(ask.payment) == "processing charge accepted"
    assert ask.payment.next_check_at == NOON + timedelta(days=1)
    # It said that it had it: it cannot know nothing of it.
    ask.world.time += timedelta(days=2)
    ask.world.provider._charges.clear()
    assert not check(ask)
    assert situation(ask.payment) == "processing charge accepted"


@pytest.mark.parametrize("token, status", [("tok_async", "succeeded"), ("tok_async_fail", "requires_payment_method")])
def test_what_was_accepted_ends_one_way_or_the_other(ask, token, status):
    answer = ask.pay(token)
    ask.world.provider.let_time_pass()
    assert check(ask, by=PROVIDER)
    assert ask.payment.status == status
    assert ask.world.trail[-1][1] == "provider"
    # What was answered at first is answered again.
    assert ask.pay(token).body == answer.body


# --- what a dead process left, and what a living one is doing ---


@pytest.mark.parametrize("before", [True, False])
def test_a_charge_whose_process_died_is_completed_and_its_request_gets_the_answer(ask, before):
    with ask.dying(before=before):
        ask.pay()
    ask.wait()
    assert check(ask)
    assert ask.asked == (["lookup", "charge"] if before else ["lookup"])
    answer = ask.pay()
    assert (answer.body["status"], answer.replayed) == ("succeeded", True)
    assert len(ask.world.provider.charged) == len(ask.world.postings) == 1


def test_a_decline_that_was_found_is_told_to_the_request(ask):
    with ask.dying():
        ask.pay("tok_declined")
    ask.wait()
    check(ask)
    with pytest.raises(PaymentDeclined):
        ask.pay("tok_declined")


def test_what_a_disabled_customer_left_is_not_charged_but_captured(ask):
    with ask.dying(before=True):
        ask.pay()
    customer = next(iter(ask.world.customers.values()))
    customer.disable(sequence=2)
    ask.wait()
    assert check(ask)
    assert situation(ask.payment) == "unknown charge unknown"
    customer = next(iter(ask.world.customers.values()))
    customer.enable(sequence=3)
    ask.world.time += HOUR
    check(ask)
    ask.confirm()
    assert ask.payment.status == "succeeded"


def test_a_capture_that_a_disabled_customer_left_is_completed(ask):
    ask.authorize()
    with ask.dying(before=True):
        ask.capture()
    next(iter(ask.world.customers.values())).disable(sequence=2)
    ask.wait()
    assert check(ask)
    assert ask.payment.status == "succeeded"


def test_what_a_dead_process_may_have_sent_is_unknown_if_it_cannot_be_sent_again(ask):
    with ask.dying(before=True):
        ask.pay("tok_unreachable")
    ask.wait()
    assert check(ask)
    assert situation(ask.payment) == "unknown charge unknown"


def test_what_a_living_process_is_doing_is_left_to_it(ask):
    seen = []

    def meanwhile():
        ask.world.provider.found = MayHaveHappened()
        seen.append(check(ask))
        seen.append(situation(ask.payment))

    ask.world.provider.during = meanwhile
    answer = ask.pay()
    assert seen == [False, "processing charge pending"]
    assert (answer.body["status"], answer.replayed) == ("succeeded", False)


def test_a_message_that_comes_before_the_answer_settles_it_once(ask):
    ask.world.provider.during = lambda: check(ask, by=PROVIDER)
    answer = ask.pay()
    assert (answer.body["status"], answer.replayed) == ("succeeded", False)
    assert ask.world.trail == [
        ("payment.created", "customer"),
        ("charge.requested", "customer"),
        ("charge.succeeded", "provider"),
    ]
    assert [event.type for event in ask.world.events] == ["payment.created", "payment.succeeded"]


def test_two_at_once_complete_it_once(ask):
    with ask.dying(before=True):
        ask.pay()
    ask.wait()
    seen = []
    ask.world.provider.during = lambda: seen.append(check(ask))
    assert check(ask)
    assert seen == [False]
    assert len(ask.world.provider.charged) == len(ask.world.postings) == 1


def test_two_who_look_at_once_settle_it_once(ask):
    ask.authorize("tok_capture_timeout")
    ask.capture(400)
    ask.world.provider.during = lambda: check(ask)
    check(ask)
    assert (ask.payment.status, ask.payment.amount_captured) == ("succeeded", 400)
    assert [action for action, _ in ask.world.trail].count("capture.succeeded") == len(ask.world.postings) == 1


def test_whoever_was_overtaken_while_asking_changes_nothing(ask):
    with ask.dying(before=True):
        ask.pay()
    ask.wait()

    def overtake():
        ask.wait()
        ask.pay()

    ask.world.provider.during = overtake
    assert not check(ask)
    assert ask.payment.status == "succeeded"


def test_what_has_changed_since_it_was_looked_at_is_left_alone(ask, monkeypatch):
    with ask.dying():
        ask.pay()
    ask.wait()
    seen = ask.world.ports()
    with seen.unit_of_work() as uow:
        old = uow.payments.look(ask.payment.id)
    check(ask)
    monkeypatch.setattr("tests.fakes.payment_store.FakePayments.look", lambda *_: old)
    assert not check_payment(seen, old.id)


# --- what waits for a person ---


def test_a_customer_who_does_not_act_in_time_is_given_up_on(ask):
    ask.pay("tok_3ds")
    ask.world.time = ask.payment.next_check_at
    assert check(ask, due=True)
    assert (ask.payment.status, ask.payment.cancellation_reason) == ("canceled", "abandoned")
    assert ask.world.trail[-2:] == [("cancel.requested", "system"), ("cancel.voided", "system")]
    assert ask.asked == ["charge", "lookup", "cancel"]
    assert ask.world.provider.charged == {}


def test_one_who_has_acted_with_the_provider_has_paid(ask):
    ask.pay("tok_3ds")
    ask.world.provider.found = Succeeded(1000)
    assert check(ask, due=True)
    assert ask.payment.status == "succeeded"


def test_before_that_a_look_changes_nothing(ask):
    ask.pay("tok_3ds")
    deadline = ask.payment.next_check_at
    assert not check(ask, by=PROVIDER)
    assert (ask.payment.status, ask.payment.next_check_at) == ("requires_action", deadline)


def test_a_provider_that_cannot_be_asked_is_asked_later(ask):
    ask.pay("tok_3ds")
    ask.world.time = ask.payment.next_check_at
    ask.world.provider.found = MayHaveHappened()
    assert not check(ask, due=True)
    assert ask.payment.status == "requires_action"
    assert ask.payment.next_check_at == ask.world.time + MINUTES


@pytest.mark.parametrize("before", [True, False])
def test_giving_up_survives_a_crash(ask, before):
    ask.pay("tok_3ds")
    with ask.dying(before=before):
        if not before:
            ask.world.provider.during = None
            lookup = ask.world.provider.lookup
            ask.world.provider.lookup = lambda order: (lookup(order), setattr(ask.world.provider, "during", crash))[0]
        check_payment(ask.world.ports(), ask.payment.id, due=True)
    if not before:
        ask.world.provider.lookup = lookup
    assert situation(ask.payment) == "requires_action cancel pending"
    ask.wait()
    assert check(ask, due=True)
    assert ask.payment.status == "canceled"


def test_two_who_give_up_at_once_cancel_once(ask):
    ask.pay("tok_3ds")

    def first():
        check(ask, due=True)
        ask.world.provider.found = ActionRequired({"type": "authenticate"})

    ask.world.provider.during = first
    assert not check(ask, due=True)
    assert ask.asked.count("cancel") == 1
    assert ask.payment.status == "canceled"


def test_an_authorization_that_has_ended_cancels_the_payment(ask):
    ask.authorize()
    ask.world.time = ask.payment.next_check_at
    ask.world.provider.expire(ask.payment.attempt_id)
    assert check(ask, due=True)
    assert (ask.payment.status, ask.payment.cancellation_reason) == ("canceled", "expired")
    assert (ask.payment.amount_capturable, ask.world.postings) == (0, [])


def test_one_that_the_provider_holds_on_to_stays(ask):
    ask.authorize()
    ask.world.time = ask.payment.next_check_at + HOUR
    assert not check(ask, due=True)
    assert (ask.payment.status, ask.payment.next_check_at) == ("requires_capture", ask.world.time + MINUTES)


def test_one_that_was_captured_or_let_go_elsewhere_follows(ask):
    ask.authorize()
    ask.world.provider.found = Voided()
    assert check(ask, by=PROVIDER)
    assert ask.payment.cancellation_reason == "provider"


@pytest.mark.parametrize("token, confirm", [(None, None), ("tok_visa", False)])
def test_of_what_was_never_charged_there_is_nothing_to_ask(ask, token, confirm):
    ask.pay(token, confirm=confirm)
    assert not check(ask)
    assert ask.asked == []


# --- reading ---


def read(ask, **more):
    return get_payment(ask.world.ports(), user_id=ANN, payment_id=str(ask.payment.id), **more)


def test_reading_asks_the_provider_when_it_is_time(ask):
    ask.pay("tok_timeout")
    assert read(ask)["status"] == "unknown"
    assert ask.asked == ["charge"]
    ask.world.time += MINUTES
    assert read(ask)["status"] == "succeeded"
    assert read(ask)["status"] == "succeeded"
    assert ask.asked == ["charge", "lookup"]


def test_of_many_who_read_one_asks(ask):
    ask.pay("tok_timeout")
    ask.world.time += MINUTES
    seen = []
    ask.world.provider.during = lambda: seen.append(read(ask)["status"])
    assert read(ask)["status"] == "succeeded"
    assert seen == ["unknown"]
    assert ask.asked == ["charge", "lookup"]


def test_one_that_another_is_asking_about_is_read_as_it_is(ask, monkeypatch):
    ask.pay("tok_timeout")
    ask.world.time += MINUTES
    monkeypatch.setattr("tests.fakes.payment_store.FakePayments.take_due", lambda *_, **__: [])
    assert read(ask)["status"] == "unknown"


def test_who_may_not_read_it_asks_nobody(ask):
    ask.pay("tok_timeout")
    ask.world.time += MINUTES
    with pytest.raises(PaymentNotFound):
        get_payment(ask.world.ports(), user_id=str(ask.payment.id), payment_id=str(ask.payment.id))
    assert ask.asked == ["charge"]
