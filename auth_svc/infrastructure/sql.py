"""The unit of work on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Self
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as SqlSession

from auth_svc.domain.account import Account, AccountNotFound, RequestKeyTaken
from auth_svc.domain.email import Email, EmailTaken
from auth_svc.domain.session import Session
from auth_svc.domain.signing_key import SigningKey, SigningKeyExists
from auth_svc.infrastructure.tables import accounts, sessions, signing_keys
from lib.errors import DomainError
from lib.uow import SqlUnitOfWork, constraint_of

#: what a broken constraint means
MEANINGS: dict[str | None, type[DomainError]] = {
    "accounts_email_key_key": EmailTaken,
    "accounts_request_key_key": RequestKeyTaken,
    "signing_keys_one_active_idx": SigningKeyExists,
}


class SqlAccounts:
    def __init__(self, session: SqlSession) -> None:
        self._session = session

    def add(self, account: Account) -> None:
        self._session.add(account)

    def get(self, account_id: UUID) -> Account:
        # No key changes here, so inserts that refer to the account (foreign keys) need not wait.
        account = self._session.get(Account, account_id, with_for_update={"key_share": True}, populate_existing=True)
        if account is None:
            raise AccountNotFound
        return account

    def find(self, account_id: UUID) -> Account | None:
        return self._session.get(Account, account_id)

    def find_by_email(self, email: Email) -> Account | None:
        return self._session.scalar(sa.select(Account).where(accounts.c.email_key == email.key))

    def find_by_request_key(self, request_key: str) -> Account | None:
        return self._session.scalar(sa.select(Account).where(accounts.c.request_key == request_key))


class SqlSessions:
    def __init__(self, session: SqlSession) -> None:
        self._session = session

    def add(self, session: Session) -> None:
        self._session.add(session)

    def find(self, session_id: UUID) -> Session | None:
        return self._session.get(Session, session_id, with_for_update={"key_share": True}, populate_existing=True)

    def live_of(self, account_id: UUID, now: datetime) -> Sequence[Session]:
        return self._session.scalars(
            sa.select(Session)
            .where(sessions.c.account_id == account_id, sessions.c.revoked_at.is_(None), sessions.c.expires_at > now)
            # Always in one order, so that two sign-outs never wait for each other in a circle.
            .order_by(sessions.c.id)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        ).all()


class SqlSigningKeys:
    def __init__(self, session: SqlSession) -> None:
        self._session = session

    def add(self, key: SigningKey) -> None:
        self._session.add(key)

    def published(self) -> Sequence[SigningKey]:
        return self._session.scalars(
            sa.select(SigningKey).order_by(signing_keys.c.created_at, signing_keys.c.kid)
        ).all()


class AuthUnitOfWork(SqlUnitOfWork):
    """One transaction of auth_svc."""

    accounts: SqlAccounts
    sessions: SqlSessions
    signing_keys: SqlSigningKeys

    def __enter__(self) -> Self:
        super().__enter__()
        self.accounts = SqlAccounts(self.session)
        self.sessions = SqlSessions(self.session)
        self.signing_keys = SqlSigningKeys(self.session)
        return self

    def commit(self) -> None:
        try:
            super().commit()
        except IntegrityError as exc:
            meaning = MEANINGS.get(constraint_of(exc))
            if meaning is None:
                raise
            raise meaning() from exc
