"""Histories of any length, made in PostgreSQL itself: payments of 10.00 EUR, every tenth refunded in part."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa

#: the first movement of each seeded history, in milliseconds since 1970; one follows each second
BEGAN = 1_767_225_600_000
# A UUIDv7; its last digit is left to tell the two entries of a movement apart.
_ID = (
    "lpad(to_hex(:began + n * 1000), 12, '0') || '7' || substr(md5(:salt || n), 1, 3)"
    " || '8' || right(md5(:salt || n), 14) || '1'"
)

_ENTRIES = f"""
WITH moves AS (
    SELECT n, ({_ID})::uuid AS movement, n % 10 = 0 AS back
    FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n
)
INSERT INTO ledger_entries (id, transaction_id, kind, source_id, account, amount, currency, customer_id, payment_id,
    refund_id, correlation_id, posted_at)
SELECT CASE WHEN debit THEN movement ELSE (left(movement::text, 35) || '0')::uuid END, movement,
    CASE WHEN back THEN 'refund' ELSE 'capture' END, movement,
    CASE WHEN debit = back THEN 'sales' WHEN back THEN 'refunds_payable' ELSE 'provider:sandbox' END,
    (CASE WHEN back THEN 400 ELSE 1000 END) * (CASE WHEN debit THEN 1 ELSE -1 END), 'EUR', :customer_id, movement,
    CASE WHEN back THEN movement END, 'seeded', to_timestamp((:began + n * 1000) / 1000)
FROM moves, (VALUES (true), (false)) AS sides (debit)
"""


def seed(connection: sa.Connection, customer_id: UUID, number: int, *, first: int = 1) -> None:
    """Write `number` movements into a customer's books, of which nothing else knows: there are no payments to them.

    :param first: number of the first; go on where another call has ended
    """
    values = {"customer_id": customer_id, "began": BEGAN, "salt": str(customer_id)}
    connection.execute(sa.text(_ENTRIES), {**values, "first": first, "last": first + number - 1})
