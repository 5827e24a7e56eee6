"""The sandbox's own books: what a real provider would know.

Nothing but the sandbox reads or writes them, and no foreign key leads here or from here.
"""

from __future__ import annotations

import sqlalchemy as sa

from payments_svc.infrastructure.columns import amount, id_column, metadata, moment

# `error`: its first call was answered with an error, before anything was done. `due_at`: when the state changes by
# itself: an authorization ends, a slow charge is settled.
sandbox_charges = sa.Table(
    "sandbox_charges",
    metadata,
    id_column("attempt_id"),
    id_column("payment_id", nullable=True),
    amount("amount"),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("payment_method", sa.Text, nullable=False),
    sa.Column("capture", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("status", sa.Text, nullable=False),
    amount("amount_captured", default="0"),
    sa.Column("decline_code", sa.Text),
    sa.Column("void_reason", sa.Text),
    moment("due_at", nullable=True),
    sa.Column("calls", sa.Integer, nullable=False, server_default="1"),
    moment("created_at"),
    sa.PrimaryKeyConstraint("attempt_id", name="sandbox_charges_pkey"),
    sa.CheckConstraint(
        "status IN ('error', 'requires_action', 'processing', 'authorized', 'succeeded', 'declined', 'voided')",
        name="sandbox_charges_status_known",
    ),
    sa.CheckConstraint("amount > 0", name="sandbox_charges_amount_positive"),
    sa.CheckConstraint("amount_captured BETWEEN 0 AND amount", name="sandbox_charges_captured_range"),
    sa.CheckConstraint("(status = 'succeeded') = (amount_captured > 0)", name="sandbox_charges_succeeded_is_captured"),
    sa.CheckConstraint("(status = 'declined') = (decline_code IS NOT NULL)", name="sandbox_charges_declined_why"),
    sa.CheckConstraint("(status = 'voided') = (void_reason IS NOT NULL)", name="sandbox_charges_voided_why"),
    sa.CheckConstraint(
        "(status IN ('processing', 'authorized')) = (due_at IS NOT NULL)", name="sandbox_charges_open_is_due"
    ),
)
sa.Index("sandbox_charges_due_at", sandbox_charges.c.due_at, postgresql_where=sandbox_charges.c.due_at.is_not(None))

# What was asked of a charge later, each under its own attempt id: so that a repetition gets the same answer.
sandbox_operations = sa.Table(
    "sandbox_operations",
    metadata,
    id_column("attempt_id"),
    id_column("charge_attempt_id"),
    sa.Column("kind", sa.Text, nullable=False),
    amount("amount", nullable=True),
    sa.Column("result", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("decline_code", sa.Text),
    sa.Column("calls", sa.Integer, nullable=False, server_default="1"),
    moment("created_at"),
    sa.PrimaryKeyConstraint("attempt_id", name="sandbox_operations_pkey"),
    sa.ForeignKeyConstraint(
        ["charge_attempt_id"], ["sandbox_charges.attempt_id"], name="sandbox_operations_charge_attempt_id_fkey"
    ),
    sa.CheckConstraint("kind IN ('authenticate', 'capture', 'void')", name="sandbox_operations_kind_known"),
    sa.CheckConstraint("status IN ('succeeded', 'voided', 'refused')", name="sandbox_operations_status_known"),
    sa.CheckConstraint("(status = 'refused') = (decline_code IS NOT NULL)", name="sandbox_operations_refused_why"),
)

sandbox_refunds = sa.Table(
    "sandbox_refunds",
    metadata,
    id_column("attempt_id"),
    id_column("charge_attempt_id"),
    amount("amount"),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False, server_default="succeeded"),
    sa.Column("failure_code", sa.Text),
    moment("due_at", nullable=True),
    sa.Column("calls", sa.Integer, nullable=False, server_default="1"),
    moment("created_at"),
    sa.PrimaryKeyConstraint("attempt_id", name="sandbox_refunds_pkey"),
    sa.ForeignKeyConstraint(
        ["charge_attempt_id"], ["sandbox_charges.attempt_id"], name="sandbox_refunds_charge_attempt_id_fkey"
    ),
    sa.CheckConstraint("amount > 0", name="sandbox_refunds_amount_positive"),
    sa.CheckConstraint("status IN ('pending', 'succeeded', 'failed')", name="sandbox_refunds_status_known"),
    sa.CheckConstraint("(status = 'failed') = (failure_code IS NOT NULL)", name="sandbox_refunds_failed_why"),
    sa.CheckConstraint("status <> 'pending' OR due_at IS NOT NULL", name="sandbox_refunds_pending_is_due"),
)
sa.Index("sandbox_refunds_charge_attempt_id", sandbox_refunds.c.charge_attempt_id)
sa.Index("sandbox_refunds_due_at", sandbox_refunds.c.due_at, postgresql_where=sandbox_refunds.c.due_at.is_not(None))

# What the sandbox tells us, kept until it is delivered. The body as text: each try sends the same bytes.
sandbox_messages = sa.Table(
    "sandbox_messages",
    metadata,
    id_column("id"),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    moment("created_at"),
    moment("next_try_at", nullable=True),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    moment("sent_at", nullable=True),
    sa.Column("error", sa.Text),
    sa.PrimaryKeyConstraint("id", name="sandbox_messages_pkey"),
    sa.CheckConstraint("sent_at IS NULL OR next_try_at IS NULL", name="sandbox_messages_sent_is_over"),
)
sa.Index(
    "sandbox_messages_next_try_at",
    sandbox_messages.c.next_try_at,
    postgresql_where=sandbox_messages.c.next_try_at.is_not(None),
)
