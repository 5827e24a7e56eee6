"""Payments and refunds."""

from __future__ import annotations

from typing import Any

from gateway.shapes.parts import ID, TIME, WHEN, Schema, maybe, page_of, text, thing

PAYMENT_ID = "0198a3f4-11aa-7c02-8e31-5d9b7f204c68"
REFUND_ID = "0198a3f5-90bc-7e11-a3d4-0c6e9d815f27"

AMOUNT = {"type": "integer", "minimum": 0, "description": "In the currency's minor unit: 1050 is 10.50 EUR"}
CURRENCY = text(pattern="^[A-Z]{3}$", description="ISO 4217")

COMPONENTS: dict[str, Schema] = {
    "Payment": thing(
        id=ID,
        status=text(
            enum=[
                "requires_payment_method",
                "requires_confirmation",
                "requires_action",
                "processing",
                "requires_capture",
                "succeeded",
                "canceled",
                "unknown",
            ]
        ),
        amount=AMOUNT,
        currency=CURRENCY,
        capture_method=text(enum=["automatic", "manual"]),
        amount_capturable={**AMOUNT, "description": "Set aside and not captured, in the currency's minor unit"},
        amount_captured=AMOUNT,
        amount_refunded=AMOUNT,
        payment_method=maybe(
            description="The id of the kept payment method that it was or is to be charged with, given or the default; "
            "else the token that you gave. The token of a kept one is shown nowhere"
        ),
        decline_code=maybe(),
        description=maybe(),
        metadata={"type": "object", "additionalProperties": text()},
        reference=maybe(),
        provider=maybe(),
        next_action={
            "type": ["object", "null"],
            "description": "What the customer has to do while the status is `requires_action`",
        },
        capture_before=maybe(format="date-time", description="When what is set aside goes back by itself"),
        cancellation_reason=maybe(
            enum=["requested_by_customer", "duplicate", "fraudulent", "abandoned", "expired", "provider", None]
        ),
        pending_operation={
            "type": ["object", "null"],
            "description": "What is under way at the provider; nothing else can be begun meanwhile",
            "properties": {
                "type": text(enum=["charge", "authenticate", "capture", "cancel"]),
                "amount": {"type": ["integer", "null"]},
                "status": text(
                    enum=["pending", "accepted", "unknown"],
                    description="`unknown`: it may have happened, and is asked about at `next_check_at`",
                ),
                "next_check_at": maybe(format="date-time"),
            },
            "required": ["type", "amount", "status", "next_check_at"],
        },
        next_check_at=maybe(format="date-time", description="When the provider is asked about what is under way"),
        created_at=TIME,
        updated_at=TIME,
    ),
    "PaymentPage": page_of("Payment"),
    "Refund": thing(
        id=ID,
        payment_id=ID,
        amount=AMOUNT,
        currency=CURRENCY,
        status=text(enum=["pending", "succeeded", "failed", "canceled", "unknown"]),
        reason=maybe(),
        failure_code=maybe(),
        next_check_at=maybe(format="date-time"),
        created_at=TIME,
    ),
    "RefundPage": page_of("Refund"),
}

PAYMENT_EXAMPLE = {
    "id": PAYMENT_ID,
    "status": "succeeded",
    "amount": 1050,
    "currency": "EUR",
    "capture_method": "automatic",
    "amount_capturable": 0,
    "amount_captured": 1050,
    "amount_refunded": 0,
    "payment_method": "tok_visa",
    "decline_code": None,
    "description": "Two books",
    "metadata": {"order": "1234"},
    "reference": "order-1234",
    "provider": "sandbox",
    "next_action": None,
    "capture_before": None,
    "cancellation_reason": None,
    "pending_operation": None,
    "next_check_at": None,
    "created_at": WHEN,
    "updated_at": WHEN,
}
REFUND_EXAMPLE = {
    "id": REFUND_ID,
    "payment_id": PAYMENT_ID,
    "amount": 500,
    "currency": "EUR",
    "status": "succeeded",
    "reason": "damaged",
    "failure_code": None,
    "next_check_at": None,
    "created_at": WHEN,
}

EXAMPLES: dict[str, Any] = {
    "Payment": PAYMENT_EXAMPLE,
    "PaymentPage": {"data": [PAYMENT_EXAMPLE], "next_cursor": None},
    "Refund": REFUND_EXAMPLE,
    "RefundPage": {"data": [REFUND_EXAMPLE], "next_cursor": None},
}
