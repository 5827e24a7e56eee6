"""The history of an account's money."""

from __future__ import annotations

from typing import Any

from gateway.shapes.parts import ID, TIME, WHEN, Schema, maybe, page_of, text, thing
from gateway.shapes.payments import CURRENCY, PAYMENT_ID, REFUND_ID

TRANSACTION_ID = "0198a3f5-9a01-7c44-b0a2-7e55d1c2f9aa"
MOVED = {
    "type": "integer",
    "description": "In the currency's minor unit: positive for what was paid, negative for what went back",
}

COMPONENTS: dict[str, Schema] = {
    "Transaction": thing(
        id=ID,
        type=text(enum=["payment", "refund", "refund_failure"]),
        amount=MOVED,
        amount_decimal=text(description="The same as a decimal: -5.00"),
        currency=CURRENCY,
        payment_id=ID,
        refund_id=maybe(format="uuid"),
        description=maybe(),
        reference=maybe(),
        created_at=TIME,
    ),
    "TransactionPage": page_of("Transaction"),
    "TransactionExport": text(
        description="A line for each transaction, newest first, and a last one: its `type` is `end` or `error`"
    ),
}

TRANSACTION_EXAMPLE = {
    "id": TRANSACTION_ID,
    "type": "refund",
    "amount": -500,
    "amount_decimal": "-5.00",
    "currency": "EUR",
    "payment_id": PAYMENT_ID,
    "refund_id": REFUND_ID,
    "description": "Two books",
    "reference": "order-1234",
    "created_at": WHEN,
}

EXAMPLES: dict[str, Any] = {
    "Transaction": TRANSACTION_EXAMPLE,
    "TransactionPage": {"data": [TRANSACTION_EXAMPLE], "next_cursor": None},
    "TransactionExport": (
        "type,id,amount,amount_decimal,currency,payment_id,refund_id,description,reference,created_at\r\n"
        f"refund,{TRANSACTION_ID},-500,-5.00,EUR,{PAYMENT_ID},{REFUND_ID},Two books,order-1234,{WHEN}\r\n"
        "end,,,,,,,1,,\r\n"
    ),
}
