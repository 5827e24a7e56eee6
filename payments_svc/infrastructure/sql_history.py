"""The audit trail of payments on PostgreSQL, and the staff's questions."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from lib import context
from lib.database import Sessions
from lib.ids import new_id
from lib.uow import SqlUnitOfWork
from lib.writes import inserting
from payments_svc.application.history_ports import By, PaymentFilter, Period, Place, Row
from payments_svc.domain.movements import Change
from payments_svc.domain.payment_status import PaymentStatus
from payments_svc.infrastructure.history_tables import audit_entries
from payments_svc.infrastructure.ledger_tables import ledger_entries
from payments_svc.infrastructure.tables import payments, refunds

_ADD = inserting(audit_entries)


class SqlAuditTrail:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def add(self, payment_id: UUID, customer_id: UUID, change: Change, by: By, now: datetime) -> None:
        self._uow.later(
            _ADD,
            id=new_id(),
            payment_id=payment_id,
            refund_id=change.refund_id,
            customer_id=customer_id,
            actor_kind=by.kind,
            actor_id=by.id,
            action=change.action,
            before=change.before,
            after=change.after,
            amount=change.amount,
            code=change.code,
            reason=by.reason,
            correlation_id=context.current().correlation_id,
            occurred_at=now,
        )


_NEWEST = UUID(int=2**128 - 1)
_EVER, _FOR_EVER = (each.replace(tzinfo=UTC) for each in (datetime.min, datetime.max))
_MOST = sa.bindparam("most", type_=sa.Integer)


def _within(moment: sa.ColumnElement[datetime], id: sa.ColumnElement[UUID]) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions that `bounds` has the values for: one range of an index that ends in these columns."""
    before = sa.tuple_(sa.bindparam("before_moment", type_=moment.type), sa.bindparam("before_id", type_=id.type))
    return sa.tuple_(moment, id) < before, moment >= sa.bindparam("since", type_=moment.type)


_moves = (
    sa.select(
        ledger_entries.c.id,
        ledger_entries.c.kind,
        (-ledger_entries.c.amount).label("amount"),
        ledger_entries.c.currency,
        ledger_entries.c.payment_id,
        ledger_entries.c.refund_id,
        ledger_entries.c.posted_at,
    )
    .where(
        # As it stands in the index.
        sa.text("account = 'sales'"),
        ledger_entries.c.customer_id == sa.bindparam("customer_id"),
        *_within(ledger_entries.c.posted_at, ledger_entries.c.id),
    )
    .order_by(ledger_entries.c.posted_at.desc(), ledger_entries.c.id.desc())
    .limit(_MOST)
    .subquery("moves")
)
TRANSACTIONS = (
    sa.select(*_moves.c, payments.c.description, payments.c.reference)
    .outerjoin_from(_moves, payments, payments.c.id == _moves.c.payment_id)
    .order_by(_moves.c.posted_at.desc(), _moves.c.id.desc())
)
TRAIL = (
    sa.select(audit_entries)
    .where(audit_entries.c.payment_id == sa.bindparam("payment_id"), audit_entries.c.id < sa.bindparam("before"))
    .order_by(audit_entries.c.id.desc())
    .limit(_MOST)
)
_REFUNDS = (
    sa.select(refunds)
    .where(refunds.c.payment_id == sa.bindparam("payment_id"), refunds.c.id < sa.bindparam("before"))
    .order_by(refunds.c.id.desc())
    .limit(_MOST)
)
_PAYMENT = sa.select(payments).where(payments.c.id == sa.bindparam("payment_id"))


def bounds(period: Period, before: Place | None) -> dict[str, Any]:
    """Return the period, and where in it the last page has ended, as parameters."""
    # Nothing has a smaller id, so this is before everything of that moment.
    end = Place(period.until or _FOR_EVER, UUID(int=0))
    last = min(before or end, end)
    return {"since": period.since or _EVER, "before_moment": last.moment, "before_id": last.id}


class SqlHistory:
    """Each question is one statement, which reads no more than the page: each has an index that is sorted like it."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def transactions(self, customer_id: UUID, period: Period, *, limit: int, before: Place | None) -> list[Row]:
        return self._sessions.all(TRANSACTIONS, customer_id=customer_id, most=limit, **bounds(period, before))

    def find_payments(self, wanted: PaymentFilter, *, limit: int, before: Place | None) -> list[Row]:
        return self._sessions.all(found_by(wanted), **values_of(wanted), most=limit, **bounds(wanted.period, before))

    def payment(self, payment_id: UUID) -> Row | None:
        return self._sessions.first(_PAYMENT, payment_id=payment_id)

    def refunds(self, payment_id: UUID, *, limit: int, before: UUID | None) -> list[Row]:
        return self._sessions.all(_REFUNDS, payment_id=payment_id, most=limit, before=before or _NEWEST)

    def trail(self, payment_id: UUID, *, limit: int, before: UUID | None) -> list[Row]:
        return self._sessions.all(TRAIL, payment_id=payment_id, most=limit, before=before or _NEWEST)


def values_of(wanted: PaymentFilter) -> dict[str, Any]:
    """Return the members of the filter that are given, as parameters."""
    named = {"customer_id": wanted.customer_id, "reference": wanted.reference}
    statuses = list(PaymentStatus) if wanted.status is None else [wanted.status]
    return {"statuses": statuses, **{name: value for name, value in named.items() if value is not None}}


def found_by(wanted: PaymentFilter) -> sa.Select[Any]:
    """Return the statement for the members of the filter that are given.

    The status stands before the time in the indexes, so that a rare one is found among very many payments. Without one,
    the newest of each status are merged.
    """
    return _found_by(*(name for name in values_of(wanted) if name != "statuses"))


@cache
def _found_by(*names: str) -> sa.Select[Any]:
    statuses = sa.func.unnest(sa.bindparam("statuses", type_=pg.ARRAY(sa.Text)))
    each = statuses.table_valued("status").render_derived("each")
    named = [payments.c[name] == sa.bindparam(name) for name in names]
    newest = (
        sa.select(payments)
        .where(payments.c.status == each.c.status, *named, *_within(payments.c.created_at, payments.c.id))
        .order_by(payments.c.created_at.desc(), payments.c.id.desc())
        .limit(_MOST)
        .lateral("newest")
    )
    statement = sa.select(newest).join_from(each, newest, sa.true())
    return statement.order_by(newest.c.created_at.desc(), newest.c.id.desc()).limit(_MOST)
