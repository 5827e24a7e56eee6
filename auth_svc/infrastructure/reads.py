"""Lists for people and for gateways, straight from the tables: one SELECT each."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from auth_svc.domain.email import key_of
from auth_svc.infrastructure.subject_keys import SubjectKeys
from auth_svc.infrastructure.tables import accounts, audit_events, sessions, subject_keys
from auth_svc.infrastructure.user_agents import device_of
from lib.database import Sessions

# All statements are built once, when this is imported: SQLAlchemy compiles them once. A filter that is not given is
# null in the text that PostgreSQL gets, and its planner drops it.
_ID, _MOMENT = pg.UUID(as_uuid=True), sa.DateTime(timezone=True)
_AT_MOST = sa.bindparam("at_most", type_=sa.Integer)


def _given(name: str, kind: Any = sa.Text) -> tuple[sa.ColumnElement[bool], sa.BindParameter[Any]]:
    """Return whether a filter is not wanted, and its value."""
    value = sa.bindparam(name, type_=kind)
    return value.is_(None), value


def _equal(column: sa.Column[Any], name: str) -> sa.ColumnElement[bool]:
    unwanted, value = _given(name, column.type)
    return unwanted | (column == value)


def _older(id: sa.Column[Any]) -> sa.ColumnElement[bool]:
    unwanted, value = _given("before", _ID)
    return unwanted | (id < value)


def _ended_since(id: sa.Column[Any], moment: sa.Column[Any]) -> sa.Select[Any]:
    unwanted, after = _given("after", _ID)
    # By the index on the moment, whatever the planner thinks: in the order of ids it would go through everything.
    ended = (
        sa.select(id, moment.label("moment"))
        .where(moment >= sa.bindparam("since", type_=_MOMENT))
        .cte("ended")
        .prefix_with("MATERIALIZED")
    )
    return sa.select(ended).where(unwanted | (ended.c.id > after)).order_by(ended.c.id).limit(_AT_MOST)


_REVOCATIONS = _ended_since(sessions.c.id, sessions.c.revoked_at)
_NOT_BEFORE = _ended_since(accounts.c.id, accounts.c.not_before)

_SESSIONS = (
    sa.select(
        sessions.c.id,
        sessions.c.user_agent,
        sessions.c.ip,
        sessions.c.authenticated_at.label("created_at"),
        sessions.c.last_used_at.label("last_seen_at"),
    )
    .where(
        sessions.c.account_id == sa.bindparam("account_id", type_=_ID),
        sessions.c.revoked_at.is_(None),
        sessions.c.expires_at > sa.bindparam("now", type_=_MOMENT),
        sessions.c.last_used_at >= sa.bindparam("used_since", type_=_MOMENT),
    )
    .order_by(sessions.c.id.desc())
    .limit(_AT_MOST)
)

_LAST_LOGIN = (
    sa.select(sessions.c.authenticated_at)
    .where(sessions.c.account_id == accounts.c.id)
    .order_by(sessions.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_ANY_QUERY, _PART = _given("part")
_ANY_ROLE, _ROLE = _given("role")
_ACCOUNTS = (
    sa.select(
        accounts.c.id,
        sa.type_coerce(accounts.c.email, sa.Text).label("email"),
        accounts.c.name,
        accounts.c.email_verified,
        accounts.c.status,
        accounts.c.roles,
        accounts.c.disabled_reason,
        accounts.c.created_at,
        _LAST_LOGIN.label("last_login_at"),
    )
    .where(
        _ANY_QUERY | accounts.c.name.ilike(_PART) | accounts.c.email_key.like(sa.bindparam("start", type_=sa.Text)),
        _equal(accounts.c.status, "status"),
        _ANY_ROLE | (sa.any_(accounts.c.roles) == _ROLE),
        _older(accounts.c.id),
    )
    .order_by(accounts.c.id.desc())
    .limit(_AT_MOST)
)

# Whose key the personal data is encrypted with (`infrastructure.audit`).
_SUBJECT = sa.func.coalesce(audit_events.c.actor_id, audit_events.c.account_id)
_AUDIT_EVENTS = (
    sa.select(*audit_events.columns, subject_keys.c.sealed_key)
    .outerjoin_from(audit_events, subject_keys, subject_keys.c.subject_id == _SUBJECT)
    .where(
        _equal(audit_events.c.account_id, "account_id"),
        _equal(audit_events.c.actor_id, "actor_id"),
        _equal(audit_events.c.kind, "kind"),
        _older(audit_events.c.id),
    )
    .order_by(audit_events.c.id.desc())
    .limit(_AT_MOST)
)


class SqlReads:
    """:param keys: decrypts personal data in the audit trail"""

    def __init__(self, sessions: Sessions, keys: SubjectKeys) -> None:
        self._sessions = sessions
        self._keys = keys

    def revocations(self, since: datetime, after: UUID | None, at_most: int) -> list[tuple[UUID, datetime]]:
        return self._pairs(_REVOCATIONS, since, after, at_most)

    def not_before(self, since: datetime, after: UUID | None, at_most: int) -> list[tuple[UUID, datetime]]:
        return self._pairs(_NOT_BEFORE, since, after, at_most)

    def _pairs(
        self, statement: sa.Select[Any], since: datetime, after: UUID | None, at_most: int
    ) -> list[tuple[UUID, datetime]]:
        rows = self._sessions.all(statement, since=since, after=after, at_most=at_most)
        return [(row["id"], row["moment"]) for row in rows]

    def sessions(self, account_id: UUID, now: datetime, idle: timedelta, at_most: int) -> list[dict[str, Any]]:
        rows = self._sessions.all(_SESSIONS, account_id=account_id, now=now, used_since=now - idle, at_most=at_most)
        return [{**row, "device": device_of(row["user_agent"])} for row in rows]

    def accounts(
        self, *, query: str | None, status: str | None, role: str | None, before: UUID | None, at_most: int
    ) -> list[dict[str, Any]]:
        return self._sessions.all(
            _ACCOUNTS,
            part=None if query is None else f"%{_literally(query)}%",
            start=None if query is None else f"{_literally(key_of(query))}%",
            status=status,
            role=role,
            before=before,
            at_most=at_most,
        )

    def audit_events(
        self,
        *,
        account_id: UUID | None,
        actor_id: UUID | None,
        kind: str | None,
        before: UUID | None,
        at_most: int,
    ) -> list[dict[str, Any]]:
        rows = self._sessions.all(
            _AUDIT_EVENTS, account_id=account_id, actor_id=actor_id, kind=kind, before=before, at_most=at_most
        )
        for row in rows:
            row["personal"] = self._keys.decrypt(row.pop("sealed_key"), row["id"], row["personal"])
            row["device"] = device_of(row["personal"].get("user_agent"))
        return rows


def _literally(text: str) -> str:
    """Return a pattern for LIKE that stands for nothing but `text`."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
