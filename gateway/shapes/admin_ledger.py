"""The books, for the staff."""

from __future__ import annotations

from typing import Any

from gateway.shapes.parts import ID, TIME, USER_ID, WHEN, Schema, maybe, page_of, text, thing
from gateway.shapes.payments import PAYMENT_ID

TRANSACTION_ID = "0198a3f4-1d20-7e61-8a3b-5c9f0b7d2e41"
ENTRY_ID = "0198a3f4-1d20-7c07-b1d4-e83a6f5c9b02"
HEAD = "48210:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

ACCOUNT = text(description="`provider:<name>`, `sales`, `refunds_payable`", examples=["sales"])
CURRENCY = text(description="ISO 4217", examples=["EUR"])


def _units(told: str) -> Schema:
    return {"type": "integer", "description": f"{told}, in minor units; may be larger than 2^53"}


def _sums(**properties: Schema) -> Schema:
    return {"type": "array", "items": thing(**properties)}


COMPONENTS: dict[str, Schema] = {
    "LedgerBalances": thing(
        as_of=TIME,
        data=_sums(
            account=ACCOUNT,
            currency=CURRENCY,
            balance=_units("Debits minus credits: positive for what is owed to us"),
            debits=_units("Sum of all debits"),
            credits=_units("Sum of all credits"),
        ),
    ),
    "TrialBalance": thing(
        as_of=TIME,
        balanced={"type": "boolean", "description": "Whether all differences are 0; anything else is an alarm"},
        data=_sums(
            currency=CURRENCY,
            debits=_units("Sum of all debits"),
            credits=_units("Sum of all credits"),
            difference=_units("Debits minus credits"),
        ),
    ),
    "LedgerEntry": thing(
        id=ID,
        transaction_id=text(format="uuid", description="Entries that have it in common add up to 0"),
        kind=text(enum=["capture", "refund", "refund_settlement", "refund_reversal", "refund_return"]),
        source_id=text(format="uuid", description="The payment or refund that moved"),
        account=ACCOUNT,
        amount={"type": "integer", "description": "Minor units; a debit is positive, a credit negative"},
        currency=CURRENCY,
        customer_id=ID,
        payment_id=ID,
        refund_id=maybe(format="uuid"),
        request_id=text(description="As in the answer's `X-Request-ID`, of the request that moved it"),
        posted_at=TIME,
    ),
    "LedgerEntryPage": page_of("LedgerEntry"),
    "LedgerCheck": thing(
        status=text(enum=["unfinished", "intact", "broken"], description="`unfinished`: go on with `next_cursor`"),
        checked=maybe(description="The last seal that is right. Write it down at the end, away from the database"),
        broken=maybe(description="The first thing that is not as it was written"),
        next_cursor=maybe(description="Send it as `cursor` for the next step; null at the end"),
    ),
}

LEDGER_ENTRY_EXAMPLE = {
    "id": ENTRY_ID,
    "transaction_id": TRANSACTION_ID,
    "kind": "capture",
    "source_id": PAYMENT_ID,
    "account": "sales",
    "amount": -1050,
    "currency": "EUR",
    "customer_id": USER_ID,
    "payment_id": PAYMENT_ID,
    "refund_id": None,
    "request_id": "5f0c2d9ab1e84b3c9d7e6a5f4c3b2a10",
    "posted_at": WHEN,
}

EXAMPLES: dict[str, Any] = {
    "LedgerBalances": {
        "as_of": WHEN,
        "data": [
            {"account": "provider:sandbox", "currency": "EUR", "balance": 945, "debits": 1050, "credits": 105},
            {"account": "refunds_payable", "currency": "EUR", "balance": 0, "debits": 105, "credits": 105},
            {"account": "sales", "currency": "EUR", "balance": -945, "debits": 105, "credits": 1050},
        ],
    },
    "TrialBalance": {
        "as_of": WHEN,
        "balanced": True,
        "data": [{"currency": "EUR", "debits": 1260, "credits": 1260, "difference": 0}],
    },
    "LedgerEntry": LEDGER_ENTRY_EXAMPLE,
    "LedgerEntryPage": {
        "data": [LEDGER_ENTRY_EXAMPLE],
        "next_cursor": None,
    },
    "LedgerCheck": {"status": "intact", "checked": HEAD, "broken": None, "next_cursor": None},
}
