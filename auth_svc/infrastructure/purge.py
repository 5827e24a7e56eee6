"""Deleting what nobody needs any more, in batches that hold no locks for long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from auth_svc.application.ports import OldRow
from auth_svc.infrastructure.tables import (
    email_changes,
    login_attempts,
    mail_counts,
    one_time_tokens,
    sessions,
    unknown_logins,
)
from lib.database import Sessions

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _deletion(over: sa.Column[Any]) -> sa.Delete:
    """:param over: the column that tells when a row was over; indexed"""
    table: Any = over.table
    # Chosen first and once: PostgreSQL may run a subquery with a limit again and again.
    old = (
        sa.select(*table.primary_key.columns)
        .where(over < sa.bindparam("before", type_=over.type))
        .order_by(over)
        .limit(sa.bindparam("at_most", type_=sa.Integer))
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    return sa.delete(table).where(*(column == old.c[column.name] for column in table.primary_key.columns))


_STATEMENTS: dict[OldRow, sa.Delete] = {
    "expired_sessions": _deletion(sessions.c.expires_at),
    "ended_sessions": _deletion(sessions.c.revoked_at),
    "one_time_tokens": _deletion(one_time_tokens.c.expires_at),
    "email_changes": _deletion(email_changes.c.id),
    "login_attempts": _deletion(login_attempts.c.window_started_at),
    "unknown_logins": _deletion(unknown_logins.c.id),
    "mail_counts": _deletion(mail_counts.c.window_started_at),
}
#: no column of these has an index that tells the time, but their ids do
_BY_ID: frozenset[OldRow] = frozenset({"email_changes", "unknown_logins"})


class SqlOldRows:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def delete(self, kind: OldRow, before: datetime, at_most: int) -> int:
        bound = _first_id(before) if kind in _BY_ID else before
        with self._sessions() as session:
            deleted = session.execute(_STATEMENTS[kind], {"before": bound, "at_most": at_most})
            session.commit()
        return int(deleted.rowcount)  # type: ignore[attr-defined]  # a CursorResult, as of every DELETE


def _first_id(moment: datetime) -> UUID:
    """Return what is smaller than every UUIDv7 that was made later than that."""
    return UUID(int=((moment - _EPOCH) // timedelta(milliseconds=1)) << 80)
