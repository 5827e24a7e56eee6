"""Means of payment that customers keep."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

UUID = pg.UUID(as_uuid=True)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "payment_methods",
        sa.Column("id", UUID, nullable=False),
        sa.Column("customer_id", UUID, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("token", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("brand", sa.Text),
        sa.Column("last4", sa.Text),
        sa.Column("exp_month", sa.SmallInteger),
        sa.Column("exp_year", sa.SmallInteger),
        sa.Column("is_default", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("detached_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="payment_methods_pkey"),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name="payment_methods_customer_id_fkey", ondelete="CASCADE"
        ),
        sa.CheckConstraint(
            "(detached_at IS NULL) = (token IS NOT NULL) AND (detached_at IS NULL OR NOT is_default)",
            name="payment_methods_forgotten_whole",
        ),
        sa.CheckConstraint("length(token) BETWEEN 1 AND 255", name="payment_methods_token_length"),
        sa.CheckConstraint("last4 ~ '^[0-9]{4}$'", name="payment_methods_last4_digits"),
        sa.CheckConstraint("exp_month BETWEEN 1 AND 12", name="payment_methods_month_known"),
    )
    kept = sa.text("detached_at IS NULL")
    op.create_index("payment_methods_kept", "payment_methods", ["customer_id", "id"], postgresql_where=kept)
    op.create_index(
        "payment_methods_default_key",
        "payment_methods",
        ["customer_id"],
        unique=True,
        postgresql_where=sa.text("is_default"),
    )
    op.create_index(
        "payment_methods_token_key",
        "payment_methods",
        ["customer_id", "provider", "token"],
        unique=True,
        postgresql_where=kept,
    )


def downgrade() -> None:
    op.drop_table("payment_methods")
