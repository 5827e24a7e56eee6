"""Messages from providers; the sandbox's books for captures, delays and messages."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UUID = pg.UUID(as_uuid=True)
MOMENT = sa.DateTime(timezone=True)

CHARGE_STATUSES = (
    "status IN ('error', 'requires_action', 'processing', 'authorized', 'succeeded', 'declined', 'voided')"
)
OLD_CHARGE_STATUSES = "status IN ('succeeded', 'declined', 'error')"
CHARGE_CHECKS = {
    "sandbox_charges_captured_range": "amount_captured BETWEEN 0 AND amount",
    "sandbox_charges_succeeded_is_captured": "(status = 'succeeded') = (amount_captured > 0)",
    "sandbox_charges_declined_why": "(status = 'declined') = (decline_code IS NOT NULL)",
    "sandbox_charges_voided_why": "(status = 'voided') = (void_reason IS NOT NULL)",
    "sandbox_charges_open_is_due": "(status IN ('processing', 'authorized')) = (due_at IS NOT NULL)",
}
REFUND_CHECKS = {
    "sandbox_refunds_status_known": "status IN ('pending', 'succeeded', 'failed')",
    "sandbox_refunds_failed_why": "(status = 'failed') = (failure_code IS NOT NULL)",
    "sandbox_refunds_pending_is_due": "status <> 'pending' OR due_at IS NOT NULL",
}


def upgrade() -> None:
    _notices()
    _charges()
    _refunds()
    _operations()
    _messages()


def _notices() -> None:
    op.create_table(
        "webhook_notices",
        sa.Column("id", UUID, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("payload", pg.JSONB, nullable=False),
        sa.Column("correlation_id", sa.Text, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("error", sa.Text),
        sa.Column("payment_id", UUID),
        sa.Column("processed_at", MOMENT),
        sa.Column("sequence", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="webhook_notices_pkey"),
        sa.UniqueConstraint("provider", "event_id", name="webhook_notices_event_key"),
        sa.CheckConstraint("status IN ('received', 'processed', 'parked')", name="webhook_notices_status_known"),
        sa.CheckConstraint(
            "error IN ('unreadable', 'unknown_type', 'unknown_object', 'unknown_provider',"
            " 'money_moved_for_given_up_attempt')",
            name="webhook_notices_error_known",
        ),
        sa.CheckConstraint("(status = 'parked') = (error IS NOT NULL)", name="webhook_notices_parked_why"),
        sa.CheckConstraint("status <> 'processed' OR payment_id IS NOT NULL", name="webhook_notices_processed_of"),
    )
    op.create_index(
        "webhook_notices_open", "webhook_notices", ["id"], postgresql_where=sa.text("status <> 'processed'")
    )


def _charges() -> None:
    for column in (
        sa.Column("payment_id", UUID),
        sa.Column("capture", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("amount_captured", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("decline_code", sa.Text),
        sa.Column("void_reason", sa.Text),
        sa.Column("due_at", MOMENT),
    ):
        op.add_column("sandbox_charges", column)
    op.drop_constraint("sandbox_charges_status_known", "sandbox_charges")
    op.create_check_constraint("sandbox_charges_status_known", "sandbox_charges", CHARGE_STATUSES)
    op.execute("UPDATE sandbox_charges SET amount_captured = amount WHERE status = 'succeeded'")
    # A declining token's name was its reason.
    op.execute(
        "UPDATE sandbox_charges SET decline_code = replace(payment_method, 'tok_', '') WHERE status = 'declined'"
    )
    for name, rule in CHARGE_CHECKS.items():
        op.create_check_constraint(name, "sandbox_charges", rule)
    op.create_index(
        "sandbox_charges_due_at", "sandbox_charges", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL")
    )


def _refunds() -> None:
    op.add_column("sandbox_refunds", sa.Column("status", sa.Text, nullable=False, server_default="succeeded"))
    op.add_column("sandbox_refunds", sa.Column("failure_code", sa.Text))
    op.add_column("sandbox_refunds", sa.Column("due_at", MOMENT))
    for name, rule in REFUND_CHECKS.items():
        op.create_check_constraint(name, "sandbox_refunds", rule)
    op.create_index(
        "sandbox_refunds_due_at", "sandbox_refunds", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL")
    )


def _operations() -> None:
    op.create_table(
        "sandbox_operations",
        sa.Column("attempt_id", UUID, nullable=False),
        sa.Column("charge_attempt_id", UUID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger),
        sa.Column("result", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("decline_code", sa.Text),
        sa.Column("calls", sa.Integer, nullable=False, server_default="1"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("attempt_id", name="sandbox_operations_pkey"),
        sa.ForeignKeyConstraint(
            ["charge_attempt_id"], ["sandbox_charges.attempt_id"], name="sandbox_operations_charge_attempt_id_fkey"
        ),
        sa.CheckConstraint("kind IN ('authenticate', 'capture', 'void')", name="sandbox_operations_kind_known"),
        sa.CheckConstraint("status IN ('succeeded', 'voided', 'refused')", name="sandbox_operations_status_known"),
        sa.CheckConstraint("(status = 'refused') = (decline_code IS NOT NULL)", name="sandbox_operations_refused_why"),
    )


def _messages() -> None:
    op.create_table(
        "sandbox_messages",
        sa.Column("id", UUID, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("next_try_at", MOMENT),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("sent_at", MOMENT),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("id", name="sandbox_messages_pkey"),
        sa.CheckConstraint("sent_at IS NULL OR next_try_at IS NULL", name="sandbox_messages_sent_is_over"),
    )
    op.create_index(
        "sandbox_messages_next_try_at",
        "sandbox_messages",
        ["next_try_at"],
        postgresql_where=sa.text("next_try_at IS NOT NULL"),
    )


def downgrade() -> None:
    for table in ("sandbox_messages", "sandbox_operations", "webhook_notices"):
        op.drop_table(table)
    # What the older books have no word for is forgotten: they are for development only.
    op.execute("DELETE FROM sandbox_refunds WHERE status <> 'succeeded'")
    op.drop_index("sandbox_refunds_due_at", "sandbox_refunds")
    for name in REFUND_CHECKS:
        op.drop_constraint(name, "sandbox_refunds")
    for name in ("due_at", "failure_code", "status"):
        op.drop_column("sandbox_refunds", name)
    op.execute(f"DELETE FROM sandbox_charges WHERE NOT ({OLD_CHARGE_STATUSES})")
    op.drop_index("sandbox_charges_due_at", "sandbox_charges")
    for name in (*CHARGE_CHECKS, "sandbox_charges_status_known"):
        op.drop_constraint(name, "sandbox_charges")
    op.create_check_constraint("sandbox_charges_status_known", "sandbox_charges", OLD_CHARGE_STATUSES)
    for name in ("due_at", "void_reason", "decline_code", "amount_captured", "capture", "payment_id"):
        op.drop_column("sandbox_charges", name)
