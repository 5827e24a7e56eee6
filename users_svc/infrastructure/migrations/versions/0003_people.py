"""What a person's profile, connections, preferences and notifications need."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _id(name: str) -> sa.Column[sa.Uuid[object]]:
    return sa.Column(name, pg.UUID(as_uuid=True), nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[sa.DateTime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _of_profile(table: str, *columns: str) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint([each], ["profiles.id"], name=f"{table}_{each}_fkey", ondelete="CASCADE")
        for each in columns
    ]


def _edges(name: str, source: str, target: str, *more: sa.Column[object]) -> None:
    """Make a table of directed edges between two people, listed from both ends, newest first."""
    op.create_table(
        name,
        _id(source),
        _id(target),
        _id("id"),
        _moment("created_at"),
        *more,
        sa.PrimaryKeyConstraint(source, target, name=f"{name}_pkey"),
        sa.CheckConstraint(f"{source} <> {target}", name=f"{name}_not_oneself"),
        *_of_profile(name, source, target),
    )
    op.create_index(f"{name}_{source}_idx", name, [source, sa.text("id DESC")])
    op.create_index(f"{name}_{target}_idx", name, [target, sa.text("id DESC")])


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.drop_index("profiles_handle_key", "profiles")
    for column in (
        sa.Column("handle_key", sa.Text),
        _moment("handle_changed_at", nullable=True),
        sa.Column("visibility", pg.JSONB, nullable=False, server_default="{}"),
        sa.Column("private", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("findable_by_email", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("email_key", sa.Text),
        sa.Column("search_text", sa.Text, nullable=False, server_default=""),
        sa.Column("search_name", sa.Text(collation="C"), nullable=False, server_default=""),
        sa.Column("search_handle", sa.Text(collation="C"), nullable=False, server_default=""),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    ):
        op.add_column("profiles", column)
    op.create_unique_constraint("profiles_handle_key_key", "profiles", ["handle_key"])
    # Rough, until the profile is written next: only the domain knows how names are folded.
    op.execute("UPDATE profiles SET search_text = lower(display_name), search_name = lower(display_name)")
    # Whose address was shown to be theirs is not known here before the account's next news.
    op.add_column("account_states", sa.Column("email_verified", sa.Boolean, nullable=False, server_default=sa.false()))
    listed = sa.text("discoverable AND NOT private AND NOT disabled")
    op.create_index(
        "profiles_newest_idx", "profiles", [sa.text("created_at DESC"), sa.text("id DESC")], postgresql_where=listed
    )
    op.create_index(
        "profiles_search_text_idx",
        "profiles",
        ["search_text"],
        postgresql_using="gin",
        postgresql_ops={"search_text": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
        postgresql_where=listed,
    )
    for column in ("search_name", "search_handle"):
        op.create_index(f"profiles_{column}_idx", "profiles", [column, "id"], postgresql_where=listed)
    op.create_index("profiles_email_key_idx", "profiles", ["email_key"], postgresql_where=sa.text("findable_by_email"))
    op.create_table(
        "retired_handles",
        sa.Column("handle_key", sa.Text, nullable=False),
        _id("user_id"),
        _moment("retired_at"),
        sa.PrimaryKeyConstraint("handle_key", name="retired_handles_pkey"),
    )
    op.create_table(
        "connection_counts",
        _id("user_id"),
        sa.Column("followers", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("following", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("sequence", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("user_id", name="connection_counts_pkey"),
        sa.CheckConstraint("followers >= 0 AND following >= 0", name="connection_counts_positive"),
        *_of_profile("connection_counts", "user_id"),
    )
    op.execute("INSERT INTO connection_counts (user_id) SELECT id FROM profiles")
    _edges("follows", "follower_id", "followee_id")
    _edges("follow_requests", "requester_id", "target_id")
    _edges("blocks", "blocker_id", "blocked_id")
    _edges("mutes", "muter_id", "muted_id")
    op.create_table(
        "preference_records",
        _id("user_id"),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("schema_version", sa.Integer, nullable=False),
        sa.Column("data", pg.JSONB, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("user_id", "kind", name="preference_records_pkey"),
        sa.CheckConstraint(
            "kind in ('preferences', 'settings', 'notification_preferences')", name="preference_records_kind_check"
        ),
        *_of_profile("preference_records", "user_id"),
    )
    op.create_table(
        "notification_inboxes",
        _id("user_id"),
        sa.Column("last_number", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("unread", sa.BigInteger, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("user_id", name="notification_inboxes_pkey"),
        sa.CheckConstraint("unread >= 0 AND last_number >= 0", name="notification_inboxes_positive"),
        *_of_profile("notification_inboxes", "user_id"),
    )
    op.create_table(
        "notifications",
        _id("user_id"),
        sa.Column("number", sa.BigInteger, nullable=False),
        _id("id"),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("data", pg.JSONB, nullable=False),
        sa.Column("actor_id", pg.UUID(as_uuid=True)),
        _id("event_id"),
        _moment("created_at"),
        _moment("read_at", nullable=True),
        sa.PrimaryKeyConstraint("user_id", "number", name="notifications_pkey"),
        sa.UniqueConstraint("id", name="notifications_id_key"),
        sa.UniqueConstraint("user_id", "event_id", "type", name="notifications_event_key"),
        *_of_profile("notifications", "user_id"),
    )
    op.create_index("notifications_actor_idx", "notifications", ["user_id", "actor_id"])
    op.create_index(
        "notifications_unread_idx", "notifications", ["user_id", "number"], postgresql_where=sa.text("read_at IS NULL")
    )
    op.create_table(
        "pending_notification_mails",
        _id("notification_id"),
        _id("user_id"),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("data", pg.JSONB, nullable=False),
        sa.Column("actor_id", pg.UUID(as_uuid=True)),
        _moment("created_at"),
        _moment("due_at"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("notification_id", name="pending_notification_mails_pkey"),
        *_of_profile("pending_notification_mails", "user_id"),
    )
    op.create_index("pending_notification_mails_due_at_idx", "pending_notification_mails", ["due_at"])


def downgrade() -> None:
    for table in (
        "pending_notification_mails",
        "notifications",
        "notification_inboxes",
        "preference_records",
        "mutes",
        "blocks",
        "follow_requests",
        "follows",
        "connection_counts",
        "retired_handles",
    ):
        op.drop_table(table)
    for index in ("profiles_email_key_idx", "profiles_search_handle_idx", "profiles_search_name_idx"):
        op.drop_index(index, "profiles")
    op.drop_column("account_states", "email_verified")
    op.drop_index("profiles_search_text_idx", "profiles")
    op.drop_index("profiles_newest_idx", "profiles")
    op.drop_constraint("profiles_handle_key_key", "profiles")
    for column in (
        "version",
        "search_handle",
        "search_name",
        "search_text",
        "email_key",
        "findable_by_email",
        "private",
        "visibility",
        "handle_changed_at",
        "handle_key",
    ):
        op.drop_column("profiles", column)
    op.create_index("profiles_handle_key", "profiles", [sa.text("lower(handle)")], unique=True)
    op.execute("DROP EXTENSION pg_trgm")
