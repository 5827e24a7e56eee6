"""Messages from providers, as they came: only what is proved, and without card numbers."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from payments_svc.domain.notice import NoticeStatus, ParkedFor
from payments_svc.infrastructure.columns import WordType, id_column, metadata, moment, one_of

webhook_notices = sa.Table(
    "webhook_notices",
    metadata,
    id_column("id"),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("payload", pg.JSONB, nullable=False),
    sa.Column("correlation_id", sa.Text, nullable=False),
    moment("received_at"),
    sa.Column("status", WordType(NoticeStatus), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("error", WordType(ParkedFor)),
    # No foreign key: a message is evidence, whatever becomes of the payment.
    id_column("payment_id", nullable=True),
    moment("processed_at", nullable=True),
    sa.Column("sequence", sa.Integer, nullable=False, server_default="0"),
    sa.Column("dismissed_for", sa.Text),
    sa.PrimaryKeyConstraint("id", name="webhook_notices_pkey"),
    sa.UniqueConstraint("provider", "event_id", name="webhook_notices_event_key"),
    one_of("webhook_notices", "status", NoticeStatus),
    one_of("webhook_notices", "error", ParkedFor),
    sa.CheckConstraint("(status IN ('parked', 'dismissed')) = (error IS NOT NULL)", name="webhook_notices_parked_why"),
    sa.CheckConstraint("(status = 'dismissed') = (dismissed_for IS NOT NULL)", name="webhook_notices_dismissed_why"),
    sa.CheckConstraint("status <> 'processed' OR payment_id IS NOT NULL", name="webhook_notices_processed_of"),
)
# Of those that a person may have to look at; all others are found by their id.
sa.Index(
    "webhook_notices_open", webhook_notices.c.id, postgresql_where=sa.text("status NOT IN ('processed', 'dismissed')")
)
