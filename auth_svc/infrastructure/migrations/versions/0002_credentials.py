"""One-time tokens, e-mail changes, counts against guessing, clients; the audit trail and its seals.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = ("audit_events", "audit_seals")

UUID = pg.UUID(as_uuid=True)
MOMENT = sa.DateTime(timezone=True)


def _belongs_to_account(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=f"{table}_account_id_fkey", ondelete="CASCADE")


def upgrade() -> None:
    _accounts_and_sessions()
    _mailboxes()
    _logins_and_clients()
    _audit()


def _accounts_and_sessions() -> None:
    op.add_column("accounts", sa.Column("activated_at", MOMENT))
    op.add_column("accounts", sa.Column("disabled_at", MOMENT))
    op.add_column("accounts", sa.Column("disabled_reason", sa.Text))
    op.add_column("accounts", sa.Column("not_before", MOMENT))
    op.execute("UPDATE accounts SET activated_at = created_at WHERE status <> 'invited'")
    op.execute("UPDATE accounts SET disabled_at = now() WHERE status = 'disabled'")
    op.create_check_constraint(
        "accounts_disabled_check", "accounts", "(status = 'disabled') = (disabled_at is not null)"
    )
    op.create_index(
        "accounts_not_before_idx", "accounts", ["not_before"], postgresql_where=sa.text("not_before IS NOT NULL")
    )
    op.create_index("accounts_invited_idx", "accounts", ["created_at"], postgresql_where=sa.text("status = 'invited'"))
    op.create_index("accounts_admins_idx", "accounts", ["id"], postgresql_where=sa.text("'admin' = ANY (roles)"))
    op.add_column("sessions", sa.Column("ip", sa.Text))
    op.add_column("sessions", sa.Column("user_agent", sa.Text))
    op.drop_index("sessions_account_id_idx", "sessions")
    op.create_index("sessions_account_id_idx", "sessions", ["account_id", "id"])
    op.create_index(
        "sessions_revoked_at_idx", "sessions", ["revoked_at"], postgresql_where=sa.text("revoked_at IS NOT NULL")
    )
    op.add_column("signing_keys", sa.Column("retired_at", MOMENT))
    op.create_index(
        "signing_keys_one_next_idx",
        "signing_keys",
        ["state"],
        unique=True,
        postgresql_where=sa.text("state = 'next'"),
    )


def _mailboxes() -> None:
    op.create_table(
        "one_time_tokens",
        sa.Column("account_id", UUID, nullable=False),
        sa.Column("slot", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("reference", UUID),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("minted_by", UUID, nullable=False),
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column("code_hash", sa.LargeBinary),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT),
        sa.PrimaryKeyConstraint("account_id", "slot", name="one_time_tokens_pkey"),
        sa.UniqueConstraint("token_hash", name="one_time_tokens_token_hash_key"),
        _belongs_to_account("one_time_tokens"),
    )
    op.create_index("one_time_tokens_expires_at_idx", "one_time_tokens", ["expires_at"])
    op.create_table(
        "email_changes",
        sa.Column("id", UUID, nullable=False),
        sa.Column("account_id", UUID, nullable=False),
        sa.Column("old_email", sa.Text, nullable=False),
        sa.Column("new_email", sa.Text, nullable=False),
        sa.Column("requested_at", MOMENT, nullable=False),
        sa.Column("confirmed_at", MOMENT),
        sa.Column("ended_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="email_changes_pkey"),
        _belongs_to_account("email_changes"),
    )
    op.create_index("email_changes_account_id_idx", "email_changes", ["account_id"])
    op.create_table(
        "mail_counts",
        sa.Column("account_id", UUID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("window_started_at", MOMENT, nullable=False),
        sa.Column("mails", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "kind", name="mail_counts_pkey"),
        _belongs_to_account("mail_counts"),
    )
    op.create_index("mail_counts_window_started_at_idx", "mail_counts", ["window_started_at"])


def _logins_and_clients() -> None:
    op.create_table(
        "login_attempts",
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("window_started_at", MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("key", name="login_attempts_pkey"),
    )
    op.create_index("login_attempts_window_started_at_idx", "login_attempts", ["window_started_at"])
    op.create_table(
        "unknown_logins",
        sa.Column("id", UUID, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("occurred_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="unknown_logins_pkey"),
    )
    op.create_table(
        "oauth_clients",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="oauth_clients_pkey"),
    )


def _audit() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", UUID, nullable=False),
        sa.Column("occurred_at", MOMENT, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("actor_kind", sa.Text, nullable=False),
        sa.Column("actor_id", UUID),
        sa.Column("account_id", UUID),
        sa.Column("session_id", UUID),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("details", pg.JSONB, nullable=False),
        sa.Column("personal", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="audit_events_pkey"),
        sa.CheckConstraint("outcome in ('success', 'failure')", name="audit_events_outcome_check"),
    )
    op.create_index("audit_events_account_id_idx", "audit_events", ["account_id", "id"])
    op.create_index("audit_events_actor_id_idx", "audit_events", ["actor_id", "id"])
    op.create_index("audit_events_kind_idx", "audit_events", ["kind", "id"])
    op.create_table(
        "audit_seals",
        sa.Column("position", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("row_id", UUID, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("sealed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("position", name="audit_seals_pkey"),
        sa.UniqueConstraint("row_id", name="audit_seals_row_id_key"),
    )
    op.create_table(
        "audit_unsealed",
        sa.Column("row_id", UUID, nullable=False),
        sa.Column("added_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("row_id", name="audit_unsealed_pkey"),
    )
    op.create_table(
        "subject_keys",
        sa.Column("subject_id", UUID, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("subject_id", name="subject_keys_pkey"),
    )


def downgrade() -> None:
    for table in (
        "subject_keys",
        "audit_unsealed",
        "audit_seals",
        "audit_events",
        "oauth_clients",
        "unknown_logins",
        "login_attempts",
        "mail_counts",
        "email_changes",
        "one_time_tokens",
    ):
        op.drop_table(table)
    op.drop_index("signing_keys_one_next_idx", "signing_keys")
    op.drop_column("signing_keys", "retired_at")
    op.drop_index("sessions_revoked_at_idx", "sessions")
    op.drop_index("sessions_account_id_idx", "sessions")
    op.create_index(
        "sessions_account_id_idx", "sessions", ["account_id"], postgresql_where=sa.text("revoked_at IS NULL")
    )
    for column in ("user_agent", "ip"):
        op.drop_column("sessions", column)
    for index in ("accounts_admins_idx", "accounts_invited_idx", "accounts_not_before_idx"):
        op.drop_index(index, "accounts")
    op.drop_constraint("accounts_disabled_check", "accounts")
    for column in ("not_before", "disabled_reason", "disabled_at", "activated_at"):
        op.drop_column("accounts", column)
