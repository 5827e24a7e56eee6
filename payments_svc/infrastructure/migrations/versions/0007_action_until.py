"""How long a customer who has to act may take, whatever is tried in between."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("payments", sa.Column("action_until", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("payments", "action_until")
