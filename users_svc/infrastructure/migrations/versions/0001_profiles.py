"""Profiles, daily counts, outbox and inbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "profiles",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("handle", sa.Text),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("bio", sa.Text),
        sa.Column("avatar_url", sa.Text),
        sa.Column("location", sa.Text),
        sa.Column("website", sa.Text),
        sa.Column("birth_date", sa.Date),
        sa.Column("locale", sa.Text),
        sa.Column("time_zone", sa.Text),
        sa.Column("discoverable", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("source_sequence", sa.Integer, nullable=False, server_default="0"),
        sa.Column("sequence", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="profiles_pkey"),
        sa.CheckConstraint("char_length(email) BETWEEN 1 AND 320", name="profiles_email_length"),
        sa.CheckConstraint("char_length(handle) BETWEEN 1 AND 64", name="profiles_handle_length"),
        sa.CheckConstraint("char_length(display_name) BETWEEN 1 AND 100", name="profiles_display_name_length"),
        sa.CheckConstraint("char_length(bio) <= 2000", name="profiles_bio_length"),
        sa.CheckConstraint("char_length(avatar_url) <= 2048", name="profiles_avatar_url_length"),
        sa.CheckConstraint("char_length(location) <= 200", name="profiles_location_length"),
        sa.CheckConstraint("char_length(website) <= 2048", name="profiles_website_length"),
        sa.CheckConstraint("char_length(locale) <= 64", name="profiles_locale_length"),
        sa.CheckConstraint("char_length(time_zone) <= 64", name="profiles_time_zone_length"),
        sa.CheckConstraint("source_sequence >= 0", name="profiles_source_sequence_positive"),
    )
    op.create_index("profiles_handle_key", "profiles", [sa.text("lower(handle)")], unique=True)
    op.create_table(
        "member_statistics",
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("registrations", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("day", name="member_statistics_pkey"),
        sa.CheckConstraint("registrations >= 0", name="member_statistics_registrations_positive"),
    )
    op.create_table(
        "outbox",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("event_id", pg.UUID(as_uuid=True), nullable=False, unique=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("envelope", pg.JSONB, nullable=False),
        sa.Column("headers", pg.JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
    )
    op.create_index("outbox_unsent", "outbox", ["position"], postgresql_where=sa.text("sent_at IS NULL"))
    op.create_index("outbox_sent_at", "outbox", ["sent_at"], postgresql_where=sa.text("sent_at IS NOT NULL"))
    op.create_table(
        "inbox",
        sa.Column("handler", sa.Text, primary_key=True),
        sa.Column("event_id", pg.UUID(as_uuid=True), primary_key=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_inbox_seen_at", "inbox", ["seen_at"])


def downgrade() -> None:
    op.drop_table("inbox")
    op.drop_table("outbox")
    op.drop_table("member_statistics")
    op.drop_table("profiles")
