"""A gateway learns which access tokens are to be refused although they are signed and not too old."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from auth_svc.application.pages import InvalidCursor, cursor_at, place_of
from auth_svc.application.ports import Ports

AT_MOST = 5_000
#: clocks differ, and whoever checks a token allows for that
#: also for a moment that was written down while the clock was some minutes behind
MARGIN = timedelta(minutes=10)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_START = UUID(int=0)
_SESSIONS, _ACCOUNTS = "s", "a"


@dataclass(frozen=True)
class Revocations:
    """One page of them; times in milliseconds since 1970.

    :param sessions: when each ended
    :param accounts: up to when all sessions of each have ended, by the time in their ids
    """

    sessions: dict[str, int]
    accounts: dict[str, int]
    next_cursor: str | None


def list_revocations(ports: Ports, *, cursor: str | None = None) -> Revocations:
    """Return what was revoked while access tokens of then may still be good: first sessions, then accounts."""
    part, after = (_SESSIONS, None) if cursor is None else _place(cursor)
    since = ports.now() - ports.rules.access_token_lifetime - MARGIN
    sessions: list[tuple[UUID, datetime]] = []
    if part == _SESSIONS:
        sessions, more = _cut(ports.reads.revocations(since, after, AT_MOST + 1), AT_MOST)
        if more:
            return Revocations(_times(sessions), {}, _cursor(_SESSIONS, sessions[-1][0]))
        after = None
    room = AT_MOST - len(sessions)
    accounts, more = _cut(ports.reads.not_before(since, after, room + 1), room)
    last = accounts[-1][0] if accounts else _START
    return Revocations(_times(sessions), _times(accounts), _cursor(_ACCOUNTS, last) if more else None)


def _cut(rows: list[tuple[UUID, datetime]], at_most: int) -> tuple[list[tuple[UUID, datetime]], bool]:
    return rows[:at_most], len(rows) > at_most


def _times(rows: list[tuple[UUID, datetime]]) -> dict[str, int]:
    return {str(id): (moment - _EPOCH) // timedelta(milliseconds=1) for id, moment in rows}


def _cursor(part: str, last: UUID) -> str:
    return part + cursor_at(last, f"revocations:{part}")


def _place(cursor: object) -> tuple[str, UUID]:
    if not isinstance(cursor, str) or cursor[:1] not in (_SESSIONS, _ACCOUNTS):
        raise InvalidCursor
    part = cursor[0]
    return part, place_of(cursor[1:], f"revocations:{part}")
