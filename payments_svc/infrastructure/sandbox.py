"""A payment provider of our own, for development and tests: deterministic, and as treacherous as a real one.

It keeps its own books in its own transactions, so that it can know of a charge whose answer never reached us.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import IntegrityError

from lib import faultpoint
from lib.database import Sessions, autocommit, saving
from lib.uow import constraint_of
from lib.writes import Write, write
from payments_svc.application.provider_ports import AttemptChangedError, MethodDetails, Notice
from payments_svc.domain.arguments import parse_id
from payments_svc.domain.details import UnknownPaymentMethod
from payments_svc.domain.notice import InvalidNotice
from payments_svc.domain.orders import Authentication, Capture, Charge, GiveBack, Order, Void
from payments_svc.domain.outcome import MayHaveHappened, NotExecuted, Outcome, Refused
from payments_svc.infrastructure import sandbox_messages as messages
from payments_svc.infrastructure import signatures
from payments_svc.infrastructure.sandbox_books import ADD_CHARGE, DUE, Books
from payments_svc.infrastructure.sandbox_clock import Latency
from payments_svc.infrastructure.sandbox_rules import Terms, charge_told, new_charge
from payments_svc.infrastructure.sandbox_tokens import TOKENS, Script

__all__ = ["AttemptChangedError", "Latency", "SandboxProvider", "Terms"]


class SandboxProvider:
    """See the module's text.

    :param sessions: of the database with the sandbox's books; each call here is a transaction of its own
    :param latency: how long each answer takes, after the deed is done
    :param secrets: what its messages are signed with; several while one replaces another
    """

    name = "sandbox"

    def __init__(
        self,
        sessions: Sessions,
        *,
        now: Callable[[], datetime],
        latency: Latency | None = None,
        terms: Terms | None = None,
        secrets: Sequence[str] = (),
    ) -> None:
        self._sessions = sessions
        self._now = now
        self._latency = latency or Latency()
        self._terms = terms or Terms()
        self._secrets = tuple(secrets)

    def check_payment_method(self, payment_method: str) -> None:
        if payment_method not in TOKENS:
            raise UnknownPaymentMethod("the provider knows no such token", "/payment_method")

    def describe(self, payment_method: str) -> MethodDetails:
        self.check_payment_method(payment_method)
        return TOKENS[payment_method].details

    def execute(self, order: Order) -> Outcome:
        charge = order if isinstance(order, Charge) else order.charge
        script = TOKENS.get(charge.payment_method)
        if script is None:
            return Refused("unknown_payment_method")
        if not script.reachable:
            return NotExecuted("provider_unreachable")
        outcome = self._do(order, script)
        answered = self._latency.wait() and not isinstance(order, script.silent)
        # The silence of a token is told at once: nobody waits for it.
        return outcome if answered else MayHaveHappened()

    def lookup(self, order: Order) -> Outcome | None:
        with self._books() as books:
            match order:
                case Charge():
                    known = books.look(order.attempt_id)
                case GiveBack():
                    known = books.look_at_refund(order.attempt_id)
                case _:
                    known = books.look_at_operation(order.attempt_id)
        return known if self._latency.wait() else MayHaveHappened()

    def read_notice(self, body: bytes, signature: str, now: datetime) -> Notice:
        signatures.verify(body, signature, self._secrets, now)
        try:
            payload = json.loads(body)
        except (ValueError, RecursionError) as exc:
            raise InvalidNotice("the message is not JSON") from exc
        return self.interpret(payload)

    def interpret(self, payload: Any) -> Notice:
        match payload:
            case {"id": str(event_id), "type": str(type), "created": int(created), "data": {**data}} if event_id:
                about = {"payment": "payment", "refund": "refund"}.get(type.partition(".")[0])
                known = type in messages.OF_CHARGES.values() or type in messages.OF_REFUNDS.values()
                return Notice(
                    event_id=event_id,
                    type=type,
                    occurred_at=_moment(created),
                    about=about if known else None,  # type: ignore[arg-type]
                    attempt_id=parse_id(data.get("attempt_id")),
                    payment_id=parse_id(data.get("payment_id")),
                    payload=payload,
                )
        raise InvalidNotice("the message has not the members of one")

    def settle_due(self, at_most: int = 100) -> int:
        """Let time pass for what is due by now: slow charges and refunds, authorizations that end.

        Whoever asks about one of them lets its time pass, too; this is for those that nobody asks about.
        """
        if self._sessions.first(DUE, now=self._now()) is None:
            return 0
        with self._books() as books:
            return books.settle_due(at_most)

    def _do(self, order: Order, script: Script) -> Outcome:
        if isinstance(order, Charge):
            faultpoint.reach("sandbox.before_charge")
            outcome = self._charge(order, script)
            faultpoint.reach("sandbox.after_charge")
            return outcome
        with self._books() as books:
            match order:
                case Authentication():
                    outcome = books.authenticate(order)
                case Capture():
                    outcome = books.capture(order)
                case Void():
                    outcome = books.void(order)
                case GiveBack():
                    outcome = books.give_back(order)
        if isinstance(order, GiveBack):
            faultpoint.reach("sandbox.after_refund")
        return outcome

    def _charge(self, order: Charge, script: Script) -> Outcome:
        now = self._now()
        charge = new_charge(order, script, now, self._terms)
        writes = [Write(ADD_CHARGE, charge)]
        if charge["status"] != "error":
            writes.append(messages.adding(messages.of_charge(charge, now)))
        try:
            # The charge and its message in one round trip, which is a transaction by itself.
            with autocommit(self._sessions.engine) as connection, saving():
                write(connection, writes)
        except IntegrityError as exc:
            if constraint_of(exc) != "sandbox_charges_pkey":
                raise
            with self._books() as books:
                return books.repeat_charge(order, script)
        return charge_told(charge) or script.stumbles or NotExecuted("provider_error")

    @contextmanager
    def _books(self) -> Iterator[Books]:
        with self._sessions() as session, session.begin():
            yield Books(session, self._now(), self._terms)


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise InvalidNotice("the message's time is out of range") from exc
