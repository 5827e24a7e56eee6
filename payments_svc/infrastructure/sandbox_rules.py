"""The sandbox's rules: which state follows which, and what is told of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from payments_svc.domain.orders import Charge
from payments_svc.domain.outcome import (
    Accepted,
    ActionRequired,
    Authorized,
    Outcome,
    Refused,
    Succeeded,
    Voided,
)
from payments_svc.infrastructure.sandbox_tokens import Script

Row = dict[str, Any]

UNKNOWN_CHARGE = Refused("charge_not_found")
ACTION: Mapping[str, Any] = {"type": "authenticate", "method": "3d_secure", "results": ["succeed", "fail"]}
"""What a client gets to read while the customer has to act; a real provider would give the address of a page."""


@dataclass(frozen=True)
class Terms:
    """:param authorization: how long an amount stays set aside
    :param settle_after: how long slow charges and refunds take
    """

    authorization: timedelta = timedelta(days=7)
    settle_after: timedelta = timedelta(seconds=1)


def content_of(order: Charge) -> Row:
    """Return what an attempt id stands for."""
    return {
        "payment_id": order.payment_id,
        "amount": order.amount,
        "currency": order.currency,
        "payment_method": order.payment_method,
        "capture": order.capture,
    }


def new_charge(order: Charge, script: Script, now: datetime, terms: Terms) -> Row:
    """Return the row of a charge that is asked for the first time."""
    row = {
        "attempt_id": order.attempt_id,
        **content_of(order),
        "status": "error",
        "amount_captured": 0,
        "decline_code": None,
        "void_reason": None,
        "due_at": None,
        "calls": 1,
        "created_at": now,
    }
    return row if script.stumbles else {**row, **begun(row, script, now, terms)}


def begun(charge: Row, script: Script, now: datetime, terms: Terms) -> Row:
    if script.asks_customer:
        return {"status": "requires_action"}
    if script.slow:
        return {"status": "processing", "due_at": now + terms.settle_after}
    return decided(charge, script, now, terms)


def decided(charge: Row, script: Script, now: datetime, terms: Terms) -> Row:
    if script.declined:
        return declined(script.declined)
    if charge["capture"]:
        return {"status": "succeeded", "amount_captured": charge["amount"], "due_at": None}
    return {"status": "authorized", "due_at": now + (script.expires_after or terms.authorization)}


def declined(code: str) -> Row:
    return {"status": "declined", "decline_code": code, "due_at": None}


def voided(reason: str) -> Row:
    return {"status": "voided", "void_reason": reason, "due_at": None}


def charge_told(charge: Row) -> Outcome | None:
    """Return what a charge's row says; None if nothing was executed so far."""
    reference = f"ch_{charge['attempt_id'].hex}"
    match charge["status"]:
        case "requires_action":
            return ActionRequired(dict(ACTION), reference)
        case "processing":
            return Accepted(reference)
        case "authorized":
            return Authorized(charge["due_at"], reference)
        case "succeeded":
            return Succeeded(charge["amount_captured"], reference)
        case "declined":
            return Refused(charge["decline_code"])
        case "voided":
            return Voided(charge["void_reason"])
    return None


def operation_told(operation: Row, charge: Row) -> Outcome:
    """Return what a capture's, a void's or an authentication's row says."""
    if operation["kind"] != "authenticate":
        match operation["status"]:
            case "refused":
                return Refused(operation["decline_code"])
            case "succeeded":
                return Succeeded(operation["amount"], f"ch_{charge['attempt_id'].hex}")
    # An authentication is over when its charge is; a capture or a void that found the charge voided says so, too.
    outcome = charge_told(charge)
    return UNKNOWN_CHARGE if outcome is None else outcome


def refund_told(refund: Row) -> Outcome:
    reference = f"re_{refund['attempt_id'].hex}"
    match refund["status"]:
        case "pending":
            return Accepted(reference)
        case "failed":
            return Refused(refund["failure_code"])
    return Succeeded(refund["amount"], reference)
