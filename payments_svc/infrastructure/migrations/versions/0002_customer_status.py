"""Customers follow the status of their account; tombstones of deleted accounts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# What is deleted stays so: the running service adds tombstones, and takes none away.
APPEND_ONLY = ("tombstones",)


def upgrade() -> None:
    op.add_column("customers", sa.Column("status", sa.Text, nullable=False, server_default="active"))
    op.add_column("customers", sa.Column("status_sequence", sa.Integer, nullable=False, server_default="0"))
    op.create_check_constraint("customers_status_known", "customers", "status IN ('active', 'disabled', 'deleted')")
    op.create_check_constraint("customers_status_sequence_positive", "customers", "status_sequence >= 0")
    op.create_table(
        "tombstones",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="tombstones_pkey"),
    )


def downgrade() -> None:
    op.drop_table("tombstones")
    op.drop_column("customers", "status_sequence")
    op.drop_column("customers", "status")
