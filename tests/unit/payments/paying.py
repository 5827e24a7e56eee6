"""Payments in every situation that they can be in, for tests of their rules."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from lib.ids import new_id
from payments_svc.domain.details import Details
from payments_svc.domain.money import Money
from payments_svc.domain.outcome import (
    Accepted,
    ActionRequired,
    Authorized,
    MayHaveHappened,
    NotExecuted,
    Outcome,
    Refused,
    Succeeded,
    Voided,
)
from payments_svc.domain.payment import Payment
from payments_svc.domain.payment_status import CancellationReason, CaptureMethod
from payments_svc.domain.refund import Refund
from tests.fakes.payments import DEADLINES, NOON

LATER, CHECK, UNTIL = NOON + timedelta(seconds=1), NOON + timedelta(seconds=10), NOON + timedelta(days=7)
CUSTOMER = new_id()
UNREACHABLE = NotExecuted("provider_unreachable")
OUTCOMES: dict[str, Outcome] = {
    "succeeded": Succeeded(),
    "authorized": Authorized(UNTIL),
    "action": ActionRequired({"type": "authenticate"}),
    "accepted": Accepted(),
    "refused": Refused("no"),
    "voided": Voided(),
    "expired": Voided("expired"),
    "not executed": UNREACHABLE,
    "maybe": MayHaveHappened(),
}


def opened(amount: int = 1000, **more: Any) -> Payment:
    details = Details("rabbits", reference=more.pop("reference", None))
    return Payment.open(
        id=new_id(), customer_id=CUSTOMER, money=Money(amount, "EUR"), details=details, now=NOON, **more
    )


def charging(payment: Payment | None = None, **more: Any) -> Payment:
    payment = payment or opened(**more)
    payment.begin_charge(new_id(), payment_method="tok_visa", provider="fake", now=NOON, check_at=CHECK)
    return payment


def settled(payment: Payment, outcome: Outcome, now: datetime = LATER) -> Payment:
    payment.settle(outcome, now=now, deadlines=DEADLINES)
    return payment


def succeeded(amount: int = 1000) -> Payment:
    return settled(charging(amount=amount), Succeeded())


def authorized(amount: int = 1000) -> Payment:
    return settled(charging(amount=amount, capture_method=CaptureMethod.MANUAL), Authorized(UNTIL))


def acting() -> Payment:
    return settled(charging(), ActionRequired({"type": "authenticate"}, "ref-1"))


def authenticating(result: str | None = "succeed") -> Payment:
    payment = acting()
    payment.begin_authentication(new_id(), result=result, now=NOON, check_at=CHECK)
    return payment


def capturing(amount: int | None = 400) -> Payment:
    payment = authorized()
    payment.begin_capture(new_id(), amount=amount, now=NOON, check_at=CHECK)
    return payment


def canceling(payment: Payment | None = None) -> Payment:
    payment = payment or authorized()
    payment.begin_cancel(new_id(), reason=CancellationReason.DUPLICATE, now=NOON, check_at=CHECK)
    return payment


def refund_of(payment: Payment, amount: int | None = None) -> Refund:
    return payment.open_refund(
        id=new_id(),
        attempt_id=new_id(),
        amount=amount,
        reason=None,
        requested_by=CUSTOMER,
        now=NOON,
        check_at=CHECK,
    )


def finish(payment: Payment, refund: Refund, outcome: Outcome) -> Refund:
    payment.settle_refund(refund, outcome, now=LATER, deadlines=DEADLINES)
    return refund


SITUATIONS = {
    "new": opened,
    "to confirm": lambda: opened(payment_method="tok_visa", provider="fake"),
    "declined": lambda: settled(charging(), Refused("expired_card")),
    "not executed": lambda: settled(charging(), UNREACHABLE),
    "charging": charging,
    "charge unknown": lambda: settled(charging(), MayHaveHappened()),
    "charge accepted": lambda: settled(charging(), Accepted()),
    "acting": acting,
    "authenticating": authenticating,
    "authentication unknown": lambda: settled(authenticating(), MayHaveHappened()),
    "authorized": authorized,
    "capturing": capturing,
    "capture unknown": lambda: settled(capturing(), MayHaveHappened()),
    "capture accepted": lambda: settled(capturing(), Accepted()),
    "canceling": canceling,
    "canceling while acting": lambda: canceling(acting()),
    "cancel unknown": lambda: settled(canceling(), MayHaveHappened()),
    "cancel accepted": lambda: settled(canceling(), Accepted()),
    "succeeded": succeeded,
    "canceled": lambda: canceling(opened()),
}


def situation(payment: Payment) -> str:
    """Return status, operation and the operation's status in words."""
    parts = (payment.status, payment.operation, payment.operation_status)
    return " ".join(str(each) for each in parts if each is not None)


def assert_sound(payment: Payment) -> None:
    """What the table's constraints demand, and what they do not know of."""
    is_open = payment.operation is not None
    assert is_open is (payment.operation_id is not None)
    assert is_open is (payment.operation_status is not None)
    assert is_open is (payment.operation_started_at is not None)
    waits = payment.status in ("processing", "unknown", "requires_action", "requires_capture")
    assert (payment.next_check_at is not None) is (waits or is_open)
    assert not waits or payment.attempt_id is not None
    assert payment.status not in ("processing", "unknown") or is_open
    assert (payment.status == "requires_capture") is (payment.amount_capturable > 0)
    assert (payment.status == "requires_capture") is (payment.authorized_until is not None)
    assert (payment.status == "succeeded") is (payment.amount_captured > 0)
    assert 0 <= payment.amount_captured <= payment.amount
    assert payment.amount_refunded + payment.amount_refunding <= payment.amount_captured
    assert (payment.status == "canceled" or payment.operation == "cancel") is (payment.cancellation_reason is not None)
    assert payment.status != "requires_action" or payment.next_action is not None
    assert (payment.operation == "authenticate") or payment.authentication is None
