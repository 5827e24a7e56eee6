"""Messages of providers in memory; passes the contract tests of the ones on PostgreSQL
(tests/integration/payments/test_payments_notices_sql.py)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from lib.aggregate import DomainEvent
from lib.ids import lowest_id_at
from payments_svc.domain.notice import NoticeStatus, ParkedFor, StoredNotice
from payments_svc.domain.payment import Payment
from payments_svc.domain.refund import Refund, RefundStatus


class State(Protocol):
    notices: dict[UUID, StoredNotice]
    payments: dict[UUID, Payment]
    refunds: dict[UUID, Refund]


class FakeNotices:
    def __init__(self, state: State) -> None:
        self._state = state
        self._changed: list[StoredNotice] = []

    def add(self, notice: StoredNotice) -> bool:
        known = ((each.provider, each.event_id) for each in self._state.notices.values())
        if (notice.provider, notice.event_id) in known:
            return False
        self._state.notices[notice.id] = replace(notice)
        self._changed.append(notice)
        return True

    def get(self, notice_id: UUID) -> StoredNotice | None:
        found = self._state.notices.get(notice_id)
        return None if found is None else replace(found)

    def save(self, notice: StoredNotice) -> None:
        self._state.notices[notice.id] = replace(notice)
        self._changed.append(notice)

    def find(
        self, *, status: NoticeStatus | None = None, type: str | None = None, limit: int, before: UUID | None = None
    ) -> list[dict[str, Any]]:
        found = [
            each
            for each in sorted(self._state.notices.values(), key=lambda each: each.id, reverse=True)
            if status in (None, each.status) and type in (None, each.type) and (before is None or each.id < before)
        ]
        return [
            {
                each.name: getattr(notice, each.name)
                for each in fields(notice)
                if each.name not in ("payload", "sequence")
            }
            for notice in found[:limit]
        ]

    def forget(self, before: datetime, *, parked_for: ParkedFor | None = None, at_most: int) -> int:
        def is_meant(notice: StoredNotice) -> bool:
            if parked_for is not None:
                return (notice.status, notice.error) == (NoticeStatus.PARKED, parked_for)
            is_done = notice.status in (NoticeStatus.PROCESSED, NoticeStatus.DISMISSED)
            return is_done and notice.processed_at is not None and notice.processed_at < before

        old = sorted(
            each.id for each in self._state.notices.values() if each.id < lowest_id_at(before) and is_meant(each)
        )
        for id in old[:at_most]:
            del self._state.notices[id]
        return len(old[:at_most])

    def payment_of(self, provider: str, attempt_id: UUID | None, payment_id: UUID | None) -> UUID | None:
        payments = [each for each in self._state.payments.values() if each.provider == provider]
        by_attempt = [each.id for each in payments if attempt_id is not None and each.attempt_id == attempt_id]
        return next(iter([*by_attempt, *(each.id for each in payments if each.id == payment_id)]), None)

    def refund_of(self, provider: str, attempt_id: UUID | None) -> UUID | None:
        found = [
            ((each.status is not RefundStatus.CANCELED, each.id), each.id)
            for each in self._state.refunds.values()
            if (self._state.payments[each.payment_id].provider, each.attempt_id) == (provider, attempt_id)
        ]
        return max(found)[1] if found else None

    def pull_events(self) -> Iterable[tuple[int, DomainEvent]]:
        """Return the events of what was added and saved, on commit."""
        return [event for each in self._changed for event in each.pull_events()]
