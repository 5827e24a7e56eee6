"""What goes through mailboxes, and how often somebody tries to sign in, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session as SqlSession

from auth_svc.domain.email_change import EmailChange
from auth_svc.domain.mail import MailKind
from auth_svc.domain.one_time_token import OneTimeToken
from auth_svc.infrastructure.tables import email_changes, login_attempts, mail_counts, one_time_tokens, unknown_logins
from lib.ids import new_id
from lib.uow import SqlUnitOfWork
from lib.writes import Form, inserting, or_fail, updating


class SqlOneTimeTokens:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow
        self._session = uow.session

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
        return self._session.get(OneTimeToken, (account_id, slot), with_for_update=True, populate_existing=True)

    def find_by_hash(self, token_hash: bytes) -> OneTimeToken | None:
        return self._session.scalar(sa.select(OneTimeToken).where(one_time_tokens.c.token_hash == token_hash))

    def use_up(self, account_id: UUID, now: datetime, *, except_for: Sequence[str] = ()) -> None:
        c = one_time_tokens.c
        self._session.execute(
            sa.update(one_time_tokens)
            .where(c.account_id == account_id, c.purpose.not_in(except_for), c.used_at.is_(None))
            .values(used_at=now)
        )


def _values(token: OneTimeToken) -> dict[str, Any]:
    return {name: getattr(token, name) for name in _TOKEN_COLUMNS}


class SqlEmailChanges:
    def __init__(self, session: SqlSession) -> None:
        self._session = session

    def add(self, change: EmailChange) -> None:
        self._session.add(change)

    def find(self, change_id: UUID) -> EmailChange | None:
        return self._session.get(EmailChange, change_id)

    def open_of(self, account_id: UUID) -> Sequence[EmailChange]:
        c = email_changes.c
        return self._session.scalars(
            sa.select(EmailChange)
            .where(c.account_id == account_id, c.ended_at.is_(None))
            .order_by(c.requested_at, c.id)
        ).all()


def _counting(table: sa.Table, count: str, *keys: str) -> Form:
    """Return what adds one to a count whose window begins anew when it is over."""
    name, started = table.name, "window_started_at"
    # Only names of ours.
    statement = (
        f"INSERT INTO {name} ({', '.join(keys)}, {started}, {count})"  # noqa: S608
        f" VALUES ({', '.join(f':{key}' for key in keys)}, :now, 1)"
        f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET"
        f" {count} = CASE WHEN {name}.{started} <= :over THEN 1 ELSE {name}.{count} + 1 END,"
        f" {started} = CASE WHEN {name}.{started} <= :over THEN :now ELSE {name}.{started} END"
        f" RETURNING {count}"
    )
    return Form(statement, {key: table.c[key].type for key in keys})


_COUNT_MAIL = _counting(mail_counts, "mails", "account_id", "kind")
_COUNT_ATTEMPT = _counting(login_attempts, "attempts", "key")
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

    def count(self, key: bytes, now: datetime, window: timedelta) -> int:
        return int(self._uow.at_once(_COUNT_ATTEMPT, key=key, now=now, over=now - window))

    def take_back(self, key: bytes) -> None:
        self._uow.later(_TAKE_BACK, key=key)

    def clear(self, key: bytes) -> None:
        self._uow.later(_CLEAR, key=key)

    def note_unknown(self, key: bytes, now: datetime) -> None:
        self._uow.later(_NOTE_UNKNOWN, id=new_id(), key=key, occurred_at=now)
