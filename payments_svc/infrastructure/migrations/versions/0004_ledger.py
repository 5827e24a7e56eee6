"""The books: ledger entries, their balance trigger and hash chain."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# What was posted stays so: the running service adds entries and seals, and changes none.
APPEND_ONLY = ("ledger_entries", "ledger_seals")

UUID = pg.UUID(as_uuid=True)
MOMENT = sa.DateTime(timezone=True)

# Asked when the transaction ends, once for each entry that it has touched. No entry is about nothing, so one that
# stands alone cannot add up to zero. OLD is null for an INSERT, NEW for a DELETE. The error looks like that of a check
# constraint, name and all.
BALANCE = """
CREATE FUNCTION ledger_entries_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    broken record;
BEGIN
    SELECT transaction_id, currency, sum(amount) AS difference INTO broken FROM public.ledger_entries
        WHERE transaction_id IN (OLD.transaction_id, NEW.transaction_id)
        GROUP BY transaction_id, currency HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transaction %: debits and credits differ by % minor units of %',
            broken.transaction_id, broken.difference, broken.currency
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entries_balance',
                SCHEMA = 'public', TABLE = 'ledger_entries';
    END IF;
    RETURN NULL;
END
$$
"""
TRIGGER = """
CREATE CONSTRAINT TRIGGER ledger_entries_balance AFTER INSERT OR UPDATE OR DELETE ON ledger_entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_entries_balance()
"""

# What was paid and went back before there were books: each movement as it would have been posted, at the time when its
# payment or refund was made.
_PAID = "payments AS each JOIN payments AS paid ON paid.id = each.id WHERE each.amount_captured > 0"
_BACK = "refunds AS each JOIN payments AS paid ON paid.id = each.payment_id WHERE each.status IN"
_PROVIDER = "'provider:' || paid.provider"
OPENING = (
    ("capture", "NULL::uuid", "each.amount_captured", _PROVIDER, "'sales'", _PAID),
    (
        "refund",
        "each.id",
        "each.amount",
        "'sales'",
        "'refunds_payable'",
        f"{_BACK} ('pending', 'unknown', 'succeeded')",
    ),
    ("refund_settlement", "each.id", "each.amount", "'refunds_payable'", _PROVIDER, f"{_BACK} ('succeeded')"),
)


def opening(kind: str, refund: str, amount: str, debit: str, credit: str, rows: str) -> str:
    """Return the statement that posts such movements. An entry's id has the time of what it is about."""
    return f"""
INSERT INTO ledger_entries (id, transaction_id, kind, source_id, account, amount, currency, customer_id, payment_id,
    refund_id, correlation_id, posted_at)
SELECT (left(source_id::text, 19) || right(gen_random_uuid()::text, 17))::uuid, transaction_id, '{kind}', source_id,
    side.account, side.amount, currency, customer_id, payment_id, refund_id, 'opening', created_at
FROM (
    SELECT gen_random_uuid() AS transaction_id, each.id AS source_id, {debit} AS debit, {credit} AS credit,
        {amount} AS amount, each.currency, each.customer_id, paid.id AS payment_id, {refund} AS refund_id,
        each.created_at
    FROM {rows}
) AS moved, LATERAL (VALUES (debit, moved.amount), (credit, -moved.amount)) AS side (account, amount)
"""


def upgrade() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("id", UUID, nullable=False),
        sa.Column("transaction_id", UUID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("source_id", UUID, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("customer_id", UUID, nullable=False),
        sa.Column("payment_id", UUID, nullable=False),
        sa.Column("refund_id", UUID),
        sa.Column("correlation_id", sa.Text, nullable=False),
        sa.Column("posted_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="ledger_entries_pkey"),
        sa.UniqueConstraint("kind", "source_id", "account", "currency", name="ledger_entries_movement_key"),
        sa.CheckConstraint(
            "kind IN ('capture', 'refund', 'refund_settlement', 'refund_reversal', 'refund_return')",
            name="ledger_entries_kind_known",
        ),
        sa.CheckConstraint("amount <> 0", name="ledger_entries_amount_moves"),
        sa.CheckConstraint("account ~ '^[a-z][a-z0-9_:.-]{0,63}$'", name="ledger_entries_account_name"),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="ledger_entries_currency_code"),
    )
    op.create_index("ledger_entries_transaction_id", "ledger_entries", ["transaction_id"])
    op.create_index(
        "ledger_entries_account",
        "ledger_entries",
        ["account", "currency", "posted_at"],
        postgresql_include=["amount"],
    )
    op.create_index(
        "ledger_entries_customer_id",
        "ledger_entries",
        ["customer_id", "id"],
        postgresql_where=sa.text("account = 'sales'"),
    )
    op.create_index("ledger_entries_payment_id", "ledger_entries", ["payment_id"])
    op.create_table(
        "ledger_seals",
        sa.Column("position", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("row_id", UUID, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("sealed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("position", name="ledger_seals_pkey"),
        sa.UniqueConstraint("row_id", name="ledger_seals_row_id_key"),
    )
    op.create_table(
        "ledger_unsealed",
        sa.Column("row_id", UUID, nullable=False),
        sa.Column("added_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("row_id", name="ledger_unsealed_pkey"),
    )
    for kind, source, amount, debit, credit, rows in OPENING:
        op.execute(opening(kind, source, amount, debit, credit, rows))
    op.execute("INSERT INTO ledger_unsealed (row_id) SELECT id FROM ledger_entries")
    op.execute(BALANCE)
    op.execute(TRIGGER)


def downgrade() -> None:
    for table in ("ledger_unsealed", "ledger_seals", "ledger_entries"):
        op.drop_table(table)
    op.execute("DROP FUNCTION ledger_entries_balance()")
