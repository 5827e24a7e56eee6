"""The tables of users_svc, and how the domain's classes lie in them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import registry

from lib.outbox import inbox_table, outbox_table
from users_svc.domain.account_state import AccountState
from users_svc.domain.notification import Inbox, Notification
from users_svc.domain.notification_rules import LEAST_KEPT
from users_svc.domain.profile import Profile

metadata = sa.MetaData()
mapper = registry(metadata=metadata)


def _id(name: str) -> sa.Column[Any]:
    return sa.Column(name, pg.UUID(as_uuid=True), nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _of_profile(table: str, *columns: str) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint([each], ["profiles.id"], name=f"{table}_{each}_fkey", ondelete="CASCADE")
        for each in columns
    ]


def _longest(column: str, length: int) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"char_length({column}) <= {length}", name=f"profiles_{column}_length")


# The lengths here are what the table can bear; what a person may enter is the domain's rule and may be stricter.
profiles = sa.Table(
    "profiles",
    metadata,
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
    sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("sequence", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("handle_key", sa.Text),
    _moment("handle_changed_at", nullable=True),
    sa.Column("visibility", pg.JSONB, nullable=False, server_default="{}"),
    sa.Column("private", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("findable_by_email", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("email_key", sa.Text),
    sa.Column("search_text", sa.Text, nullable=False, server_default=""),
    # Ordered as bytes: only then does a plain index serve the start of a text, too.
    sa.Column("search_name", sa.Text(collation="C"), nullable=False, server_default=""),
    sa.Column("search_handle", sa.Text(collation="C"), nullable=False, server_default=""),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.PrimaryKeyConstraint("id", name="profiles_pkey"),
    sa.UniqueConstraint("handle_key", name="profiles_handle_key_key"),
    sa.CheckConstraint("char_length(email) BETWEEN 1 AND 320", name="profiles_email_length"),
    sa.CheckConstraint("char_length(handle) BETWEEN 1 AND 64", name="profiles_handle_length"),
    sa.CheckConstraint("char_length(display_name) BETWEEN 1 AND 100", name="profiles_display_name_length"),
    _longest("bio", 2000),
    _longest("avatar_url", 2048),
    _longest("location", 200),
    _longest("website", 2048),
    _longest("locale", 64),
    _longest("time_zone", 64),
)
# The e-mail is not unique here: auth_svc settles that, and its events may arrive in any order while an address moves
# from one account to another.
_LISTED = sa.and_(profiles.c.discoverable, sa.not_(profiles.c.private), sa.not_(profiles.c.disabled))
sa.Index("profiles_newest_idx", profiles.c.created_at.desc(), profiles.c.id.desc(), postgresql_where=_LISTED)
sa.Index(
    "profiles_search_text_idx",
    profiles.c.search_text,
    postgresql_using="gin",
    postgresql_ops={"search_text": "gin_trgm_ops"},
    # In KiB: every search reads the list of what is not in the index proper yet.
    postgresql_with={"gin_pending_list_limit": 256},
    postgresql_where=_LISTED,
)
sa.Index("profiles_search_name_idx", profiles.c.search_name, profiles.c.id, postgresql_where=_LISTED)
sa.Index("profiles_search_handle_idx", profiles.c.search_handle, profiles.c.id, postgresql_where=_LISTED)
sa.Index("profiles_email_key_idx", profiles.c.email_key, postgresql_where=profiles.c.findable_by_email)

# The handle that somebody has given up last: nobody else gets it for a while.
retired_handles = sa.Table(
    "retired_handles",
    metadata,
    sa.Column("handle_key", sa.Text, nullable=False),
    _id("user_id"),
    _moment("retired_at"),
    sa.PrimaryKeyConstraint("handle_key", name="retired_handles_pkey"),
)
sa.Index("retired_handles_user_id_idx", retired_handles.c.user_id)

account_states = sa.Table(
    "account_states",
    metadata,
    sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
    sa.Column("email", sa.Text),
    sa.Column("name", sa.Text),
    sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("email_sequence", sa.Integer, nullable=False, server_default="0"),
    sa.Column("name_sequence", sa.Integer, nullable=False, server_default="0"),
    sa.Column("status_sequence", sa.Integer, nullable=False, server_default="0"),
    sa.Column("email_verified", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.PrimaryKeyConstraint("id", name="account_states_pkey"),
    sa.CheckConstraint("char_length(email) BETWEEN 1 AND 320", name="account_states_email_length"),
    sa.CheckConstraint("char_length(name) BETWEEN 1 AND 100", name="account_states_name_length"),
    sa.CheckConstraint(
        "email_sequence >= 0 AND name_sequence >= 0 AND status_sequence >= 0", name="account_states_sequences_positive"
    ),
)

# The ids of deleted accounts. The running service can add to it, and neither change nor delete.
tombstones = sa.Table(
    "tombstones",
    metadata,
    sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
    sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint("id", name="tombstones_pkey"),
)

# How many edges there are at a person, and the number of their last event; the lock under which edges change.
connection_counts = sa.Table(
    "connection_counts",
    metadata,
    _id("user_id"),
    sa.Column("followers", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("following", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("sequence", sa.Integer, nullable=False, server_default="0"),
    sa.PrimaryKeyConstraint("user_id", name="connection_counts_pkey"),
    sa.CheckConstraint("followers >= 0 AND following >= 0", name="connection_counts_positive"),
    *_of_profile("connection_counts", "user_id"),
)


def _edges(name: str, source: str, target: str) -> sa.Table:
    """Directed edges between two people, listed from both ends, newest first."""
    table = sa.Table(
        name,
        metadata,
        _id(source),
        _id(target),
        _id("id"),
        _moment("created_at"),
        sa.PrimaryKeyConstraint(source, target, name=f"{name}_pkey"),
        sa.CheckConstraint(f"{source} <> {target}", name=f"{name}_not_oneself"),
        *_of_profile(name, source, target),
    )
    sa.Index(f"{name}_{source}_idx", table.c[source], table.c.id.desc())
    sa.Index(f"{name}_{target}_idx", table.c[target], table.c.id.desc())
    return table


follows = _edges("follows", "follower_id", "followee_id")
follow_requests = _edges("follow_requests", "requester_id", "target_id")
blocks = _edges("blocks", "blocker_id", "blocked_id")
mutes = _edges("mutes", "muter_id", "muted_id")

preference_records = sa.Table(
    "preference_records",
    metadata,
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

# The newest number, how many there are, and how many of those are unread; the row is also the lock that puts a person's
# notifications in order.
notification_inboxes = sa.Table(
    "notification_inboxes",
    metadata,
    _id("user_id"),
    sa.Column("last_number", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("unread", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("kept", sa.BigInteger, nullable=False, server_default="0"),
    sa.PrimaryKeyConstraint("user_id", name="notification_inboxes_pkey"),
    sa.CheckConstraint("unread >= 0 AND last_number >= 0", name="notification_inboxes_positive"),
    sa.CheckConstraint("unread <= kept AND kept <= last_number", name="notification_inboxes_kept"),
    *_of_profile("notification_inboxes", "user_id"),
)
# Few inboxes are so full that one of them may have to be purged; the others cost nothing here.
sa.Index(
    "notification_inboxes_kept_idx",
    notification_inboxes.c.kept,
    postgresql_where=notification_inboxes.c.kept >= LEAST_KEPT,
)

notifications = sa.Table(
    "notifications",
    metadata,
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
sa.Index("notifications_actor_idx", notifications.c.user_id, notifications.c.actor_id)
sa.Index("notifications_created_at_idx", notifications.c.created_at)
sa.Index("notifications_read_at_idx", notifications.c.read_at, postgresql_where=notifications.c.read_at.is_not(None))
sa.Index(
    "notifications_unread_idx",
    notifications.c.user_id,
    notifications.c.number,
    postgresql_where=notifications.c.read_at.is_(None),
)

# Mails that wait for their time: the end of quiet hours, or a moment that lets the notification be read first. They
# hold what they are about, because somebody may want the mail and not the notification.
pending_notification_mails = sa.Table(
    "pending_notification_mails",
    metadata,
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
sa.Index("pending_notification_mails_due_at_idx", pending_notification_mails.c.due_at)
sa.Index(
    "pending_notification_mails_user_id_idx",
    pending_notification_mails.c.user_id,
    pending_notification_mails.c.type,
    pending_notification_mails.c.actor_id,
)

# Which mails about what other people did somebody got, for a day: so that they are not too many.
social_mails = sa.Table(
    "social_mails",
    metadata,
    _id("notification_id"),
    _id("user_id"),
    sa.Column("type", sa.Text, nullable=False),
    _id("actor_id"),
    _moment("sent_at"),
    sa.PrimaryKeyConstraint("notification_id", name="social_mails_pkey"),
    *_of_profile("social_mails", "user_id"),
)
sa.Index("social_mails_user_id_idx", social_mails.c.user_id, social_mails.c.sent_at)
sa.Index("social_mails_sent_at_idx", social_mails.c.sent_at)

member_statistics = sa.Table(
    "member_statistics",
    metadata,
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("registrations", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("day", name="member_statistics_pkey"),
    sa.CheckConstraint("registrations >= 0", name="member_statistics_registrations_positive"),
)

outbox = outbox_table(metadata)
inbox = inbox_table(metadata)


def map_domain() -> None:
    """Teach SQLAlchemy the domain's classes, once; the classes never learn about SQLAlchemy."""
    if sa.inspect(Profile, raiseerr=False):
        return
    mapper.map_imperatively(AccountState, account_states)
    mapper.map_imperatively(Profile, profiles, version_id_col=profiles.c.version)
    inbox_columns = {"sequence": notification_inboxes.c.last_number}
    mapper.map_imperatively(Inbox, notification_inboxes, properties=inbox_columns)
    mapper.map_imperatively(Notification, notifications)
