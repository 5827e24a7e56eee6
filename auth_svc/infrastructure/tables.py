"""Tables, and which domain class lives in which."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import registry

from auth_svc.domain.account import Account
from auth_svc.domain.email import Email
from auth_svc.domain.session import Session
from auth_svc.domain.signing_key import SigningKey
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


def _id() -> sa.Column[Any]:
    return sa.Column("id", pg.UUID(as_uuid=True), nullable=False)


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
    _moment("created_at"),
    _sequence(),
    sa.PrimaryKeyConstraint("id", name="accounts_pkey"),
    sa.UniqueConstraint("email_key", name="accounts_email_key_key"),
    sa.UniqueConstraint("request_key", name="accounts_request_key_key"),
    sa.CheckConstraint("status in ('active', 'invited', 'disabled')", name="accounts_status_check"),
)

sessions = sa.Table(
    "sessions",
    metadata,
    _id(),
    sa.Column("account_id", pg.UUID(as_uuid=True), nullable=False),
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
sa.Index("sessions_account_id_idx", sessions.c.account_id, postgresql_where=sessions.c.revoked_at.is_(None))
sa.Index("sessions_expires_at_idx", sessions.c.expires_at)

signing_keys = sa.Table(
    "signing_keys",
    metadata,
    sa.Column("kid", sa.Text, nullable=False),
    sa.Column("algorithm", sa.Text, nullable=False),
    sa.Column("public_jwk", pg.JSONB, nullable=False),
    sa.Column("sealed_private", sa.LargeBinary, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    _moment("created_at"),
    sa.PrimaryKeyConstraint("kid", name="signing_keys_pkey"),
    sa.CheckConstraint("state in ('next', 'active', 'retiring')", name="signing_keys_state_check"),
)
sa.Index(
    "signing_keys_one_active_idx",
    signing_keys.c.state,
    unique=True,
    postgresql_where=signing_keys.c.state == "active",
)


def _remember_key(account: Account, email: Email, _old: object, _initiator: object) -> None:
    account._email_key = email.key  # type: ignore[attr-defined]  # a column that only the database asks for


def map_domain() -> None:
    """Teach SQLAlchemy the domain classes once; the classes never learn about SQLAlchemy."""
    if sa.inspect(Account, raiseerr=False):
        return
    mapped = mapper.map_imperatively(Account, accounts, properties={"_email_key": accounts.c.email_key})
    sa.event.listen(mapped.attrs.email.class_attribute, "set", _remember_key)
    mapper.map_imperatively(Session, sessions)
    mapper.map_imperatively(SigningKey, signing_keys)
