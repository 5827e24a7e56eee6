"""Kept means of payment."""

from __future__ import annotations

from typing import Any

from gateway.shapes.parts import ID, TIME, WHEN, Schema, maybe, page_of, text, thing

METHOD_ID = "0198a3f6-2b7d-7a40-9c15-6e3f8d02b9a1"

COMPONENTS: dict[str, Schema] = {
    "PaymentMethod": thing(
        id=ID,
        provider=text(description="Whose token it is"),
        kind=text(description="`card`, `bank_debit`"),
        brand=maybe(),
        last4=maybe(pattern="^[0-9]{4}$", description="The last four digits"),
        exp_month={"type": ["integer", "null"], "minimum": 1, "maximum": 12},
        exp_year={"type": ["integer", "null"]},
        is_default={"type": "boolean", "description": "Whether it pays where none is named"},
        created_at=TIME,
    ),
    "PaymentMethodPage": page_of("PaymentMethod"),
}

METHOD_EXAMPLE = {
    "id": METHOD_ID,
    "provider": "sandbox",
    "kind": "card",
    "brand": "visa",
    "last4": "4242",
    "exp_month": 12,
    "exp_year": 2030,
    "is_default": True,
    "created_at": WHEN,
}

EXAMPLES: dict[str, Any] = {
    "PaymentMethod": METHOD_EXAMPLE,
    "PaymentMethodPage": {"data": [METHOD_EXAMPLE], "next_cursor": None},
}
