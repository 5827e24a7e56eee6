"""Events and snapshots of what is revoked, and a process that learns of them."""

from __future__ import annotations

from typing import Any

from gateway.revocations import Revocations, Snapshot
from lib.ids import new_id, rfc3339, utc_now
from lib.tokens import InvalidToken

KEEP = 960.0
USER_ID, SESSION_ID = "0198a3f2-6c1e-7d4a-9b57-2f4c8e6a1d03", "0198a3f2-7000-7d4a-9b57-2f4c8e6a1d03"
OTHER_USER, OTHER_SESSION = "0198a3f2-6c1e-7d4a-9b57-2f4c8e6a1d04", "0198a3f2-7000-7d4a-9b57-2f4c8e6a1d04"


class Source:
    """Gives out pages; each may be an exception, or a function to call first."""

    def __init__(self, *pages: Any) -> None:
        self.pages = list(pages) or [page()]
        self.asked: list[str | None] = []

    def __call__(self, cursor: str | None) -> Snapshot:
        self.asked.append(cursor)
        found = self.pages[0 if cursor is None else int(cursor)]
        if callable(found):
            found = found()
        if isinstance(found, Exception):
            raise found
        return found


def page(sessions: tuple[str, ...] = (), next: str | None = None) -> dict[str, Any]:
    return {"sessions": dict.fromkeys(sessions, 1_800_000_000_000), "accounts": {}, "next_cursor": next}


def event(type_: str = "session.revoked", occurred_at: str | None = None, **data: Any) -> dict[str, Any]:
    return {
        "id": str(new_id()),
        "type": type_,
        "schema_version": 1,
        "occurred_at": occurred_at or rfc3339(utc_now()),
        "subject": "s",
        "sequence": 1,
        "correlation_id": "c",
        "data": data,
    }


def refused(revocations: Revocations, subject: str = USER_ID, session: str = SESSION_ID) -> bool:
    try:
        revocations.check(subject, session)
    except InvalidToken as refusal:
        return refusal.details == {"reason": "revoked"}
    return False


GOOD = event(session_id=SESSION_ID, user_id=USER_ID, reason="x")
