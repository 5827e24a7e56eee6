"""The sandbox's rows: what becomes of a charge, its captures, voids and refunds when somebody asks or time passes.

Whoever changes a charge, or gives back a part of it, has locked its row: what was voided is never captured, and no
more goes back than was taken, however many ask at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lib.writes import Write, inserting, write_all
from payments_svc.application.provider_ports import AttemptChangedError
from payments_svc.domain.orders import Authentication, Capture, Charge, GiveBack, Void
from payments_svc.domain.outcome import NotExecuted, Outcome
from payments_svc.infrastructure import sandbox_messages as messages
from payments_svc.infrastructure.sandbox_rules import (
    UNKNOWN_CHARGE,
    Row,
    Terms,
    begun,
    charge_told,
    content_of,
    decided,
    declined,
    operation_told,
    refund_told,
    voided,
)
from payments_svc.infrastructure.sandbox_tables import sandbox_charges, sandbox_operations, sandbox_refunds
from payments_svc.infrastructure.sandbox_tokens import RETURNED, TOKENS, Refunds, Script

ADD_CHARGE, ADD_OPERATION, ADD_REFUND = (
    inserting(table) for table in (sandbox_charges, sandbox_operations, sandbox_refunds)
)

#: has a row as long as time is to pass for some charge or refund: a question that needs no transaction
DUE = sa.union_all(
    *(
        sa.select(table.c.attempt_id).where(table.c.due_at <= sa.bindparam("now")).limit(1).subquery().select()
        for table in (sandbox_charges, sandbox_refunds)
    )
)

UNKNOWN_METHOD = "unknown_payment_method"
"""Of a row of long ago, whose token this version does not have: a row that cannot be gone on with would keep all others
from it."""


def _script_of(charge: Row) -> Script | None:
    return TOKENS.get(charge["payment_method"])


class Books:
    """The rows, in one transaction.

    :param now: when all of it happens
    """

    def __init__(self, session: Session, now: datetime, terms: Terms) -> None:
        self._session = session
        self._now = now
        self._terms = terms

    # --- what is asked ---

    def repeat_charge(self, order: Charge, script: Script) -> Outcome:
        """Answer an attempt id that is known; one that was answered with an error is executed now."""
        charge = self._charge(order.attempt_id)
        if charge is None or any(
            charge[name] != value for name, value in content_of(order).items() if charge[name] is not None
        ):
            raise AttemptChangedError(order.attempt_id)
        self._count(sandbox_charges, order.attempt_id)
        if charge["status"] == "error":
            charge = self._change(charge, begun(charge, script, self._now, self._terms))
        return charge_told(charge) or NotExecuted("provider_error")

    def authenticate(self, order: Authentication) -> Outcome:
        charge = self._charge(order.charge.attempt_id)
        if charge is None:
            return UNKNOWN_CHARGE
        known = self._known(order.attempt_id, charge, kind="authenticate", amount=None, result=order.result)
        if known is None:
            # Without a result nothing has changed: only the customer's bank could say.
            if charge["status"] == "requires_action" and order.result is not None:
                fits = order.result == "succeed"
                changes = self._decided(charge) if fits else declined("authentication_failed")
                charge = self._change(charge, changes)
            known = self._note(order.attempt_id, charge, kind="authenticate", result=order.result)
        return operation_told(known, charge)

    def capture(self, order: Capture) -> Outcome:
        charge = self._charge(order.charge.attempt_id)
        if charge is None:
            return UNKNOWN_CHARGE
        known = self._known(order.attempt_id, charge, kind="capture", amount=order.amount, result=None)
        if known is None:
            refusal = self._capture_refusal(charge, order.amount)
            if charge["status"] != "voided" and refusal is None:
                changes = {"status": "succeeded", "amount_captured": order.amount, "due_at": None}
                charge = self._change(charge, changes)
            known = self._note(order.attempt_id, charge, kind="capture", amount=order.amount, refused=refusal)
        return operation_told(known, charge)

    @staticmethod
    def _capture_refusal(charge: Row, amount: int) -> str | None:
        match charge["status"]:
            case "voided":
                return None
            case "authorized" if amount > charge["amount"]:
                return "capture_exceeds_authorized"
            case "authorized":
                script = _script_of(charge)
                return UNKNOWN_METHOD if script is None else script.capture_refused
            case "succeeded":
                return "already_captured"
        return "not_authorized"

    def void(self, order: Void) -> Outcome:
        charge = self._charge(order.charge.attempt_id)
        if charge is None:
            return UNKNOWN_CHARGE
        known = self._known(order.attempt_id, charge, kind="void", amount=None, result=None)
        if known is None:
            refusal = None
            if charge["status"] in ("authorized", "requires_action"):
                charge = self._change(charge, voided("canceled"))
            elif charge["status"] != "voided":
                refusal = "already_captured" if charge["status"] == "succeeded" else "not_cancelable"
            known = self._note(order.attempt_id, charge, kind="void", refused=refusal)
        return operation_told(known, charge)

    def give_back(self, order: GiveBack) -> Outcome:
        charge = self._charge(order.charge.attempt_id)
        if charge is None:
            return UNKNOWN_CHARGE
        refund = self._refund(order.attempt_id)
        if refund is not None:
            if (refund["charge_attempt_id"], refund["amount"]) != (charge["attempt_id"], order.amount):
                raise AttemptChangedError(order.attempt_id)
            self._count(sandbox_refunds, order.attempt_id)
            return refund_told(refund)
        refund = self._new_refund(order, charge)
        told = [] if refund["failure_code"] else [messages.adding(messages.of_refund(refund, charge, self._now))]
        self._write(Write(ADD_REFUND, refund), *told)
        return refund_told(refund)

    def _new_refund(self, order: GiveBack, charge: Row) -> Row:
        given = self._session.execute(
            sa.select(sa.func.coalesce(sa.func.sum(sandbox_refunds.c.amount), 0)).where(
                sandbox_refunds.c.charge_attempt_id == charge["attempt_id"], sandbox_refunds.c.status != "failed"
            )
        ).scalar_one()
        script = _script_of(charge)
        status, code, due_at = "succeeded", None, None
        if script is None:
            status, code = "failed", UNKNOWN_METHOD
        elif charge["status"] != "succeeded":
            status, code = "failed", "charge_not_captured"
        elif given + order.amount > charge["amount_captured"]:
            status, code = "failed", "refund_exceeds_charge"
        elif script.refunds is not Refunds.AT_ONCE:
            due_at = self._now + self._terms.settle_after
            status = "pending" if script.refunds is Refunds.LATER else "succeeded"
        return {
            "attempt_id": order.attempt_id,
            "charge_attempt_id": charge["attempt_id"],
            "amount": order.amount,
            "currency": charge["currency"],
            "status": status,
            "failure_code": code,
            "due_at": due_at,
            "calls": 1,
            "created_at": self._now,
        }

    # --- what is known ---

    def look(self, attempt_id: UUID) -> Outcome | None:
        """Return what is known of a charge."""
        charge = self._charge(attempt_id)
        return None if charge is None else charge_told(charge)

    def look_at_operation(self, attempt_id: UUID) -> Outcome | None:
        operation = self._row(sandbox_operations, attempt_id)
        if operation is None:
            return None
        charge = self._charge(operation["charge_attempt_id"])
        return None if charge is None else operation_told(operation, charge)

    def look_at_refund(self, attempt_id: UUID) -> Outcome | None:
        refund = self._refund(attempt_id)
        return None if refund is None else refund_told(refund)

    def settle_due(self, at_most: int) -> int:
        """Let time pass for up to `at_most` charges and refunds each; return for how many it has."""
        charges, refunds = (self._due(each, at_most) for each in (sandbox_charges, sandbox_refunds))
        for charge in charges:
            self._settle_charge(charge)
        for refund in refunds:
            self._settle_refund(refund)
        return len(charges) + len(refunds)

    # --- rows ---

    def _charge(self, attempt_id: UUID) -> Row | None:
        """Return the charge as it is now, locked."""
        charge = self._row(sandbox_charges, attempt_id, lock=True)
        if charge is not None and charge["due_at"] is not None and charge["due_at"] <= self._now:
            charge = self._settle_charge(charge)
        return charge

    def _refund(self, attempt_id: UUID) -> Row | None:
        refund = self._row(sandbox_refunds, attempt_id, lock=True)
        if refund is not None and refund["due_at"] is not None and refund["due_at"] <= self._now:
            refund = self._settle_refund(refund)
        return refund

    def _settle_charge(self, charge: Row) -> Row:
        if charge["status"] == "authorized":
            return self._change(charge, voided("expired"))
        return self._change(charge, self._decided(charge))

    def _decided(self, charge: Row) -> Row:
        script = _script_of(charge)
        return declined(UNKNOWN_METHOD) if script is None else decided(charge, script, self._now, self._terms)

    def _settle_refund(self, refund: Row) -> Row:
        changes: Row = {"status": "succeeded", "due_at": None}
        if refund["status"] == "succeeded":
            changes = {"status": "failed", "failure_code": RETURNED, "due_at": None}
        self._update(sandbox_refunds, refund["attempt_id"], changes)
        refund = {**refund, **changes}
        charge = self._row(sandbox_charges, refund["charge_attempt_id"]) or {}
        self._write(messages.adding(messages.of_refund(refund, charge, self._now)))
        return refund

    def _change(self, charge: Row, changes: Row) -> Row:
        """Change the charge and tell of it."""
        self._update(sandbox_charges, charge["attempt_id"], changes)
        charge = {**charge, **changes}
        self._write(messages.adding(messages.of_charge(charge, self._now)))
        return charge

    def _known(self, attempt_id: UUID, charge: Row, **content: Any) -> Row | None:
        operation = self._row(sandbox_operations, attempt_id)
        if operation is None:
            return None
        content["charge_attempt_id"] = charge["attempt_id"]
        if any(operation[name] != value for name, value in content.items()):
            raise AttemptChangedError(attempt_id)
        self._count(sandbox_operations, attempt_id)
        return operation

    def _note(
        self,
        attempt_id: UUID,
        charge: Row,
        *,
        kind: str,
        amount: int | None = None,
        result: str | None = None,
        refused: str | None = None,
    ) -> Row:
        status = "voided" if charge["status"] == "voided" else "succeeded"
        operation = {
            "attempt_id": attempt_id,
            "charge_attempt_id": charge["attempt_id"],
            "kind": kind,
            "amount": amount,
            "result": result,
            "status": "refused" if refused else status,
            "decline_code": refused,
            "calls": 1,
            "created_at": self._now,
        }
        self._write(Write(ADD_OPERATION, operation))
        return operation

    def _due(self, table: sa.Table, at_most: int) -> list[Row]:
        query = sa.select(table).where(table.c.due_at <= self._now).limit(at_most).with_for_update(skip_locked=True)
        return [dict(row) for row in self._session.execute(query).mappings()]

    def _row(self, table: sa.Table, attempt_id: UUID, *, lock: bool = False) -> Row | None:
        query = sa.select(table).where(table.c.attempt_id == attempt_id)
        row = self._session.execute(query.with_for_update() if lock else query).mappings().one_or_none()
        return None if row is None else dict(row)

    def _count(self, table: sa.Table, attempt_id: UUID) -> None:
        self._update(table, attempt_id, {"calls": table.c.calls + 1})

    def _update(self, table: sa.Table, attempt_id: UUID, changes: Mapping[str, Any]) -> None:
        self._session.execute(sa.update(table).where(table.c.attempt_id == attempt_id).values(**changes))

    def _write(self, *writes: Write) -> None:
        write_all(self._session.connection(), writes)
