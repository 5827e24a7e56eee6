"""Tables, and which domain class lives in which."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import registry

from auth_svc.domain.account import Account
from auth_svc.domain.email import Email
from auth_svc.domain.email_change import EmailChange
from auth_svc.domain.oauth_client import OAuthClient
from auth_svc.domain.one_time_token import OneTimeToken
from auth_svc.domain.session import Session
from auth_svc.domain.signing_key import SigningKey
from lib.chain import seals_table, unsealed_table
from lib.outbox import inbox_table, outbox_table

metadata = sa.MetaData()
mapper = registry(metadata=metadata)
outbox = outbox_table(metadata)
inbox = inbox_table(metadata)


class EmailType(sa.TypeDecorator[Email]):
    """An address as typed."""

    impl, cache_ok = sa.Text, True

    def process_bind_param(self, value: Email | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else value.typed

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Email | None:  # noqa: ARG002
        return None if value is None else Email.restore(value)

    def compare_values(self, x: Email | None, y: Email | None) -> bool:
        """Tell whether nothing is to be written: another spelling of one address is."""
        return (x and x.typed) == (y and y.typed)


def _id(name: str = "id", *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, pg.UUID(as_uuid=True), nullable=nullable)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _sequence() -> sa.Column[Any]:
    return sa.Column("sequence", sa.Integer, nullable=False, server_default="0")


def _words(name: str) -> sa.Column[Any]:
    return sa.Column(name, pg.ARRAY(sa.Text, as_tuple=True), nullable=False)


accounts = sa.Table(
    "accounts",
    metadata,
    _id(),
    sa.Column("email", EmailType, nullable=False),
    sa.Column("email_key", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("email_verified", sa.Boolean, nullable=False),
    _words("roles"),
    sa.Column("password_hash", sa.Text),
    _moment("password_set_at", nullable=True),
    sa.Column("request_key", sa.Text),
    _moment("activated_at", nullable=True),
    _moment("disabled_at", nullable=True),
    sa.Column("disabled_reason", sa.Text),
    _moment("not_before", nullable=True),
    _moment("created_at"),
    _sequence(),
    sa.PrimaryKeyConstraint("id", name="accounts_pkey"),
    sa.UniqueConstraint("email_key", name="accounts_email_key_key"),
    sa.UniqueConstraint("request_key", name="accounts_request_key_key"),
    sa.CheckConstraint("status in ('active', 'invited', 'disabled')", name="accounts_status_check"),
    sa.CheckConstraint("(status = 'disabled') = (disabled_at is not null)", name="accounts_disabled_check"),
)
sa.Index("accounts_not_before_idx", accounts.c.not_before, postgresql_where=accounts.c.not_before.is_not(None))
sa.Index("accounts_invited_idx", accounts.c.created_at, postgresql_where=accounts.c.status == "invited")
sa.Index("accounts_admins_idx", accounts.c.id, postgresql_where=accounts.c.roles.any("admin"))

sessions = sa.Table(
    "sessions",
    metadata,
    _id(),
    _id("account_id"),
    _words("amr"),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("token_hash", sa.LargeBinary, nullable=False),
    sa.Column("previous_hash", sa.LargeBinary),
    _moment("authenticated_at"),
    _moment("last_used_at"),
    _moment("rotated_at", nullable=True),
    _moment("expires_at"),
    _moment("revoked_at", nullable=True),
    sa.Column("revoked_reason", sa.Text),
    sa.Column("ip", sa.Text),
    sa.Column("user_agent", sa.Text),
    _sequence(),
    sa.PrimaryKeyConstraint("id", name="sessions_pkey"),
    # Checked at the end, because an account and its first session are written in one go and in no certain order.
    sa.ForeignKeyConstraint(
        ["account_id"],
        ["accounts.id"],
        name="sessions_account_id_fkey",
        ondelete="CASCADE",
        deferrable=True,
        initially="DEFERRED",
    ),
    sa.CheckConstraint("(revoked_at is null) = (revoked_reason is null)", name="sessions_revoked_check"),
)
# Ended ones, too: the newest one is the last sign-in, and an account takes all of its sessions with it.
sa.Index("sessions_account_id_idx", sessions.c.account_id, sessions.c.id)
sa.Index("sessions_expires_at_idx", sessions.c.expires_at)
sa.Index("sessions_revoked_at_idx", sessions.c.revoked_at, postgresql_where=sessions.c.revoked_at.is_not(None))

signing_keys = sa.Table(
    "signing_keys",
    metadata,
    sa.Column("kid", sa.Text, nullable=False),
    sa.Column("algorithm", sa.Text, nullable=False),
    sa.Column("public_jwk", pg.JSONB, nullable=False),
    sa.Column("sealed_private", sa.LargeBinary, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    _moment("created_at"),
    _moment("retired_at", nullable=True),
    sa.PrimaryKeyConstraint("kid", name="signing_keys_pkey"),
    sa.CheckConstraint("state in ('next', 'active', 'retiring')", name="signing_keys_state_check"),
)
sa.Index(
    "signing_keys_one_active_idx",
    signing_keys.c.state,
    unique=True,
    postgresql_where=signing_keys.c.state == "active",
)
sa.Index(
    "signing_keys_one_next_idx", signing_keys.c.state, unique=True, postgresql_where=signing_keys.c.state == "next"
)

# One row for each purpose (for an e-mail change: each change), so that a newer token takes the older one's place.
one_time_tokens = sa.Table(
    "one_time_tokens",
    metadata,
    _id("account_id"),
    sa.Column("slot", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    _id("reference", nullable=True),
    sa.Column("target", sa.Text, nullable=False),
    _id("minted_by"),
    sa.Column("token_hash", sa.LargeBinary, nullable=False),
    sa.Column("code_hash", sa.LargeBinary),
    sa.Column("tries", sa.Integer, nullable=False),
    _moment("created_at"),
    _moment("expires_at"),
    _moment("used_at", nullable=True),
    sa.PrimaryKeyConstraint("account_id", "slot", name="one_time_tokens_pkey"),
    sa.UniqueConstraint("token_hash", name="one_time_tokens_token_hash_key"),
    sa.ForeignKeyConstraint(
        ["account_id"], ["accounts.id"], name="one_time_tokens_account_id_fkey", ondelete="CASCADE"
    ),
)
sa.Index("one_time_tokens_expires_at_idx", one_time_tokens.c.expires_at)

email_changes = sa.Table(
    "email_changes",
    metadata,
    _id(),
    _id("account_id"),
    sa.Column("old_email", EmailType, nullable=False),
    sa.Column("new_email", EmailType, nullable=False),
    _moment("requested_at"),
    _moment("confirmed_at", nullable=True),
    _moment("ended_at", nullable=True),
    sa.PrimaryKeyConstraint("id", name="email_changes_pkey"),
    sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="email_changes_account_id_fkey", ondelete="CASCADE"),
)
sa.Index("email_changes_account_id_idx", email_changes.c.account_id)

# How many mails of a kind somebody got lately.
mail_counts = sa.Table(
    "mail_counts",
    metadata,
    _id("account_id"),
    sa.Column("kind", sa.Text, nullable=False),
    _moment("window_started_at"),
    sa.Column("mails", sa.Integer, nullable=False),
    sa.PrimaryKeyConstraint("account_id", "kind", name="mail_counts_pkey"),
    sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="mail_counts_account_id_fkey", ondelete="CASCADE"),
)
sa.Index("mail_counts_window_started_at_idx", mail_counts.c.window_started_at)

# Attempts to sign in, by a keyed hash of the address or the device: whether there is such an account does not show.
login_attempts = sa.Table(
    "login_attempts",
    metadata,
    sa.Column("key", sa.LargeBinary, nullable=False),
    _moment("window_started_at"),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.PrimaryKeyConstraint("key", name="login_attempts_pkey"),
)
sa.Index("login_attempts_window_started_at_idx", login_attempts.c.window_started_at)

# Failed logins of addresses that nobody has here: counted for a while, no part of the audit trail.
unknown_logins = sa.Table(
    "unknown_logins",
    metadata,
    _id(),
    sa.Column("key", sa.LargeBinary, nullable=False),
    _moment("occurred_at"),
    sa.PrimaryKeyConstraint("id", name="unknown_logins_pkey"),
)

oauth_clients = sa.Table(
    "oauth_clients",
    metadata,
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("secret_hash", sa.LargeBinary, nullable=False),
    _moment("created_at"),
    _moment("revoked_at", nullable=True),
    sa.PrimaryKeyConstraint("id", name="oauth_clients_pkey"),
)

audit_events = sa.Table(
    "audit_events",
    metadata,
    _id(),
    _moment("occurred_at"),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("actor_kind", sa.Text, nullable=False),
    _id("actor_id", nullable=True),
    _id("account_id", nullable=True),
    _id("session_id", nullable=True),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("details", pg.JSONB, nullable=False),
    # Encrypted with the subject's key: erasing that erases this, and the chain over the rows stays whole.
    sa.Column("personal", sa.LargeBinary),
    sa.PrimaryKeyConstraint("id", name="audit_events_pkey"),
    sa.CheckConstraint("outcome in ('success', 'failure')", name="audit_events_outcome_check"),
)
sa.Index("audit_events_account_id_idx", audit_events.c.account_id, audit_events.c.id)
sa.Index("audit_events_actor_id_idx", audit_events.c.actor_id, audit_events.c.id)
sa.Index("audit_events_kind_idx", audit_events.c.kind, audit_events.c.id)
audit_seals = seals_table(metadata, "audit")
audit_unsealed = unsealed_table(metadata, "audit")

# The keys that personal data in append-only rows is encrypted with, sealed by SECRET_KEY.
subject_keys = sa.Table(
    "subject_keys",
    metadata,
    _id("subject_id"),
    sa.Column("sealed_key", sa.LargeBinary, nullable=False),
    _moment("created_at"),
    sa.PrimaryKeyConstraint("subject_id", name="subject_keys_pkey"),
)


def _remember_key(account: Account, email: Email, _old: object, _initiator: object) -> None:
    account._email_key = email.key  # type: ignore[attr-defined]  # a column that only the database asks for


def map_domain() -> None:
    """Teach SQLAlchemy the domain classes once; the classes never learn about SQLAlchemy."""
    if sa.inspect(Account, raiseerr=False):
        return
    mapped = mapper.map_imperatively(
        Account,
        accounts,
        properties={"_email_key": accounts.c.email_key},
        # Every change of an account counts its events on, so their number is its version.
        version_id_col=accounts.c.sequence,
        version_id_generator=False,
    )
    sa.event.listen(mapped.attrs.email.class_attribute, "set", _remember_key)
    mapper.map_imperatively(Session, sessions)
    mapper.map_imperatively(SigningKey, signing_keys)
    mapper.map_imperatively(OneTimeToken, one_time_tokens)
    mapper.map_imperatively(EmailChange, email_changes)
    mapper.map_imperatively(OAuthClient, oauth_clients)
