"""A payment provider of our own, for development and tests: deterministic, and as treacherous as a real one.

It keeps its own books in its own transactions, so that it can know of a charge whose answer never reached us.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import Enum, auto
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from lib import faultpoint
from payments_svc.domain.details import UnknownPaymentMethod, UnsupportedPaymentMethod
from payments_svc.domain.outcome import MayHaveHappened, NotExecuted, Outcome, Refused, Succeeded
from payments_svc.infrastructure.tables import sandbox_charges, sandbox_refunds


class Script(Enum):
    SUCCEED = auto()
    DECLINE = auto()
    EXECUTE_AND_STAY_SILENT = auto()
    BE_UNREACHABLE = auto()
    FAIL_ONCE = auto()


TOKENS = {
    "tok_visa": Script.SUCCEED,
    "tok_declined": Script.DECLINE,
    "tok_insufficient_funds": Script.DECLINE,
    "tok_expired_card": Script.DECLINE,
    "tok_lost_card": Script.DECLINE,
    # Charges and never says so; `lookup` finds the charge. The silence is told at once, nobody waits for it.
    "tok_timeout": Script.EXECUTE_AND_STAY_SILENT,
    # Nothing arrives at the sandbox, however often it is tried.
    "tok_unreachable": Script.BE_UNREACHABLE,
    # The first call with an attempt id is answered with an error before anything is charged, the next one succeeds:
    # a request fails, and its repetition with the same idempotency key goes through.
    "tok_error": Script.FAIL_ONCE,
}
NOT_YET = frozenset({"tok_3ds", "tok_async", "tok_async_fail"})
"""Tokens of the sandbox for things that payments cannot do so far."""


class AttemptChangedError(Exception):
    """An attempt id came back with another content: a mistake of ours, never of a customer."""


class SandboxProvider:
    """See the module's text.

    :param sessions: makes a fresh session; each call here is a transaction of its own
    :param latency: seconds that each answer takes, after the deed is done
    :param timeout: seconds after which an answer is no longer waited for
    """

    name = "sandbox"

    def __init__(
        self,
        sessions: Callable[[], Session],
        *,
        now: Callable[[], datetime],
        latency: float = 0.0,
        timeout: float = 8.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sessions = sessions
        self._now = now
        self._latency = latency
        self._timeout = timeout
        self._sleep = sleep

    def check_payment_method(self, payment_method: str) -> None:
        if payment_method in NOT_YET:
            raise UnsupportedPaymentMethod("this kind of payment is not supported", "/payment_method")
        if payment_method not in TOKENS:
            raise UnknownPaymentMethod("the provider knows no such token", "/payment_method")

    def charge(self, attempt_id: UUID, amount: int, currency: str, payment_method: str) -> Outcome:
        script = TOKENS[payment_method]
        if script is Script.BE_UNREACHABLE:
            return NotExecuted("provider_unreachable")
        status = {Script.DECLINE: "declined", Script.FAIL_ONCE: "error"}.get(script, "succeeded")
        content = {"amount": amount, "currency": currency, "payment_method": payment_method}
        faultpoint.reach("sandbox.before_charge")
        with self._transaction() as session:
            row, known = self._book(session, sandbox_charges, attempt_id, {**content, "status": status}, content)
            if known and row["status"] == "error":
                row = {**row, "status": "succeeded"}
                self._update(session, sandbox_charges, attempt_id, status="succeeded")
        faultpoint.reach("sandbox.after_charge")
        answered = self._wait()
        if row["status"] == "error":
            return NotExecuted("provider_error")
        if script is Script.EXECUTE_AND_STAY_SILENT or not answered:
            return MayHaveHappened()
        return _told(row)

    def refund(self, attempt_id: UUID, charge_attempt_id: UUID, amount: int, currency: str) -> Outcome:
        content = {"charge_attempt_id": charge_attempt_id, "amount": amount, "currency": currency}
        with self._transaction() as session:
            refusal = self._refusal(session, attempt_id, charge_attempt_id, amount)
            if refusal is None:
                self._book(session, sandbox_refunds, attempt_id, content, content)
        faultpoint.reach("sandbox.after_refund")
        answered = self._wait()
        return (refusal or Succeeded()) if answered else MayHaveHappened()

    def lookup(self, attempt_id: UUID) -> Outcome | None:
        with self._transaction() as session:
            charge = self._row(session, sandbox_charges, attempt_id)
            refund = self._row(session, sandbox_refunds, attempt_id)
        if charge is not None and charge["status"] != "error":
            return _told(charge)
        return None if refund is None else Succeeded()

    @staticmethod
    def _refusal(session: Session, attempt_id: UUID, charge_attempt_id: UUID, amount: int) -> Refused | None:
        """Refuse what was not charged; the charge's row is locked, so that refunds at the same time add up."""
        charge = session.execute(
            sa.select(sandbox_charges).where(sandbox_charges.c.attempt_id == charge_attempt_id).with_for_update()
        ).first()
        if charge is None or charge.status != "succeeded":
            return Refused("charge_not_found")
        refunded = session.execute(
            sa.select(sa.func.coalesce(sa.func.sum(sandbox_refunds.c.amount), 0)).where(
                sandbox_refunds.c.charge_attempt_id == charge_attempt_id, sandbox_refunds.c.attempt_id != attempt_id
            )
        ).scalar_one()
        return Refused("refund_exceeds_charge") if refunded + amount > charge.amount else None

    def _book(
        self, session: Session, table: sa.Table, attempt_id: UUID, values: dict[str, Any], content: dict[str, Any]
    ) -> tuple[dict[str, Any], bool]:
        """Return the attempt's row and whether it was there before; one id has one row and one content."""
        inserted = session.execute(
            insert(table)
            .values(attempt_id=attempt_id, created_at=self._now(), **values)
            .on_conflict_do_nothing()
            .returning(table.c.attempt_id)
        ).first()
        if inserted is None:
            # The update also waits for a call with the same id that is under way.
            self._update(session, table, attempt_id, calls=table.c.calls + 1)
        row = self._row(session, table, attempt_id)
        if row is None or any(row[name] != value for name, value in content.items()):
            raise AttemptChangedError(f"attempt {attempt_id} came back with another content")
        return row, inserted is None

    @staticmethod
    def _update(session: Session, table: sa.Table, attempt_id: UUID, **values: Any) -> None:
        session.execute(sa.update(table).where(table.c.attempt_id == attempt_id).values(**values))

    @staticmethod
    def _row(session: Session, table: sa.Table, attempt_id: UUID) -> dict[str, Any] | None:
        row = session.execute(sa.select(table).where(table.c.attempt_id == attempt_id)).mappings().one_or_none()
        return None if row is None else dict(row)

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with self._sessions() as session, session.begin():
            yield session

    def _wait(self) -> bool:
        """Take the time that an answer takes; False if nobody waits that long."""
        if self._latency > 0:
            self._sleep(min(self._latency, self._timeout))
        return self._latency < self._timeout


def _told(charge: dict[str, Any]) -> Outcome:
    if charge["status"] == "declined":
        # The token's name without "tok_" is the reason that it stands for.
        return Refused(charge["payment_method"].removeprefix("tok_"))
    return Succeeded()
