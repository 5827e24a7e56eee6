"""What goes through mailboxes, and how often somebody tries to sign in, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from auth_svc.application.repositories import BegunLogin
from auth_svc.domain.device import Device
from auth_svc.domain.email import Email
from auth_svc.domain.email_change import EmailChange
from auth_svc.domain.mail import MailKind
from auth_svc.domain.one_time_token import OneTimeToken
from auth_svc.infrastructure.sql_accounts import ACCOUNT_COLUMNS, ACCOUNT_NAMES, restored_or_nobody
from auth_svc.infrastructure.tables import (
    accounts,
    email_changes,
    login_attempts,
    mail_counts,
    one_time_tokens,
    unknown_logins,
)
from lib.ids import new_id
from lib.uow import SqlUnitOfWork
from lib.writes import Form, inserting, or_fail, updating


class SqlOneTimeTokens:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def put(self, token: OneTimeToken) -> None:
        self._uow.later(_PUT_TOKEN, **_values(token))

    def replace(self, standing: OneTimeToken | None, token: OneTimeToken) -> None:
        if standing is None:
            self._uow.later(_ADD_TOKEN, **_values(token))
        else:
            # A token is used up or too old for ever: who minted it tells all that matters about it.
            old = {f"old_{name}": getattr(standing, name) for name in _TOKEN_VERSION}
            self._uow.later(_REPLACE_TOKEN, **_values(token), **old)

    def find(self, account_id: UUID, slot: str) -> OneTimeToken | None:
        return self._uow.session.get(OneTimeToken, (account_id, slot), with_for_update=True, populate_existing=True)

    def find_by_hash(self, token_hash: bytes) -> OneTimeToken | None:
        return self._uow.session.scalar(sa.select(OneTimeToken).where(one_time_tokens.c.token_hash == token_hash))

    def use_up(self, account_id: UUID, now: datetime, *, except_for: Sequence[str] = ()) -> None:
        c = one_time_tokens.c
        self._uow.session.execute(
            sa.update(one_time_tokens)
            .where(c.account_id == account_id, c.purpose.not_in(except_for), c.used_at.is_(None))
            .values(used_at=now)
        )


def _values(token: OneTimeToken) -> dict[str, Any]:
    return {name: getattr(token, name) for name in _TOKEN_COLUMNS}


class SqlEmailChanges:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def add(self, change: EmailChange) -> None:
        self._uow.keep(change)

    def find(self, change_id: UUID) -> EmailChange | None:
        return self._uow.session.get(EmailChange, change_id)

    def open_of(self, account_id: UUID) -> Sequence[EmailChange]:
        c = email_changes.c
        return self._uow.session.scalars(
            sa.select(EmailChange)
            .where(c.account_id == account_id, c.ended_at.is_(None))
            .order_by(c.requested_at, c.id)
        ).all()


def _counting(table: sa.Table, count: str, *keys: str) -> Form:
    """Return what adds one to a count whose window begins anew when it is over."""
    return Form(
        f"INSERT INTO {table.name} ({', '.join(keys)}, window_started_at, {count})"  # noqa: S608  (only names of ours)
        f" VALUES ({', '.join(f':{key}' for key in keys)}, :now, 1) {_counted(table, count, *keys)}",
        {key: table.c[key].type for key in keys},
    )


def _counted(table: sa.Table, count: str, *keys: str) -> str:
    """Return the end of an INSERT that adds one to the count that is there."""
    name, started = table.name, "window_started_at"
    return (
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET"
        f" {count} = CASE WHEN {name}.{started} <= :over THEN 1 ELSE {name}.{count} + 1 END,"
        f" {started} = CASE WHEN {name}.{started} <= :over THEN :now ELSE {name}.{started} END"
        f" RETURNING {count}"
    )


_COUNT_MAIL = _counting(mail_counts, "mails", "account_id", "kind")
_COUNT_ATTEMPT = _counting(login_attempts, "attempts", "key")
# Which key it is counted under depends on the account: asked for and answered in one round trip.
_BEGIN_LOGIN = (
    sa.text(
        f"WITH account AS (SELECT {', '.join(column.name for column in ACCOUNT_COLUMNS)} FROM accounts"  # noqa: S608
        " WHERE email_key = :email_key),"
        " given AS (SELECT EXISTS (SELECT FROM account"
        " WHERE id = :owner AND password_set_at IS NOT DISTINCT FROM :password_set_at) AS device_is_known),"
        " counted AS (INSERT INTO login_attempts (key, window_started_at, attempts)"
        " SELECT CASE WHEN device_is_known THEN :device_key ELSE :address_key END, :now, 1 FROM given"
        f" WHERE device_is_known OR NOT :known_device_only {_counted(login_attempts, 'attempts', 'key')})"
        " SELECT (SELECT attempts FROM counted) AS attempts, account.* FROM given LEFT JOIN account ON true"
    )
    .bindparams(
        sa.bindparam("device_key", type_=sa.LargeBinary),
        sa.bindparam("address_key", type_=sa.LargeBinary),
        sa.bindparam("owner", type_=accounts.c.id.type),
        sa.bindparam("password_set_at", type_=accounts.c.password_set_at.type),
        sa.bindparam("now", type_=login_attempts.c.window_started_at.type),
        sa.bindparam("over", type_=login_attempts.c.window_started_at.type),
    )
    .columns(login_attempts.c.attempts, *ACCOUNT_COLUMNS)
)
_MAILS = sa.select(mail_counts.c.mails).where(
    mail_counts.c.account_id == sa.bindparam("account_id"),
    mail_counts.c.kind == sa.bindparam("kind"),
    mail_counts.c.window_started_at > sa.bindparam("over"),
)
_TOKEN_COLUMNS = [column.name for column in one_time_tokens.columns]
_TOKEN_VERSION = ("account_id", "slot", "minted_by")
_PUT_TOKEN = inserting(one_time_tokens, in_place_of=("account_id", "slot"))
_ADD_TOKEN = or_fail(inserting(one_time_tokens, unless_there=("account_id", "slot")))
_REPLACE_TOKEN = updating(one_time_tokens, _TOKEN_COLUMNS, found_by=_TOKEN_VERSION)
_KEY = {"key": sa.LargeBinary()}
_TAKE_BACK = Form("UPDATE login_attempts SET attempts = attempts - 1 WHERE key = :key AND attempts > 0", _KEY)
_CLEAR = Form("DELETE FROM login_attempts WHERE key = :key", _KEY)
_NOTE_UNKNOWN = inserting(unknown_logins)


class SqlMailCounts:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def so_far(self, account_id: UUID, kind: MailKind, now: datetime, window: timedelta) -> int:
        found = self._uow.first(_MAILS, account_id=account_id, kind=kind, over=now - window)
        return 0 if found is None else int(found.mails)

    def count(self, account_id: UUID, kind: MailKind, now: datetime, window: timedelta) -> None:
        self._uow.later(_COUNT_MAIL, account_id=account_id, kind=kind, now=now, over=now - window)


class SqlLoginAttempts:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def begin(
        self,
        email: Email | None,
        *,
        address_key: bytes,
        device: Device | None,
        device_key: bytes | None,
        known_device_only: bool,
        now: datetime,
        window: timedelta,
    ) -> BegunLogin:
        row = self._uow.first_at_once(
            _BEGIN_LOGIN,
            email_key=None if email is None else email.key,
            owner=None if device is None else device.account_id,
            password_set_at=None if device is None else device.password_set_at,
            device_key=device_key,
            address_key=address_key,
            known_device_only=known_device_only,
            now=now,
            over=now - window,
        )
        assert row is not None  # noqa: S101  (for the type checker: of a row that is there)
        attempts, *values = row
        account = dict(zip(ACCOUNT_NAMES, values, strict=True))
        return BegunLogin(restored_or_nobody(None if account["id"] is None else account), attempts)

    def count(self, key: bytes, now: datetime, window: timedelta) -> int:
        return int(self._uow.at_once(_COUNT_ATTEMPT, key=key, now=now, over=now - window))

    def take_back(self, key: bytes) -> None:
        self._uow.later(_TAKE_BACK, key=key)

    def clear(self, key: bytes) -> None:
        self._uow.later(_CLEAR, key=key)

    def note_unknown(self, key: bytes, now: datetime) -> None:
        self._uow.later(_NOTE_UNKNOWN, id=new_id(), key=key, occurred_at=now)
