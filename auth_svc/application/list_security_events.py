"""Somebody reads what happened to the own account, failed sign-ins included."""

from __future__ import annotations

from uuid import UUID

from auth_svc.application.pages import Page, Row, page
from auth_svc.application.parse_id import parse_id
from auth_svc.application.ports import Ports
from auth_svc.domain.account import AccountNotFound


def list_security_events(ports: Ports, *, user_id: str, limit: int = 20, cursor: str | None = None) -> Page:
    """Return the account's entries in the audit trail, newest first."""
    account_id = parse_id(user_id, AccountNotFound())

    def entries(at_most: int, before: UUID | None) -> list[Row]:
        rows = ports.reads.audit_events(account_id=account_id, actor_id=None, kind=None, before=before, at_most=at_most)
        return [_for_owner(row, account_id) for row in rows]

    return page(entries, of=f"security:{account_id}", limit=limit, cursor=cursor)


def _for_owner(row: Row, account_id: UUID) -> Row:
    """Leave out where administrators sit, and why they did something: that is written for administrators."""
    if row["actor_id"] in (None, account_id):
        where = {name: row["personal"][name] for name in ("ip", "user_agent") if name in row["personal"]}
        return {**row, "personal": where}
    return {**row, "personal": {}, "device": None, "session_id": None}
