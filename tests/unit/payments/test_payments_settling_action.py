"""How long a customer who has to act may take: what is tried in between gives no more time."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lib.ids import new_id
from payments_svc.application.check_payment import check_payment
from payments_svc.domain.outcome import ActionRequired, NotExecuted, ProviderUnreachable, Refused
from payments_svc.domain.payment_status import CancellationReason
from tests.fakes.payments import DEADLINES, FakeWorld
from tests.unit.payments.asking import Asking
from tests.unit.payments.paying import CHECK, LATER, UNREACHABLE, acting, charging, settled

HOUR = timedelta(hours=1)
LATE = replace(DEADLINES, unknown=DEADLINES.unknown + HOUR, action=DEADLINES.action + HOUR)


def begin_cancel(payment):
    payment.begin_cancel(new_id(), reason=CancellationReason.ABANDONED, now=LATER, check_at=CHECK)


def begin_authentication(payment):
    payment.begin_authentication(new_id(), result=None, now=LATER, check_at=CHECK)


@pytest.mark.parametrize(
    "begin, outcome",
    [
        (begin_cancel, UNREACHABLE),
        (begin_authentication, UNREACHABLE),
        (begin_authentication, ActionRequired({"type": "authenticate"})),
    ],
)
def test_what_did_not_happen_leaves_the_deadline(begin, outcome):
    payment = acting()
    begin(payment)
    payment.settle(outcome, now=LATER + HOUR, deadlines=LATE)
    assert (payment.status, payment.next_check_at) == ("requires_action", DEADLINES.action)


def test_once_it_has_passed_the_schedule_says_when_to_try_again():
    payment = acting()
    begin_cancel(payment)
    payment.settle(UNREACHABLE, now=DEADLINES.action, deadlines=replace(LATE, unknown=DEADLINES.action + HOUR))
    assert payment.next_check_at == DEADLINES.action + HOUR


def test_another_attempt_has_a_deadline_of_its_own():
    payment = charging(settled(acting(), Refused("authentication_failed")))
    payment.settle(ActionRequired(), now=LATER + HOUR, deadlines=LATE)
    assert payment.next_check_at == LATE.action


def test_one_that_has_to_act_since_before_deadlines_were_kept_gets_another():
    payment = acting()
    payment.action_until = None
    begin_cancel(payment)
    payment.settle(UNREACHABLE, now=LATER + HOUR, deadlines=LATE)
    assert payment.next_check_at == LATE.action


def test_who_did_not_act_is_given_up_on_as_soon_as_the_provider_can_be_reached():
    ask = Asking(FakeWorld())
    ask.pay("tok_3ds")
    ask.world.time = ask.payment.next_check_at
    ask.world.provider.answer = NotExecuted("provider_unreachable")
    check_payment(ask.world.ports(), ask.payment.id, due=True)
    assert ask.payment.next_check_at == ask.world.time + timedelta(minutes=5)
    ask.world.time = ask.payment.next_check_at
    assert check_payment(ask.world.ports(), ask.payment.id, due=True)
    assert (ask.payment.status, ask.payment.cancellation_reason) == ("canceled", "abandoned")


def test_a_customer_who_cannot_cancel_gets_no_more_time():
    ask = Asking(FakeWorld())
    ask.pay("tok_3ds")
    until = ask.payment.next_check_at
    ask.world.time += HOUR
    ask.world.provider.answer = NotExecuted("provider_unreachable")
    with pytest.raises(ProviderUnreachable):
        ask.cancel()
    assert ask.payment.next_check_at == until
