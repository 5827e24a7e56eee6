"""Customers, payments, refunds, idempotency claims, the sandbox's books, outbox and inbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UUID = pg.UUID(as_uuid=True)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "customers",
        sa.Column("id", UUID, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="customers_pkey"),
    )
    _payments()
    _refunds()
    _claims()
    _sandbox()
    _events()


def _payments() -> None:
    op.create_table(
        "payments",
        sa.Column("id", UUID, nullable=False),
        sa.Column("customer_id", UUID, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("metadata", pg.JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("reference", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("amount_captured", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("amount_refunded", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("amount_refunding", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("payment_method", sa.Text),
        sa.Column("provider", sa.Text),
        sa.Column("attempt_id", UUID),
        sa.Column("decline_code", sa.Text),
        sa.Column("next_check_at", MOMENT),
        sa.Column("sequence", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="payments_pkey"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="payments_customer_id_fkey"),
        sa.UniqueConstraint("attempt_id", name="payments_attempt_id_key"),
        sa.CheckConstraint(
            "status IN ('requires_payment_method', 'requires_confirmation', 'requires_action', 'processing',"
            " 'requires_capture', 'succeeded', 'canceled', 'unknown')",
            name="payments_status_known",
        ),
        sa.CheckConstraint("amount BETWEEN 1 AND 1000000000000", name="payments_amount_range"),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="payments_currency_code"),
        sa.CheckConstraint("amount_captured BETWEEN 0 AND amount", name="payments_captured_range"),
        sa.CheckConstraint("status <> 'succeeded' OR amount_captured > 0", name="payments_succeeded_is_captured"),
        sa.CheckConstraint("amount_refunded >= 0 AND amount_refunding >= 0", name="payments_refunds_positive"),
        sa.CheckConstraint("amount_refunded + amount_refunding <= amount_captured", name="payments_refunds_covered"),
        sa.CheckConstraint("jsonb_typeof(metadata) = 'object'", name="payments_metadata_object"),
        sa.CheckConstraint(
            "status NOT IN ('processing', 'unknown') OR (next_check_at IS NOT NULL AND attempt_id IS NOT NULL)",
            name="payments_open_is_checked",
        ),
    )
    op.create_index("payments_customer_id", "payments", ["customer_id", "id"])
    op.create_index(
        "payments_reference_key",
        "payments",
        ["customer_id", "reference"],
        unique=True,
        postgresql_where=sa.text("reference IS NOT NULL AND status <> 'canceled'"),
    )
    op.create_index(
        "payments_next_check_at", "payments", ["next_check_at"], postgresql_where=sa.text("next_check_at IS NOT NULL")
    )


def _refunds() -> None:
    op.create_table(
        "refunds",
        sa.Column("id", UUID, nullable=False),
        sa.Column("payment_id", UUID, nullable=False),
        sa.Column("customer_id", UUID, nullable=False),
        sa.Column("requested_by", UUID, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempt_id", UUID, nullable=False),
        sa.Column("failure_code", sa.Text),
        sa.Column("next_check_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="refunds_pkey"),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="refunds_payment_id_fkey"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="refunds_customer_id_fkey"),
        sa.CheckConstraint(
            "status IN ('pending', 'succeeded', 'failed', 'canceled', 'unknown')", name="refunds_status_known"
        ),
        sa.CheckConstraint("amount > 0", name="refunds_amount_positive"),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="refunds_currency_code"),
        sa.CheckConstraint(
            "status NOT IN ('pending', 'unknown') OR next_check_at IS NOT NULL", name="refunds_open_is_checked"
        ),
    )
    op.create_index("refunds_payment_id", "refunds", ["payment_id", "id"])
    op.create_index(
        "refunds_attempt_id_key",
        "refunds",
        ["attempt_id"],
        unique=True,
        postgresql_where=sa.text("status <> 'canceled'"),
    )
    op.create_index(
        "refunds_next_check_at", "refunds", ["next_check_at"], postgresql_where=sa.text("next_check_at IS NOT NULL")
    )


def _claims() -> None:
    op.create_table(
        "idempotency_claims",
        sa.Column("attempt_id", UUID, nullable=False),
        sa.Column("user_id", UUID, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("body_hash", sa.Text, nullable=False),
        sa.Column("payment_id", UUID, nullable=False),
        sa.Column("refund_id", UUID),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("run", sa.Integer, nullable=False, server_default="1"),
        sa.Column("answer", pg.JSONB),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT),
        sa.PrimaryKeyConstraint("attempt_id", name="idempotency_claims_pkey"),
        sa.UniqueConstraint("user_id", "operation", "key", name="idempotency_claims_scope_key"),
        sa.ForeignKeyConstraint(
            ["payment_id"],
            ["payments.id"],
            name="idempotency_claims_payment_id_fkey",
            ondelete="CASCADE",
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.ForeignKeyConstraint(
            ["refund_id"],
            ["refunds.id"],
            name="idempotency_claims_refund_id_fkey",
            ondelete="CASCADE",
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.CheckConstraint("status IN ('running', 'done', 'released')", name="idempotency_claims_status_known"),
        sa.CheckConstraint("key ~ '^[!-~]{1,255}$'", name="idempotency_claims_key_visible"),
        sa.CheckConstraint("(status = 'done') = (finished_at IS NOT NULL)", name="idempotency_claims_finished"),
    )
    op.create_index("idempotency_claims_payment_id", "idempotency_claims", ["payment_id"])
    op.create_index("idempotency_claims_refund_id", "idempotency_claims", ["refund_id"])
    op.create_index(
        "idempotency_claims_answered",
        "idempotency_claims",
        ["finished_at"],
        postgresql_where=sa.text("answer IS NOT NULL"),
    )


def _sandbox() -> None:
    op.create_table(
        "sandbox_charges",
        sa.Column("attempt_id", UUID, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("payment_method", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False, server_default="1"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("attempt_id", name="sandbox_charges_pkey"),
        sa.CheckConstraint("status IN ('succeeded', 'declined', 'error')", name="sandbox_charges_status_known"),
        sa.CheckConstraint("amount > 0", name="sandbox_charges_amount_positive"),
    )
    op.create_table(
        "sandbox_refunds",
        sa.Column("attempt_id", UUID, nullable=False),
        sa.Column("charge_attempt_id", UUID, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False, server_default="1"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("attempt_id", name="sandbox_refunds_pkey"),
        sa.ForeignKeyConstraint(
            ["charge_attempt_id"], ["sandbox_charges.attempt_id"], name="sandbox_refunds_charge_attempt_id_fkey"
        ),
        sa.CheckConstraint("amount > 0", name="sandbox_refunds_amount_positive"),
    )
    op.create_index("sandbox_refunds_charge_attempt_id", "sandbox_refunds", ["charge_attempt_id"])


def _events() -> None:
    op.create_table(
        "outbox",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("event_id", UUID, nullable=False, unique=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("envelope", pg.JSONB, nullable=False),
        sa.Column("headers", pg.JSONB, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT),
    )
    op.create_index("outbox_unsent", "outbox", ["position"], postgresql_where=sa.text("sent_at IS NULL"))
    op.create_index("outbox_sent_at", "outbox", ["sent_at"], postgresql_where=sa.text("sent_at IS NOT NULL"))
    op.create_table(
        "inbox",
        sa.Column("handler", sa.Text, primary_key=True),
        sa.Column("event_id", UUID, primary_key=True),
        sa.Column("seen_at", MOMENT, nullable=False),
    )
    op.create_index("ix_inbox_seen_at", "inbox", ["seen_at"])


def downgrade() -> None:
    for table in (
        "inbox",
        "outbox",
        "sandbox_refunds",
        "sandbox_charges",
        "idempotency_claims",
        "refunds",
        "payments",
        "customers",
    ):
        op.drop_table(table)
