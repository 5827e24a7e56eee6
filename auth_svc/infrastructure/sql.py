"""The unit of work on PostgreSQL."""

from __future__ import annotations

from functools import cached_property

from sqlalchemy.exc import IntegrityError

from auth_svc.domain.account import RequestKeyTaken
from auth_svc.domain.email import EmailTaken
from auth_svc.domain.signing_key import SigningKeyExists
from auth_svc.infrastructure.audit import AuditWriter, SqlAuditTrail
from auth_svc.infrastructure.sql_accounts import SqlAccounts, SqlOAuthClients, SqlSessions, SqlSigningKeys
from auth_svc.infrastructure.sql_mailbox import SqlEmailChanges, SqlLoginAttempts, SqlMailCounts, SqlOneTimeTokens
from lib.database import Sessions
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

    def __init__(self, sessions: Sessions, audit: AuditWriter) -> None:
        super().__init__(sessions)
        self._audit = audit

    @cached_property
    def accounts(self) -> SqlAccounts:
        return SqlAccounts(self)

    @cached_property
    def sessions(self) -> SqlSessions:
        return SqlSessions(self)

    @cached_property
    def signing_keys(self) -> SqlSigningKeys:
        return SqlSigningKeys(self)

    @cached_property
    def oauth_clients(self) -> SqlOAuthClients:
        return SqlOAuthClients(self)

    @cached_property
    def one_time_tokens(self) -> SqlOneTimeTokens:
        return SqlOneTimeTokens(self)

    @cached_property
    def email_changes(self) -> SqlEmailChanges:
        return SqlEmailChanges(self)

    @cached_property
    def mail_counts(self) -> SqlMailCounts:
        return SqlMailCounts(self)

    @cached_property
    def login_attempts(self) -> SqlLoginAttempts:
        return SqlLoginAttempts(self)

    @cached_property
    def audit(self) -> SqlAuditTrail:
        return SqlAuditTrail(self, self._audit)

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
