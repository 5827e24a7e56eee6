"""What a request with an idempotency key is answered, the first time and every time after."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from lib.errors import DomainError
from lib.ids import rfc3339
from payments_svc.application.ports import Row
from payments_svc.domain.payment import Payment
from payments_svc.domain.payment_errors import CancelRefused, CaptureRefused, PaymentDeclined
from payments_svc.domain.payment_status import PaymentStatus
from payments_svc.domain.refund import Refund


@dataclass(frozen=True)
class Answer:
    """The fields of a payment or refund as they were, and whether they were told before."""

    body: Row
    replayed: bool


@dataclass(frozen=True)
class Refusal:
    """How a refusal of the provider is told: by raising `error` while the payment is in one of the `statuses`."""

    error: type[DomainError]
    message: str
    statuses: frozenset[PaymentStatus]


P = PaymentStatus
CHARGE_REFUSED = Refusal(PaymentDeclined, "the payment was declined", frozenset({P.REQUIRES_PAYMENT_METHOD}))
CAPTURE_REFUSED = Refusal(CaptureRefused, "the provider refused the capture", frozenset({P.REQUIRES_CAPTURE}))
CANCEL_REFUSED = Refusal(
    CancelRefused, "the provider refused to cancel", frozenset({P.REQUIRES_CAPTURE, P.REQUIRES_ACTION})
)


UNTOLD = frozenset(
    {
        "attempt_id",
        "operation_id",
        "operation_started_at",
        "authentication",
        "action_until",
        "payment_method_id",
        "provider_reference",
        "amount_refunding",
        "checks",
        "version",
        "sequence",
    }
)
"""Fields for ourselves alone."""


def snapshot(entity: Payment | Refund) -> Row:
    """Return the fields that are told, as they are now, in a form that JSON can keep."""
    told = {each.name: _plain(getattr(entity, each.name)) for each in fields(entity) if each.name not in UNTOLD}
    return told | {"payment_method": entity.shown_method} if isinstance(entity, Payment) else told


def _plain(value: Any) -> Any:
    if isinstance(value, UUID | StrEnum):
        return str(value)
    return rfc3339(value) if isinstance(value, datetime) else value


def payment_answer(body: Row, *, replayed: bool, refusal: Refusal | None = CHARGE_REFUSED) -> Answer:
    """Answer with a payment; what the provider refused is told by raising, again and again.

    :param refusal: None if whatever was refused was asked for by another request
    """
    # Answers that were stored before there were operations do not speak of them.
    code = body["decline_code"]
    refused = code is not None and body.get("operation") is None
    if refusal is not None and refused and body["status"] in refusal.statuses:
        raise refusal.error(refusal.message, decline_code=code, payment_id=body["id"], replayed=replayed)
    return Answer(body, replayed)
