"""The table of kept means of payment."""

from __future__ import annotations

import sqlalchemy as sa

from payments_svc.infrastructure.columns import id_column, metadata, moment

payment_methods = sa.Table(
    "payment_methods",
    metadata,
    id_column("id"),
    id_column("customer_id"),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("token", sa.Text),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("brand", sa.Text),
    sa.Column("last4", sa.Text),
    sa.Column("exp_month", sa.SmallInteger),
    sa.Column("exp_year", sa.SmallInteger),
    sa.Column("is_default", sa.Boolean, nullable=False, server_default=sa.false()),
    moment("created_at"),
    moment("detached_at", nullable=True),
    sa.PrimaryKeyConstraint("id", name="payment_methods_pkey"),
    sa.ForeignKeyConstraint(
        ["customer_id"], ["customers.id"], name="payment_methods_customer_id_fkey", ondelete="CASCADE"
    ),
    # A token leaves with the wish to be forgotten, and what is forgotten is nobody's default.
    sa.CheckConstraint(
        "(detached_at IS NULL) = (token IS NOT NULL) AND (detached_at IS NULL OR NOT is_default)",
        name="payment_methods_forgotten_whole",
    ),
    sa.CheckConstraint("length(token) BETWEEN 1 AND 255", name="payment_methods_token_length"),
    sa.CheckConstraint("last4 ~ '^[0-9]{4}$'", name="payment_methods_last4_digits"),
    sa.CheckConstraint("exp_month BETWEEN 1 AND 12", name="payment_methods_month_known"),
)
# Pages: the newest that a customer keeps.
sa.Index(
    "payment_methods_kept",
    payment_methods.c.customer_id,
    payment_methods.c.id,
    postgresql_where=payment_methods.c.detached_at.is_(None),
)
# For the foreign key: those that are forgotten go with their customer, too.
sa.Index("payment_methods_customer_id", payment_methods.c.customer_id)
sa.Index(
    "payment_methods_default_key",
    payment_methods.c.customer_id,
    unique=True,
    postgresql_where=payment_methods.c.is_default,
)
sa.Index(
    "payment_methods_token_key",
    payment_methods.c.customer_id,
    payment_methods.c.provider,
    payment_methods.c.token,
    unique=True,
    postgresql_where=payment_methods.c.detached_at.is_(None),
)
