"""What a request with an idempotency key is answered, the first time and every time after."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from lib.ids import rfc3339
from payments_svc.application.ports import Row
from payments_svc.domain.payment import Payment, PaymentDeclined, PaymentStatus
from payments_svc.domain.refund import Refund


@dataclass(frozen=True)
class Answer:
    """The fields of a payment or refund as they were, and whether they were told before."""

    body: Row
    replayed: bool


def snapshot(entity: Payment | Refund) -> Row:
    """Return the fields as they are now, in a form that JSON can keep."""
    return {each.name: _plain(getattr(entity, each.name)) for each in fields(entity)}


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return rfc3339(value) if isinstance(value, datetime) else value


def payment_answer(body: Row, *, replayed: bool) -> Answer:
    """Answer with a payment; a declined one is told by raising, again and again."""
    if body["status"] == PaymentStatus.REQUIRES_PAYMENT_METHOD and body["decline_code"] is not None:
        raise PaymentDeclined(
            "the payment was declined", decline_code=body["decline_code"], payment_id=body["id"], replayed=replayed
        )
    return Answer(body, replayed)
