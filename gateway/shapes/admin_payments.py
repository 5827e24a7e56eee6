"""Payments as the staff sees them."""

from __future__ import annotations

from typing import Any

from gateway.shapes.parts import ID, TIME, USER_ID, WHEN, Schema, maybe, page_of, ref, text, thing
from gateway.shapes.payments import COMPONENTS as PAYMENTS
from gateway.shapes.payments import PAYMENT_EXAMPLE, REFUND_EXAMPLE

_PAYMENT = PAYMENTS["Payment"]["properties"]
STATUSES: tuple[str, ...] = tuple(_PAYMENT["status"]["enum"])

COMPONENTS: dict[str, Schema] = {
    "AdminPayment": thing(**_PAYMENT, customer_id=ID),
    "AdminPaymentPage": page_of("AdminPayment"),
    "InspectedPayment": thing(**_PAYMENT, customer_id=ID, refunds={"type": "array", "items": ref("Refund")}),
    "TrailEntry": thing(
        id=ID,
        action=text(examples=["capture.succeeded"]),
        actor=thing(kind=text(enum=["customer", "staff", "system", "provider"]), id=maybe(format="uuid")),
        reason=maybe(),
        before=text(description="The status before; the refund's, where there is one"),
        after=text(),
        amount={"type": ["integer", "null"], "description": "In the currency's minor unit"},
        code=maybe(description="The provider's reason for a refusal"),
        refund_id=maybe(format="uuid"),
        request_id=text(),
        occurred_at=TIME,
    ),
    "TrailPage": page_of("TrailEntry"),
}

ADMIN_PAYMENT_EXAMPLE = {**PAYMENT_EXAMPLE, "customer_id": USER_ID}
TRAIL_EXAMPLE = {
    "id": "0198a3f5-9b77-7d01-8c1e-0a64be2d7f10",
    "action": "refund.requested",
    "actor": {"kind": "staff", "id": USER_ID},
    "reason": "damaged",
    "before": "pending",
    "after": "pending",
    "amount": 500,
    "code": None,
    "refund_id": REFUND_EXAMPLE["id"],
    "request_id": "01JZ8F3K2M9Q",
    "occurred_at": WHEN,
}

EXAMPLES: dict[str, Any] = {
    "AdminPayment": ADMIN_PAYMENT_EXAMPLE,
    "AdminPaymentPage": {"data": [ADMIN_PAYMENT_EXAMPLE], "next_cursor": None},
    "InspectedPayment": {**ADMIN_PAYMENT_EXAMPLE, "refunds": [REFUND_EXAMPLE]},
    "TrailEntry": TRAIL_EXAMPLE,
    "TrailPage": {"data": [TRAIL_EXAMPLE], "next_cursor": None},
}
