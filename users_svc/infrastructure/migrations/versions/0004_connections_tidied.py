"""Of the handles that somebody has given up, only the last one is kept from others."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "DELETE FROM retired_handles AS earlier USING retired_handles AS last WHERE last.user_id = earlier.user_id"
        " AND (last.retired_at, last.handle_key) > (earlier.retired_at, earlier.handle_key)"
    )
    op.create_index("retired_handles_user_id_idx", "retired_handles", ["user_id"])


def downgrade() -> None:
    op.drop_index("retired_handles_user_id_idx", "retired_handles")
