"""The tables of users_svc, and how the domain's classes lie in them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import registry

from lib.outbox import inbox_table, outbox_table
from users_svc.domain.account_state import AccountState
from users_svc.domain.profile import Profile

metadata = sa.MetaData()
mapper = registry(metadata=metadata)


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
    sa.PrimaryKeyConstraint("id", name="profiles_pkey"),
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
# Two people cannot differ by the case of their handles only. The e-mail is not unique here: auth_svc settles that,
# and its events may arrive in any order while an address moves from one account to another.
sa.Index("profiles_handle_key", sa.func.lower(profiles.c.handle), unique=True)

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
    for entity, table in ((AccountState, account_states), (Profile, profiles)):
        if not sa.inspect(entity, raiseerr=False):
            mapper.map_imperatively(entity, table)
