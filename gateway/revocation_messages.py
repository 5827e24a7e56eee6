"""What is told about revoked sessions, read with care: what is not as agreed raises, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

SESSION_REVOKED, USER_DISABLED = "session.revoked", "user.disabled"
#: bytes
LONGEST_EVENT = 64 * 1024

#: sessions that are over, and for accounts the last moment (ms since 1970) whose sessions are
Told = tuple[list[str], dict[str, int]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def read_event(body: str | bytes) -> Told:
    """Return what an event tells."""
    if len(body) > LONGEST_EVENT:
        raise ValueError("too long")
    envelope = json.loads(body)
    data = envelope["data"]
    if envelope["type"] == USER_DISABLED:
        return [], {_id(data["id"]): _milliseconds(envelope["occurred_at"])}
    if envelope["type"] != SESSION_REVOKED:
        raise ValueError("another type")
    if data.get("session_id") is not None:
        return [_id(data["session_id"])], {}
    return [], {_id(data["user_id"]): _milliseconds(data["not_before"])}


def read_page(page: Mapping[str, Any]) -> Told:
    """Return what a page of the snapshot tells."""
    accounts = {}
    for account, not_before in page["accounts"].items():
        if isinstance(not_before, bool) or not isinstance(not_before, int):
            raise TypeError("no moment")
        accounts[_id(account)] = not_before
    return [_id(each) for each in page["sessions"]], accounts


def _id(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no id")
    return str(UUID(value))


def _milliseconds(text: Any) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment without its zone")
    return (moment - _EPOCH) // _MILLISECOND
