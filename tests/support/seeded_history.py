"""Histories of any length, made in PostgreSQL itself: payments of 10.00 EUR, every tenth refunded in part.

For each movement there is a payment. Of a hundred payments one is `RARE`, one was canceled, and all others succeeded.
Each has a reference: those that were canceled the same, the others one of their own.
"""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa

#: the first movement of each seeded history, in milliseconds since 1970; one follows each second
BEGAN = 1_767_225_600_000
RARE, CANCELED_REFERENCE = "unknown", "order-again"
# A UUIDv7; its last digit is left to tell the two entries of a movement apart.
_ID = (
    "lpad(to_hex(:began + n * 1000), 12, '0') || '7' || substr(md5(:salt || n), 1, 3)"
    " || '8' || right(md5(:salt || n), 14) || '1'"
)

_MOVES = f"""
WITH moves AS (
    SELECT n, ({_ID})::uuid AS movement, n % 10 = 0 AS back, to_timestamp((:began + n * 1000) / 1000) AS moment
    FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n
)
"""
_ENTRIES = f"""{_MOVES}
INSERT INTO ledger_entries (id, transaction_id, kind, source_id, account, amount, currency, customer_id, payment_id,
    refund_id, correlation_id, posted_at)
SELECT CASE WHEN debit THEN movement ELSE (left(movement::text, 35) || '0')::uuid END, movement,
    CASE WHEN back THEN 'refund' ELSE 'capture' END, movement,
    CASE WHEN debit = back THEN 'sales' WHEN back THEN 'refunds_payable' ELSE 'provider:sandbox' END,
    (CASE WHEN back THEN 400 ELSE 1000 END) * (CASE WHEN debit THEN 1 ELSE -1 END), 'EUR', :customer_id, movement,
    CASE WHEN back THEN movement END, 'seeded', moment
FROM moves, (VALUES (true), (false)) AS sides (debit)
"""
_CUSTOMER = """
INSERT INTO customers (id, created_at) VALUES (:customer_id, to_timestamp(:began / 1000)) ON CONFLICT DO NOTHING
"""
_PAYMENTS = f"""{_MOVES}
INSERT INTO payments (id, customer_id, amount, currency, description, reference, status, cancellation_reason,
    amount_captured, amount_refunded, payment_method, provider, attempt_id, operation, operation_id, operation_amount,
    operation_status, operation_started_at, next_check_at, created_at, updated_at)
SELECT movement, :customer_id, 1000, 'EUR', 'Number ' || n,
    CASE WHEN was = 'canceled' THEN '{CANCELED_REFERENCE}' ELSE 'order-' || n END, was,
    CASE WHEN was = 'canceled' THEN 'requested_by_customer' END,
    CASE WHEN was = 'succeeded' THEN 1000 ELSE 0 END, CASE WHEN back AND was = 'succeeded' THEN 400 ELSE 0 END,
    'tok_visa', 'sandbox', movement, operation, CASE WHEN operation IS NOT NULL THEN movement END,
    CASE WHEN operation IS NOT NULL THEN 1000 END, CASE WHEN operation IS NOT NULL THEN 'unknown' END,
    CASE WHEN operation IS NOT NULL THEN moment END,
    CASE WHEN operation IS NOT NULL THEN moment + interval '10 years' END, moment, moment
FROM moves,
    LATERAL (SELECT CASE n % 100 WHEN 17 THEN '{RARE}' WHEN 18 THEN 'canceled' ELSE 'succeeded' END) AS ended (was),
    LATERAL (SELECT CASE WHEN was = '{RARE}' THEN 'charge' END) AS open (operation)
"""


def seed(connection: sa.Connection, customer_id: UUID, number: int, *, first: int = 1) -> None:
    """Write `number` movements into a customer's books, and their payments; no refunds, claims or audit trail.

    :param first: number of the first; go on where another call has ended
    """
    values = {"customer_id": customer_id, "began": BEGAN, "salt": str(customer_id)}
    connection.execute(sa.text(_CUSTOMER), values)
    for statement in (_PAYMENTS, _ENTRIES):
        connection.execute(sa.text(statement), {**values, "first": first, "last": first + number - 1})
