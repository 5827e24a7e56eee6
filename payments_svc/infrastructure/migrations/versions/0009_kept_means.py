"""Which of the customer's kept means of payment a payment is charged with."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

CONSTRAINT = "payments_kept_method_has_token"


def upgrade() -> None:
    # Of payments that were there, nobody knows whether their token was given by the caller or kept.
    op.add_column("payments", sa.Column("payment_method_id", pg.UUID(as_uuid=True)))
    op.create_check_constraint(CONSTRAINT, "payments", "payment_method_id IS NULL OR payment_method IS NOT NULL")


def downgrade() -> None:
    op.drop_constraint(CONSTRAINT, "payments")
    op.drop_column("payments", "payment_method_id")
