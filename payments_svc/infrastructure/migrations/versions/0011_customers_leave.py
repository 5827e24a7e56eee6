"""A customer goes without refunds and forgotten means of payment being read through."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("refunds_customer_id", "refunds", ["customer_id"])
    op.create_index("payment_methods_customer_id", "payment_methods", ["customer_id"])


def downgrade() -> None:
    op.drop_index("payment_methods_customer_id", "payment_methods")
    op.drop_index("refunds_customer_id", "refunds")
