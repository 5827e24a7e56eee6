"""The unit of work on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as SqlSession

from auth_svc.domain.account import RequestKeyTaken
from auth_svc.domain.email import EmailTaken
from auth_svc.domain.signing_key import SigningKeyExists
from auth_svc.infrastructure.audit import AuditWriter, SqlAuditTrail
from auth_svc.infrastructure.sql_accounts import SqlAccounts, SqlOAuthClients, SqlSessions, SqlSigningKeys
from auth_svc.infrastructure.sql_mailbox import SqlEmailChanges, SqlLoginAttempts, SqlMailCounts, SqlOneTimeTokens
from lib.errors import DomainError, Overtaken
from lib.uow import SqlUnitOfWork, constraint_of

#: what a broken constraint means
MEANINGS: dict[str | None, type[DomainError]] = {
    "accounts_email_key_key": EmailTaken,
    "accounts_request_key_key": RequestKeyTaken,
    "signing_keys_one_active_idx": SigningKeyExists,
    "signing_keys_one_next_idx": SigningKeyExists,
}


class AuthUnitOfWork(SqlUnitOfWork):
    """One transaction of auth_svc.

    :param audit: writes entries of the audit trail
    """

    accounts: SqlAccounts
    sessions: SqlSessions
    signing_keys: SqlSigningKeys
    oauth_clients: SqlOAuthClients
    one_time_tokens: SqlOneTimeTokens
    email_changes: SqlEmailChanges
    mail_counts: SqlMailCounts
    login_attempts: SqlLoginAttempts
    audit: SqlAuditTrail

    def __init__(self, sessions: Callable[[], SqlSession], audit: AuditWriter) -> None:
        super().__init__(sessions)
        self._audit = audit

    def __enter__(self) -> Self:
        super().__enter__()
        session = self.session
        self.accounts = SqlAccounts(self)
        self.sessions = SqlSessions(session)
        self.signing_keys = SqlSigningKeys(session)
        self.oauth_clients = SqlOAuthClients(session)
        self.one_time_tokens = SqlOneTimeTokens(self)
        self.email_changes = SqlEmailChanges(session)
        self.mail_counts = SqlMailCounts(self)
        self.login_attempts = SqlLoginAttempts(self)
        self.audit = SqlAuditTrail(self, self._audit)
        return self

    def commit(self) -> None:
        try:
            self.audit.write()
            super().commit()
        except IntegrityError as exc:
            meaning = MEANINGS.get(constraint_of(exc))
            if meaning is None:
                raise
            raise meaning() from exc
        except Overtaken as exc:
            if not self.accounts.depends_on_free_address:
                raise
            raise EmailTaken from exc
