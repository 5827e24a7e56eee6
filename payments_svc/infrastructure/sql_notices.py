"""Messages from providers on PostgreSQL."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from lib.ids import lowest_id_at
from lib.statements import insert_unless_there
from lib.uow import SqlUnitOfWork
from lib.writes import updating
from payments_svc.domain.notice import NoticeStatus, ParkedFor, StoredNotice
from payments_svc.domain.refund import RefundStatus
from payments_svc.infrastructure.webhook_tables import webhook_notices

_NAMES = tuple(each.name for each in fields(StoredNotice))
_ADD = insert_unless_there(webhook_notices, "ON CONSTRAINT webhook_notices_event_key")
_CHANGING = ("status", "attempts", "error", "payment_id", "processed_at", "sequence", "dismissed_for")
_SAVE = updating(webhook_notices, _CHANGING, found_by=("id",))
_TOLD = [each for each in webhook_notices.columns if each.name not in ("payload", "sequence")]

# Named here, as the mapped tables import this module's neighbours.
_payments = sa.table("payments", sa.column("id", sa.Uuid), sa.column("provider"), sa.column("attempt_id", sa.Uuid))
_refunds = sa.table(
    "refunds",
    sa.column("id", sa.Uuid),
    sa.column("payment_id", sa.Uuid),
    sa.column("attempt_id", sa.Uuid),
    sa.column("status"),
)
_CANCELED: sa.ColumnElement[str] = sa.literal_column(f"'{RefundStatus.CANCELED}'")


class SqlNotices:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def add(self, notice: StoredNotice) -> bool:
        inserted = self._uow.session.execute(_ADD, {name: getattr(notice, name) for name in _NAMES})
        if not inserted.rowcount:  # type: ignore[attr-defined]  # a CursorResult, as of every INSERT
            return False
        self._uow.announce(notice)
        return True

    def get(self, notice_id: UUID) -> StoredNotice | None:
        query = sa.select(webhook_notices).where(webhook_notices.c.id == notice_id).with_for_update()
        row = self._uow.session.execute(query).mappings().one_or_none()
        return None if row is None else StoredNotice(**row)

    def save(self, notice: StoredNotice) -> None:
        self._uow.later(_SAVE, old_id=notice.id, **{name: getattr(notice, name) for name in _CHANGING})
        self._uow.announce(notice)

    def find(
        self, *, status: NoticeStatus | None = None, type: str | None = None, limit: int, before: UUID | None = None
    ) -> list[dict[str, Any]]:
        columns = webhook_notices.c
        query = sa.select(*_TOLD).order_by(columns.id.desc()).limit(limit)
        if status is not None:
            query = query.where(columns.status == status)
        if type is not None:
            query = query.where(columns.type == type)
        if before is not None:
            query = query.where(columns.id < before)
        return [dict(row) for row in self._uow.session.execute(query).mappings()]

    def forget(self, before: datetime, *, parked_for: ParkedFor | None = None, at_most: int) -> int:
        columns = webhook_notices.c
        which = [columns.status == NoticeStatus.PARKED, columns.error == parked_for]
        if parked_for is None:
            which = [
                columns.status.in_((NoticeStatus.PROCESSED, NoticeStatus.DISMISSED)),
                columns.processed_at < before,
            ]
        # An id is of the time when the message came, so the old ones are found by the primary key.
        old = (
            sa.select(columns.id)
            .where(columns.id < lowest_id_at(before), *which)
            .order_by(columns.id)
            .limit(at_most)
            .with_for_update(skip_locked=True)
        )
        gone = self._uow.session.execute(sa.delete(webhook_notices).where(columns.id.in_(old)))
        return int(gone.rowcount)  # type: ignore[attr-defined]  # a CursorResult, as of every DELETE

    def payment_of(self, provider: str, attempt_id: UUID | None, payment_id: UUID | None) -> UUID | None:
        columns = _payments.c
        for column, value in ((columns.attempt_id, attempt_id), (columns.id, payment_id)):
            if value is not None:
                found = self._first(sa.select(columns.id).where(column == value, columns.provider == provider))
                if found is not None:
                    return found
        return None

    def refund_of(self, provider: str, attempt_id: UUID | None) -> UUID | None:
        if attempt_id is None:
            return None
        # One that was called off may share its attempt with the one that was made instead. Each has its own index.
        for condition in (_refunds.c.status != _CANCELED, _refunds.c.status == _CANCELED):
            found = self._first(
                sa.select(_refunds.c.id)
                .join(_payments, _payments.c.id == _refunds.c.payment_id)
                .where(_refunds.c.attempt_id == attempt_id, condition, _payments.c.provider == provider)
                .order_by(_refunds.c.id.desc())
            )
            if found is not None:
                return found
        return None

    def _first(self, query: sa.Select[Any]) -> UUID | None:
        found: UUID | None = self._uow.session.execute(query.limit(1)).scalar_one_or_none()
        return found
