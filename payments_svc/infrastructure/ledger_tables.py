"""The books: entries that nobody changes, and the hash chain over them.

That the entries of a transaction add up to zero, a trigger sees to when the transaction ends; it is made by the
migration, and belongs to the owner.
"""

from __future__ import annotations

import sqlalchemy as sa

from lib.chain import seals_table, unsealed_table
from payments_svc.domain.ledger import SALES, PostingKind
from payments_svc.infrastructure.columns import WordType, amount, id_column, metadata, moment, one_of

# The running service can add to it, and neither change nor delete.
ledger_entries = sa.Table(
    "ledger_entries",
    metadata,
    id_column("id"),
    id_column("transaction_id"),
    sa.Column("kind", WordType(PostingKind), nullable=False),
    id_column("source_id"),
    sa.Column("account", sa.Text, nullable=False),
    amount("amount"),
    sa.Column("currency", sa.Text, nullable=False),
    id_column("customer_id"),
    id_column("payment_id"),
    id_column("refund_id", nullable=True),
    sa.Column("correlation_id", sa.Text, nullable=False),
    moment("posted_at"),
    sa.PrimaryKeyConstraint("id", name="ledger_entries_pkey"),
    sa.UniqueConstraint("kind", "source_id", "account", "currency", name="ledger_entries_movement_key"),
    one_of("ledger_entries", "kind", PostingKind),
    sa.CheckConstraint("amount <> 0", name="ledger_entries_amount_moves"),
    sa.CheckConstraint("account ~ '^[a-z][a-z0-9_:.-]{0,63}$'", name="ledger_entries_account_name"),
    sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="ledger_entries_currency_code"),
)
# For the trigger.
sa.Index("ledger_entries_transaction_id", ledger_entries.c.transaction_id)
# For balances as of a time, from the index alone.
sa.Index(
    "ledger_entries_account",
    ledger_entries.c.account,
    ledger_entries.c.currency,
    ledger_entries.c.posted_at,
    postgresql_include=["amount"],
)
# A customer's history.
sa.Index(
    "ledger_entries_history",
    ledger_entries.c.customer_id,
    ledger_entries.c.posted_at,
    ledger_entries.c.id,
    postgresql_where=sa.text(f"account = '{SALES}'"),
)
sa.Index("ledger_entries_payment_id", ledger_entries.c.payment_id)

ledger_seals = seals_table(metadata, "ledger")
ledger_unsealed = unsealed_table(metadata, "ledger")
