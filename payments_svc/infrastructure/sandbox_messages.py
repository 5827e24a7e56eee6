"""What the sandbox has to tell: rows that are written with the change that they tell of, and sent afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lib.ids import new_id
from lib.writes import Form, Write, inserting
from payments_svc.infrastructure.sandbox_tables import sandbox_messages

Message = dict[str, Any]

OF_CHARGES: Mapping[str, str] = {
    "requires_action": "payment.requires_action",
    "processing": "payment.processing",
    "authorized": "payment.authorized",
    "succeeded": "payment.succeeded",
    "declined": "payment.failed",
    "voided": "payment.canceled",
}
OF_REFUNDS: Mapping[str, str] = {
    "pending": "refund.pending",
    "succeeded": "refund.succeeded",
    "failed": "refund.failed",
}
ADD: Form = inserting(sandbox_messages)


def of_charge(charge: Mapping[str, Any], now: datetime) -> Message:
    """Return the message that tells of a charge's state."""
    data = {
        "attempt_id": str(charge["attempt_id"]),
        "payment_id": None if charge["payment_id"] is None else str(charge["payment_id"]),
        "amount": charge["amount"],
        "amount_captured": charge["amount_captured"],
        "currency": charge["currency"],
        "decline_code": charge["decline_code"],
    }
    return _message(OF_CHARGES[charge["status"]], data, now)


def of_refund(refund: Mapping[str, Any], charge: Mapping[str, Any], now: datetime) -> Message:
    """Return the message that tells of a refund's state."""
    data = {
        "attempt_id": str(refund["attempt_id"]),
        "charge_attempt_id": str(refund["charge_attempt_id"]),
        "payment_id": None if charge["payment_id"] is None else str(charge["payment_id"]),
        "amount": refund["amount"],
        "currency": refund["currency"],
        "failure_code": refund["failure_code"],
    }
    return _message(OF_REFUNDS[refund["status"]], data, now)


def adding(message: Message) -> Write:
    """Return the write of a message."""
    return Write(ADD, message)


def _message(type: str, data: Mapping[str, Any], now: datetime) -> Message:
    id = new_id()
    body = {"id": f"evt_{id.hex}", "type": type, "created": int(now.timestamp()), "data": data}
    return {
        "id": id,
        "type": type,
        "body": json.dumps(body, separators=(",", ":")),
        "created_at": now,
        "next_try_at": now,
        "tries": 0,
        "sent_at": None,
        "error": None,
    }
