"""Histories by their times instead of ids, and payments by status, however rare it is."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SALES = sa.text("account = 'sales'")


def upgrade() -> None:
    op.create_index(
        "ledger_entries_history", "ledger_entries", ["customer_id", "posted_at", "id"], postgresql_where=SALES
    )
    op.drop_index("ledger_entries_customer_id", "ledger_entries")
    op.create_index("payments_found", "payments", ["status", "created_at", "id"])
    op.create_index("payments_found_of_customer", "payments", ["customer_id", "status", "created_at", "id"])
    op.create_index(
        "payments_found_by_reference",
        "payments",
        ["customer_id", "reference", "status", "created_at", "id"],
        postgresql_where=sa.text("reference IS NOT NULL"),
    )


def downgrade() -> None:
    for name in ("payments_found_by_reference", "payments_found_of_customer", "payments_found"):
        op.drop_index(name, "payments")
    op.create_index("ledger_entries_customer_id", "ledger_entries", ["customer_id", "id"], postgresql_where=SALES)
    op.drop_index("ledger_entries_history", "ledger_entries")
