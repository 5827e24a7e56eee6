"""Messages that a person has dismissed; refunds that were called off, found by their attempt."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLE = "webhook_notices"
NEW = {
    "webhook_notices_status_known": "status IN ('received', 'processed', 'parked', 'dismissed')",
    "webhook_notices_parked_why": "(status IN ('parked', 'dismissed')) = (error IS NOT NULL)",
}
OLD = {
    "webhook_notices_status_known": "status IN ('received', 'processed', 'parked')",
    "webhook_notices_parked_why": "(status = 'parked') = (error IS NOT NULL)",
}
DISMISSED_WHY = "webhook_notices_dismissed_why"
OPEN, CANCELED = "webhook_notices_open", "refunds_canceled_attempt_id"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("dismissed_for", sa.Text))
    _replace(NEW)
    op.create_check_constraint(DISMISSED_WHY, TABLE, "(status = 'dismissed') = (dismissed_for IS NOT NULL)")
    op.drop_index(OPEN, TABLE)
    op.create_index(OPEN, TABLE, ["id"], postgresql_where=sa.text("status NOT IN ('processed', 'dismissed')"))
    op.create_index(CANCELED, "refunds", ["attempt_id"], postgresql_where=sa.text("status = 'canceled'"))


def downgrade() -> None:
    # The older version asks about refunds that are open only, and would come back to these for ever.
    op.execute("UPDATE refunds SET next_check_at = NULL WHERE status = 'succeeded'")
    op.drop_index(CANCELED, "refunds")
    op.drop_index(OPEN, TABLE)
    # The older version has no word for them: they wait for a person again.
    op.drop_constraint(DISMISSED_WHY, TABLE)
    op.execute(f"UPDATE {TABLE} SET status = 'parked' WHERE status = 'dismissed'")
    _replace(OLD)
    op.drop_column(TABLE, "dismissed_for")
    op.create_index(OPEN, TABLE, ["id"], postgresql_where=sa.text("status <> 'processed'"))


def _replace(rules: dict[str, str]) -> None:
    for name, rule in rules.items():
        op.drop_constraint(name, TABLE)
        op.create_check_constraint(name, TABLE, rule)
