"""A provider in memory; it passes the contract tests of the real ones (tests/integration/payments)."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from lib.ids import utc_now
from payments_svc.application.provider_ports import AttemptChangedError, MethodDetails, Notice
from payments_svc.domain.arguments import parse_id
from payments_svc.domain.details import UnknownPaymentMethod
from payments_svc.domain.notice import InvalidNotice, InvalidSignature
from payments_svc.domain.orders import Authentication, Capture, Charge, GiveBack, Order, Void
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

TOLERANCE = timedelta(minutes=5)
HOLDS_FOR = timedelta(days=7)
SILENT = {
    "tok_timeout": Charge,
    "tok_capture_timeout": Capture,
    "tok_cancel_timeout": Void,
    "tok_refund_timeout": GiveBack,
}
STUMBLES = {"tok_error": NotExecuted("provider_error"), "tok_rate_limited": NotExecuted("provider_busy", 1)}
DECLINES = ("tok_declined", "tok_insufficient_funds", "tok_expired_card", "tok_lost_card")
QUESTIONS = {Charge: "charge", Authentication: "authenticate", Capture: "capture", Void: "cancel", GiveBack: "refund"}


@dataclass
class FakeCharge:
    order: Charge
    outcome: Outcome


@dataclass
class FakeRefund:
    order: GiveBack
    outcome: Outcome


class FakeProvider:
    """Has the sandbox's tokens, and refuses to be asked inside a transaction.

    ``charged`` and ``refunded`` say what was moved: attempt id → amount. ``asked`` lists what was asked of it.
    ``during`` is called once it has done something, before it answers; ``answer`` is told instead of what became of it,
    ``found`` instead of what is known at a lookup; each once.

    :param in_transaction: tells whether a transaction is open
    """

    name = "fake"

    def __init__(
        self, in_transaction: Callable[[], bool] = lambda: False, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._in_transaction = in_transaction
        self._now = now
        self._lock = threading.Lock()
        self._charges: dict[UUID, FakeCharge] = {}
        self._refunds: dict[UUID, FakeRefund] = {}
        self._operations: dict[UUID, Outcome] = {}
        self._stumbled: set[UUID] = set()
        self._contents: dict[UUID, tuple[Any, ...]] = {}
        self.charged: dict[UUID, int] = {}
        self.refunded: dict[UUID, int] = {}
        self.asked: list[tuple[str, UUID]] = []
        self.during: Callable[[], Any] | None = None
        self.answer: Outcome | None = None
        self.found: Outcome | None = None

    # --- the port ---

    def check_payment_method(self, payment_method: str) -> None:
        if not payment_method.startswith("tok_"):
            raise UnknownPaymentMethod("no such token", "/payment_method")

    def describe(self, payment_method: str) -> MethodDetails:
        self.check_payment_method(payment_method)
        return MethodDetails("card", "visa", "4242", 12, 2039)

    def execute(self, order: Order) -> Outcome:
        charge = order if isinstance(order, Charge) else order.charge
        if charge.payment_method == "tok_unreachable":
            self._note(QUESTIONS[type(order)], order.attempt_id)
            return NotExecuted("provider_unreachable")
        if isinstance(self.answer, NotExecuted):
            answer, self.answer = self.answer, None
            self._note(QUESTIONS[type(order)], order.attempt_id)
            return answer
        with self._lock:
            outcome = self._do(order)
        self._note(QUESTIONS[type(order)], order.attempt_id)
        if isinstance(order, SILENT.get(charge.payment_method, ())):
            return MayHaveHappened()
        answer, self.answer = self.answer or outcome, None
        return answer

    def lookup(self, order: Order) -> Outcome | None:
        self._note("lookup", order.attempt_id)
        if self.found is not None:
            found, self.found = self.found, None
            return found
        known: FakeCharge | FakeRefund | None
        match order:
            case Charge():
                known = self._charges.get(order.attempt_id)
            case GiveBack():
                known = self._refunds.get(order.attempt_id)
            case _:
                return self._operations.get(order.attempt_id)
        return None if known is None else known.outcome

    def read_notice(self, body: bytes, signature: str, now: datetime) -> Notice:
        at = signature.partition(" ")[0]
        if not at.isdecimal() or abs(int(at) - now.timestamp()) > TOLERANCE.total_seconds():
            raise InvalidSignature("not signed, or not now")
        if not hmac.compare_digest(signature.encode(), self.sign(body, at=int(at)).encode()):
            raise InvalidSignature("signed by somebody else")
        try:
            return self.interpret(json.loads(body))
        except ValueError as exc:
            raise InvalidNotice("not JSON") from exc

    def interpret(self, payload: Any) -> Notice:
        match payload:
            case {"id": str(event_id), "type": str(type), "created": int(created), "data": {**data}}:
                kind = type.partition(".")[0]
                return Notice(
                    event_id=event_id,
                    type=type,
                    occurred_at=datetime.fromtimestamp(created, UTC),
                    about=kind if kind in ("payment", "refund") else None,  # type: ignore[arg-type]
                    attempt_id=parse_id(data.get("attempt_id")),
                    payment_id=parse_id(data.get("payment_id")),
                    payload=payload,
                )
        raise InvalidNotice("no message")

    # --- what it tells ---

    def messages(self) -> list[bytes]:
        """Return what it would tell of its charges and refunds as they are."""
        charges = [("payment.changed", id, each.order.payment_id) for id, each in self._charges.items()]
        refunds = [("refund.changed", id, each.order.charge.payment_id) for id, each in self._refunds.items()]
        return [
            json.dumps(
                {
                    "id": f"evt_{attempt_id.hex}",
                    "type": type,
                    "created": int(self._now().timestamp()),
                    "data": {"attempt_id": str(attempt_id), "payment_id": str(payment_id)},
                }
            ).encode()
            for type, attempt_id, payment_id in charges + refunds
        ]

    def sign(self, body: bytes, *, at: int | None = None) -> str:
        """:param at: seconds since 1970; None for now"""
        seconds = int(self._now().timestamp()) if at is None else at
        return f"{seconds} {hashlib.sha256(b'%d %b' % (seconds, body)).hexdigest()}"

    # --- what a test does to it ---

    def let_time_pass(self) -> None:
        """Settle what is slow."""
        for charge in self._charges.values():
            if isinstance(charge.outcome, Accepted):
                refused = charge.order.payment_method == "tok_async_fail"
                charge.outcome = Refused("debit_refused") if refused else self._take(charge.order)
        for refund in self._refunds.values():
            if isinstance(refund.outcome, Accepted):
                refund.outcome = Succeeded(refund.order.amount)
                self.refunded[refund.order.attempt_id] = refund.order.amount
            elif refund.order.charge.payment_method == "tok_refund_fail":
                refund.outcome = Refused("expired_or_canceled_card")
                self.refunded.pop(refund.order.attempt_id, None)

    def expire(self, attempt_id: UUID) -> None:
        """Let go of what is set aside."""
        self._charges[attempt_id].outcome = Voided("expired")

    def let_authorizations_end(self) -> None:
        for attempt_id, charge in self._charges.items():
            if isinstance(charge.outcome, Authorized):
                self.expire(attempt_id)

    def forget(self, attempt_id: UUID) -> None:
        """Know nothing of a charge, as if it had never arrived."""
        del self._charges[attempt_id]
        self.charged.pop(attempt_id, None)

    # --- what it does ---

    def _do(self, order: Order) -> Outcome:
        if self._contents.setdefault(order.attempt_id, _content_of(order)) != _content_of(order):
            raise AttemptChangedError(order.attempt_id)
        match order:
            case Charge():
                return self._charge(order)
            case GiveBack():
                return self._give_back(order)
        known = self._operations.get(order.attempt_id)
        if known is None:
            charge = self._charges.get(order.charge.attempt_id)
            known = Refused("charge_not_found") if charge is None else self._operate(order, charge)
            if not isinstance(known, ActionRequired):
                self._operations[order.attempt_id] = known
        return known

    def _charge(self, order: Charge) -> Outcome:
        token = order.payment_method
        if token in STUMBLES and order.attempt_id not in self._stumbled:
            self._stumbled.add(order.attempt_id)
            return STUMBLES[token]
        known = self._charges.get(order.attempt_id)
        if known is None:
            known = self._charges[order.attempt_id] = FakeCharge(order, self._first_outcome(order))
        return known.outcome

    def _first_outcome(self, order: Charge) -> Outcome:
        match order.payment_method:
            case "tok_3ds":
                return ActionRequired({"type": "authenticate"})
            case "tok_async" | "tok_async_fail":
                return Accepted()
            case token if token in DECLINES:
                return Refused(token.removeprefix("tok_"))
        return self._take(order)

    def _take(self, order: Charge) -> Outcome:
        if not order.capture:
            return Authorized(self._now() + HOLDS_FOR)
        self.charged[order.attempt_id] = order.amount
        return Succeeded(order.amount)

    def _operate(self, order: Authentication | Capture | Void, charge: FakeCharge) -> Outcome:
        match order, charge.outcome:
            case _, Voided():
                return charge.outcome
            case Authentication(result=None), _:
                return charge.outcome
            case Authentication(result=result), ActionRequired():
                failed = Refused("authentication_failed")
                charge.outcome = self._take(charge.order) if result == "succeed" else failed
                return charge.outcome
            case Authentication(), _:
                return charge.outcome
            case Capture(), Authorized() if charge.order.payment_method == "tok_capture_refused":
                return Refused("issuer_refused")
            case Capture(amount=amount), Authorized() if amount <= charge.order.amount:
                self.charged[charge.order.attempt_id] = amount
                charge.outcome = Succeeded(amount)
                return charge.outcome
            case Void(), Authorized() | ActionRequired():
                charge.outcome = Voided()
                return charge.outcome
        return Refused("too_late")

    def _give_back(self, order: GiveBack) -> Outcome:
        known = self._refunds.get(order.attempt_id)
        if known is not None:
            return known.outcome
        given = sum(
            each.order.amount
            for each in self._refunds.values()
            if each.order.charge.attempt_id == order.charge.attempt_id and not isinstance(each.outcome, Refused)
        )
        taken = self.charged.get(order.charge.attempt_id)
        if taken is None or given + order.amount > taken:
            return Refused("charge_not_found" if taken is None else "refund_exceeds_charge")
        slow = order.charge.payment_method == "tok_refund_pending"
        outcome: Outcome = Accepted() if slow else Succeeded(order.amount)
        if not slow:
            self.refunded[order.attempt_id] = order.amount
        self._refunds[order.attempt_id] = FakeRefund(order, outcome)
        return outcome

    def _note(self, question: str, attempt_id: UUID) -> None:
        if self._in_transaction():
            raise AssertionError("the provider was asked inside a transaction")
        self.asked.append((question, attempt_id))
        during, self.during = self.during, None
        if during is not None:
            during()


def _content_of(order: Order) -> tuple[Any, ...]:
    """Return what the order's attempt id stands for."""
    question = QUESTIONS[type(order)]
    match order:
        case Charge():
            return question, order.payment_id, order.amount, order.currency, order.payment_method, order.capture
        case Authentication(_, charge, result):
            return question, charge.attempt_id, result
        case Void(_, charge):
            return question, charge.attempt_id
    return question, order.charge.attempt_id, order.amount
