"""How many notifications there are, what finds those that are to go, and which mails about others were sent."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notification_inboxes", sa.Column("kept", sa.BigInteger, nullable=False, server_default="0"))
    op.execute(
        "UPDATE notification_inboxes SET kept = found.kept"
        " FROM (SELECT user_id, count(*) AS kept FROM notifications GROUP BY user_id) AS found"
        " WHERE found.user_id = notification_inboxes.user_id"
    )
    op.create_check_constraint(
        "notification_inboxes_kept", "notification_inboxes", "unread <= kept AND kept <= last_number"
    )
    op.create_index(
        "notification_inboxes_kept_idx", "notification_inboxes", ["kept"], postgresql_where=sa.text("kept >= 100")
    )
    op.create_index("notifications_created_at_idx", "notifications", ["created_at"])
    op.create_index(
        "notifications_read_at_idx", "notifications", ["read_at"], postgresql_where=sa.text("read_at IS NOT NULL")
    )
    op.create_index(
        "pending_notification_mails_user_id_idx", "pending_notification_mails", ["user_id", "type", "actor_id"]
    )
    op.create_table(
        "social_mails",
        sa.Column("notification_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("user_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("actor_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("notification_id", name="social_mails_pkey"),
        sa.ForeignKeyConstraint(["user_id"], ["profiles.id"], name="social_mails_user_id_fkey", ondelete="CASCADE"),
    )
    op.create_index("social_mails_user_id_idx", "social_mails", ["user_id", "sent_at"])
    op.create_index("social_mails_sent_at_idx", "social_mails", ["sent_at"])


def downgrade() -> None:
    op.drop_table("social_mails")
    op.drop_index("pending_notification_mails_user_id_idx", "pending_notification_mails")
    op.drop_index("notifications_read_at_idx", "notifications")
    op.drop_index("notifications_created_at_idx", "notifications")
    op.drop_index("notification_inboxes_kept_idx", "notification_inboxes")
    op.drop_constraint("notification_inboxes_kept", "notification_inboxes")
    op.drop_column("notification_inboxes", "kept")
