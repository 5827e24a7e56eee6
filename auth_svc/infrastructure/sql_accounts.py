"""Accounts, their sessions, and the keys that tokens are signed with, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from auth_svc.application.repositories import MailBasis
from auth_svc.domain.account import Account, AccountNotFound
from auth_svc.domain.email import Email
from auth_svc.domain.mail import MailKind
from auth_svc.domain.oauth_client import OAuthClient
from auth_svc.domain.one_time_token import OneTimeToken
from auth_svc.domain.roles import is_administrator
from auth_svc.domain.session import Session
from auth_svc.domain.signing_key import SigningKey
from auth_svc.infrastructure.tables import (
    accounts,
    inbox,
    mail_counts,
    oauth_clients,
    one_time_tokens,
    sessions,
    signing_keys,
)
from lib.objects import restored
from lib.uow import SqlUnitOfWork
from lib.writes import holding, refusing


class SqlAccounts:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow
        self.depends_on_free_address = False

    def add(self, account: Account) -> None:
        self._uow.keep(account)

    def add_if_free(self, account: Account) -> None:
        self._uow.first_of_all(_FREE, email_key=account.email.key, id=account.id)
        self.depends_on_free_address = True
        self.add(account)

    def update(self, account: Account) -> None:
        self._uow.keep(account)

    def get(self, account_id: UUID) -> Account:
        # No key changes here, so inserts that refer to the account (foreign keys) need not wait.
        account = self._uow.session.get(
            Account, account_id, with_for_update={"key_share": True}, populate_existing=True
        )
        if account is None:
            raise AccountNotFound
        return account

    def find(self, account_id: UUID) -> Account | None:
        return _found(self._uow.first(_BY_ID, id=account_id))

    def find_for_mail(
        self, account_id: UUID, *, kind: MailKind, slot: str | None, since: datetime, unless_seen: tuple[str, str]
    ) -> MailBasis | None:
        handler, event_id = unless_seen
        row = self._uow.first(
            _FOR_MAIL, id=account_id, kind=kind, slot=slot, since=since, handler=handler, event_id=UUID(event_id)
        )
        if row is None:
            return None
        values = tuple(row)
        end = 1 + len(ACCOUNT_COLUMNS)
        mails, of_account, of_token = values[0], values[1:end], values[end:]
        token = dict(zip(_TOKEN_NAMES, of_token, strict=True))
        return MailBasis(
            account=_restored(dict(zip(ACCOUNT_NAMES, of_account, strict=True))),
            token=None if token["minted_by"] is None else OneTimeToken(**token),
            mails=mails or 0,
        )

    def hold(self, account: Account) -> None:
        self._uow.later(_AS_READ, id=account.id, sequence=account.sequence)

    def find_by_email(self, email: Email) -> Account | None:
        row = self._uow.first(_BY_EMAIL, key=email.key)
        return restored_or_nobody(None if row is None else row._mapping)

    def find_id_by_email(self, email: Email) -> UUID | None:
        found = self._uow.first(_ID_BY_EMAIL, key=email.key)
        return None if found is None else found.id

    def find_by_request_key(self, request_key: str) -> Account | None:
        return _found(self._uow.first(_BY_REQUEST_KEY, key=request_key))

    def administrators(self, *, beside: UUID) -> Sequence[Account]:
        locked = self._uow.session.scalars(
            sa.select(Account)
            .where((accounts.c.roles.any("admin") & (accounts.c.status == "active")) | (accounts.c.id == beside))
            # Always in one order, so that two administrators who act on each other do not wait in a circle.
            .order_by(accounts.c.id)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        ).all()
        return [each for each in locked if is_administrator(each)]

    def invited_before(self, moment: datetime, at_most: int) -> Sequence[Account]:
        return self._uow.session.scalars(
            sa.select(Account)
            .where(accounts.c.status == "invited", accounts.c.created_at < moment)
            .order_by(accounts.c.created_at)
            .limit(at_most)
            .with_for_update(skip_locked=True)
        ).all()

    def remove(self, account: Account) -> None:
        self._uow.session.delete(account)
        # At once: who takes over its address would be written before it is gone.
        self._uow.session.flush()


def restored_or_nobody(values: Mapping[str, Any] | sa.RowMapping | None) -> Account | None:
    """Return the account of these columns, if there is one.

    It is made for nobody as well: how long that takes is not to tell whose address is known.
    """
    account = _restored(_NOBODY if values is None else values)
    return None if values is None else account


def _found(row: sa.Row[Any] | None) -> Account | None:
    return None if row is None else _restored(row._mapping)


def _restored(row: Mapping[str, Any] | sa.RowMapping) -> Account:
    """Return an account that no session knows; `SqlAccounts.update` takes it.

    Made without SQLAlchemy's query for objects, which takes as long again as the statement.
    """
    return restored(Account, {**row, "_email_key": row["email"].key})


_NOBODY: Mapping[str, Any] = {
    "id": UUID(int=0),
    "email": Email("nobody@example.com"),
    "name": "Nobody",
    "status": "active",
    "created_at": datetime.min,
    **dict.fromkeys(("password_hash", "password_set_at", "request_key", "activated_at", "disabled_at"), None),
    **dict.fromkeys(("disabled_reason", "not_before"), None),
    "email_verified": False,
    "roles": (),
    "sequence": 1,
}
ACCOUNT_COLUMNS = [column for column in accounts.columns if column is not accounts.c.email_key]
_BY_ID = sa.select(*ACCOUNT_COLUMNS).where(accounts.c.id == sa.bindparam("id"))
_BY_EMAIL = sa.select(*ACCOUNT_COLUMNS).where(accounts.c.email_key == sa.bindparam("key"))
_ID_BY_EMAIL = sa.select(accounts.c.id).where(accounts.c.email_key == sa.bindparam("key"))
_BY_REQUEST_KEY = sa.select(*ACCOUNT_COLUMNS).where(accounts.c.request_key == sa.bindparam("key"))
ACCOUNT_NAMES = [column.name for column in ACCOUNT_COLUMNS]
_TOKEN_NAMES = [column.name for column in one_time_tokens.columns]
_FREE = refusing(accounts, found_by=["email_key"], other_than=["id"])
_AS_READ = holding(accounts, found_by=("id", "sequence"))
_tokens, _counts = one_time_tokens.c, mail_counts.c
_FOR_MAIL = (
    sa.select(_counts.mails, *ACCOUNT_COLUMNS, *one_time_tokens.columns)
    .select_from(accounts)
    .outerjoin(one_time_tokens, (_tokens.account_id == accounts.c.id) & (_tokens.slot == sa.bindparam("slot")))
    .outerjoin(
        mail_counts,
        (_counts.account_id == accounts.c.id)
        & (_counts.kind == sa.bindparam("kind"))
        & (_counts.window_started_at > sa.bindparam("since")),
    )
    .where(
        accounts.c.id == sa.bindparam("id"),
        ~sa.exists().where(inbox.c.handler == sa.bindparam("handler"), inbox.c.event_id == sa.bindparam("event_id")),
    )
)


class SqlSessions:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def add(self, session: Session) -> None:
        self._uow.keep(session)

    def find(self, session_id: UUID) -> Session | None:
        return self._uow.session.get(Session, session_id, with_for_update={"key_share": True}, populate_existing=True)

    def live_of(self, account_id: UUID, now: datetime) -> Sequence[Session]:
        return self._uow.session.scalars(
            sa.select(Session)
            .where(sessions.c.account_id == account_id, sessions.c.revoked_at.is_(None), sessions.c.expires_at > now)
            # Always in one order, so that two sign-outs never wait for each other in a circle.
            .order_by(sessions.c.id)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        ).all()

    def end_all(self, account_id: UUID, reason: str, now: datetime) -> UUID | None:
        ended = self._uow.session.scalars(
            sa.update(sessions)
            .where(sessions.c.account_id == account_id, sessions.c.revoked_at.is_(None))
            .values(revoked_at=now, revoked_reason=reason)
            .returning(sessions.c.id)
        ).all()
        return max(ended, default=None)


class SqlSigningKeys:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def add(self, key: SigningKey) -> None:
        self._uow.keep(key)

    def published(self) -> Sequence[SigningKey]:
        return self._uow.session.scalars(_all_keys()).all()

    def locked(self) -> Sequence[SigningKey]:
        return self._uow.session.scalars(_all_keys().with_for_update()).all()

    def remove(self, key: SigningKey) -> None:
        self._uow.session.delete(key)


def _all_keys() -> sa.Select[tuple[SigningKey]]:
    return sa.select(SigningKey).order_by(signing_keys.c.created_at, signing_keys.c.kid)


class SqlOAuthClients:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def add(self, client: OAuthClient) -> None:
        self._uow.keep(client)

    def find(self, client_id: str) -> OAuthClient | None:
        return self._uow.session.get(OAuthClient, client_id)

    def all(self) -> Sequence[OAuthClient]:
        return self._uow.session.scalars(
            sa.select(OAuthClient).order_by(oauth_clients.c.created_at, oauth_clients.c.id)
        ).all()
