"""The audit trail of payments."""

from __future__ import annotations

import sqlalchemy as sa

from payments_svc.application.history_ports import ActorKind
from payments_svc.infrastructure.columns import WordType, amount, id_column, metadata, moment, one_of

# The running service can add to it, and neither change nor delete.
audit_entries = sa.Table(
    "audit_entries",
    metadata,
    id_column("id"),
    id_column("payment_id"),
    id_column("refund_id", nullable=True),
    id_column("customer_id"),
    sa.Column("actor_kind", WordType(ActorKind), nullable=False),
    id_column("actor_id", nullable=True),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("before", sa.Text, nullable=False),
    sa.Column("after", sa.Text, nullable=False),
    amount("amount", nullable=True),
    sa.Column("code", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("correlation_id", sa.Text, nullable=False),
    moment("occurred_at"),
    sa.PrimaryKeyConstraint("id", name="audit_entries_pkey"),
    one_of("audit_entries", "actor_kind", ActorKind),
)
sa.Index("audit_entries_payment_id", audit_entries.c.payment_id, audit_entries.c.id)
