"""Operations at the provider (capture, cancel, authentication), manual capture, the audit trail."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# What happened stays so: the running service adds to the trail, and changes nothing in it.
APPEND_ONLY = ("audit_entries",)

UUID = pg.UUID(as_uuid=True)
MOMENT = sa.DateTime(timezone=True)


def _columns() -> tuple[sa.Column, ...]:
    return (
        sa.Column("capture_method", sa.Text, nullable=False, server_default="automatic"),
        sa.Column("amount_capturable", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("provider_reference", sa.Text),
        sa.Column("next_action", pg.JSONB),
        sa.Column("authorized_until", MOMENT),
        sa.Column("cancellation_reason", sa.Text),
        sa.Column("operation", sa.Text),
        sa.Column("operation_id", UUID),
        sa.Column("operation_amount", sa.BigInteger),
        sa.Column("operation_status", sa.Text),
        sa.Column("operation_started_at", MOMENT),
        sa.Column("authentication", sa.Text),
        sa.Column("checks", sa.Integer, nullable=False, server_default="0"),
        sa.Column("version", sa.Integer, nullable=False, server_default="0"),
    )


CHECKS = {
    "payments_open_has_operation": "status NOT IN ('processing', 'unknown') OR operation IS NOT NULL",
    "payments_operation_whole": (
        "(operation IS NULL) = (operation_id IS NULL) AND (operation IS NULL) = (operation_status IS NULL)"
        " AND (operation IS NULL) = (operation_started_at IS NULL)"
    ),
    "payments_capture_method_known": "capture_method IN ('automatic', 'manual')",
    "payments_cancellation_reason_known": (
        "cancellation_reason IN"
        " ('requested_by_customer', 'duplicate', 'fraudulent', 'abandoned', 'expired', 'provider')"
    ),
    "payments_operation_known": "operation IN ('charge', 'authenticate', 'capture', 'cancel')",
    "payments_operation_status_known": "operation_status IN ('pending', 'accepted', 'unknown')",
    "payments_capturable_range": "amount_capturable BETWEEN 0 AND amount",
    "payments_capturable_is_authorized": "(status = 'requires_capture') = (amount_capturable > 0)",
}
OPEN_IS_CHECKED = (
    "(status NOT IN ('processing', 'unknown', 'requires_action', 'requires_capture') AND operation IS NULL)"
    " OR (next_check_at IS NOT NULL AND attempt_id IS NOT NULL)"
)
OPEN_WAS_CHECKED = "status NOT IN ('processing', 'unknown') OR (next_check_at IS NOT NULL AND attempt_id IS NOT NULL)"


def upgrade() -> None:
    for column in _columns():
        op.add_column("payments", column)
    # What was open before is a charge; its outcome was asked for and is not known.
    op.execute(
        "UPDATE payments SET operation = 'charge', operation_id = attempt_id, operation_amount = amount,"
        " operation_status = CASE status WHEN 'unknown' THEN 'unknown' ELSE 'pending' END,"
        " operation_started_at = updated_at WHERE status IN ('processing', 'unknown')"
    )
    op.drop_constraint("payments_open_is_checked", "payments")
    op.create_check_constraint("payments_open_is_checked", "payments", OPEN_IS_CHECKED)
    for name, rule in CHECKS.items():
        op.create_check_constraint(name, "payments", rule)
    op.add_column("refunds", sa.Column("provider_reference", sa.Text))
    op.add_column("refunds", sa.Column("checks", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "audit_entries",
        sa.Column("id", UUID, nullable=False),
        sa.Column("payment_id", UUID, nullable=False),
        sa.Column("refund_id", UUID),
        sa.Column("customer_id", UUID, nullable=False),
        sa.Column("actor_kind", sa.Text, nullable=False),
        sa.Column("actor_id", UUID),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger),
        sa.Column("code", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("correlation_id", sa.Text, nullable=False),
        sa.Column("occurred_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="audit_entries_pkey"),
        sa.CheckConstraint(
            "actor_kind IN ('customer', 'staff', 'system', 'provider')", name="audit_entries_actor_kind_known"
        ),
    )
    op.create_index("audit_entries_payment_id", "audit_entries", ["payment_id", "id"])


def downgrade() -> None:
    op.drop_table("audit_entries")
    op.drop_column("refunds", "checks")
    op.drop_column("refunds", "provider_reference")
    for name in CHECKS:
        op.drop_constraint(name, "payments")
    op.drop_constraint("payments_open_is_checked", "payments")
    op.create_check_constraint("payments_open_is_checked", "payments", OPEN_WAS_CHECKED)
    for column in _columns():
        op.drop_column("payments", column.name)
