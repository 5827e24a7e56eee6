"""What is known of each account, aspect by aspect; hidden profiles; tombstones."""

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
    op.create_table(
        "account_states",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("email", sa.Text),
        sa.Column("name", sa.Text),
        sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("email_sequence", sa.Integer, nullable=False, server_default="0"),
        sa.Column("name_sequence", sa.Integer, nullable=False, server_default="0"),
        sa.Column("status_sequence", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="account_states_pkey"),
        sa.CheckConstraint("char_length(email) BETWEEN 1 AND 320", name="account_states_email_length"),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 100", name="account_states_name_length"),
        sa.CheckConstraint(
            "email_sequence >= 0 AND name_sequence >= 0 AND status_sequence >= 0",
            name="account_states_sequences_positive",
        ),
    )
    op.create_table(
        "tombstones",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="tombstones_pkey"),
    )
    # So far nobody could change a name, so it is the account's.
    op.execute(
        "INSERT INTO account_states (id, email, name, email_sequence, name_sequence)"
        " SELECT id, email, display_name, source_sequence, source_sequence FROM profiles"
    )
    op.drop_constraint("profiles_source_sequence_positive", "profiles")
    op.drop_column("profiles", "source_sequence")
    op.add_column("profiles", sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("profiles", "disabled")
    op.add_column("profiles", sa.Column("source_sequence", sa.Integer, nullable=False, server_default="0"))
    op.create_check_constraint("profiles_source_sequence_positive", "profiles", "source_sequence >= 0")
    op.execute(
        "UPDATE profiles SET source_sequence = account_states.email_sequence"
        " FROM account_states WHERE account_states.id = profiles.id"
    )
    op.drop_table("tombstones")
    op.drop_table("account_states")
