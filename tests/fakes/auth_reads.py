"""auth_svc's lists, and what watches over its tables, in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from auth_svc.application.ports import Verdict
from auth_svc.infrastructure.user_agents import device_of
from tests.fakes.auth_store import FakeStore


@dataclass
class FakeReads:
    store: FakeStore

    def revocations(self, since: datetime, after: UUID | None, at_most: int) -> list[tuple[UUID, datetime]]:
        return _since(((each.id, each.revoked_at) for each in self.store.sessions.values()), since, after, at_most)

    def not_before(self, since: datetime, after: UUID | None, at_most: int) -> list[tuple[UUID, datetime]]:
        return _since(((each.id, each.not_before) for each in self.store.accounts.values()), since, after, at_most)

    def sessions(self, account_id: UUID, now: datetime, idle: timedelta, at_most: int) -> list[dict[str, Any]]:
        live = [
            each for each in self.store.sessions.values() if each.account_id == account_id and each.is_live(now, idle)
        ]
        rows = [
            {
                "id": each.id,
                "device": device_of(each.user_agent),
                "user_agent": each.user_agent,
                "ip": each.ip,
                "created_at": each.authenticated_at,
                "last_seen_at": each.last_used_at,
            }
            for each in live
        ]
        return _newest(rows, None, at_most)

    def accounts(
        self, *, query: str | None, status: str | None, role: str | None, before: UUID | None, at_most: int
    ) -> list[dict[str, Any]]:
        rows = [
            {
                "id": each.id,
                "email": each.email.typed,
                "name": each.name,
                "email_verified": each.email_verified,
                "status": each.status,
                "roles": each.roles,
                "disabled_reason": each.disabled_reason,
                "created_at": each.created_at,
                "last_login_at": self._last_login(each.id),
            }
            for each in self.store.accounts.values()
            if (query is None or query.lower() in each.name.lower() or each.email.key.startswith(query.lower()))
            and status in (None, each.status)
            and (role is None or role in each.roles)
        ]
        return _newest(rows, before, at_most)

    def audit_events(
        self,
        *,
        account_id: UUID | None,
        actor_id: UUID | None,
        kind: str | None,
        before: UUID | None,
        at_most: int,
    ) -> list[dict[str, Any]]:
        rows = [
            row
            for row in map(self._entry, self.store.audit)
            if account_id in (None, row["account_id"])
            and actor_id in (None, row["actor_id"])
            and kind in (None, row["kind"])
        ]
        return _newest(rows, before, at_most)

    def _last_login(self, account_id: UUID) -> datetime | None:
        sessions = [each for each in self.store.sessions.values() if each.account_id == account_id]
        return max(sessions, key=lambda session: session.id).authenticated_at if sessions else None

    def _entry(self, entry: Any) -> dict[str, Any]:
        origin, actor = entry.origin, entry.origin.actor_id or entry.actor_id
        where = {"ip": origin.ip, "user_agent": origin.user_agent}
        personal = {**{name: value for name, value in where.items() if value}, **entry.personal}
        subject = actor or entry.account_id
        if subject is None or subject in self.store.forgotten:
            personal = {}
        return {
            "id": entry.id,
            "occurred_at": entry.occurred_at,
            "kind": entry.kind,
            "outcome": entry.outcome,
            "actor_kind": "account" if actor else origin.actor_kind,
            "actor_id": actor,
            "account_id": entry.account_id,
            "session_id": entry.session_id or origin.session_id,
            "request_id": origin.request_id,
            "details": entry.details,
            "personal": personal,
            "device": device_of(personal.get("user_agent")),
        }


def _since(
    rows: Iterable[tuple[UUID, datetime | None]], since: datetime, after: UUID | None, at_most: int
) -> list[tuple[UUID, datetime]]:
    found = sorted((id, moment) for id, moment in rows if moment is not None and moment >= since)
    return [each for each in found if after is None or each[0] > after][:at_most]


def _newest(rows: list[dict[str, Any]], before: UUID | None, at_most: int) -> list[dict[str, Any]]:
    wanted = [row for row in rows if before is None or row["id"] < before]
    return sorted(wanted, key=lambda row: row["id"], reverse=True)[:at_most]


@dataclass
class FakeAuditLog:
    """:param verdict: what looking through the audit trail will show"""

    announced: list[str | None] = field(default_factory=list)
    expected: list[str | None] = field(default_factory=list)
    verdict: Verdict = field(default_factory=lambda: Verdict(head=None, broken=None))
    resealed: int = 0

    def announce(self, head: str | None) -> None:
        self.announced.append(head)

    def verify(self, expected: str | None) -> Verdict:
        self.expected.append(expected)
        return self.verdict

    def reseal_keys(self) -> int:
        return self.resealed


@dataclass
class FakeOldRows:
    """:param rows: by kind: when each was over"""

    rows: dict[str, list[datetime]] = field(default_factory=dict)
    batches: list[tuple[str, int]] = field(default_factory=list)

    def delete(self, kind: str, before: datetime, at_most: int) -> int:
        rows = sorted(self.rows.get(kind, []))
        old = [each for each in rows if each < before][:at_most]
        self.rows[kind] = rows[len(old) :]
        self.batches.append((kind, len(old)))
        return len(old)
