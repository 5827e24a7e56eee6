"""The audit trail of payments on PostgreSQL, and the staff's questions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from lib import context
from lib.database import Sessions
from lib.ids import lowest_id_at, new_id
from lib.uow import SqlUnitOfWork
from lib.writes import inserting
from payments_svc.application.history_ports import By, PaymentFilter, Period, Row
from payments_svc.domain.movements import Change
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
#: as far as ids and times of this system go
_EVER, _FOR_EVER = datetime(1971, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
#: an id is made shortly after the moment that stands beside it, by the clock of another call
_SPARE = timedelta(seconds=10)

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
        ledger_entries.c.id < sa.bindparam("before"),
        ledger_entries.c.id >= sa.bindparam("lowest"),
        ledger_entries.c.posted_at >= sa.bindparam("since"),
        ledger_entries.c.posted_at < sa.bindparam("until"),
    )
    .order_by(ledger_entries.c.id.desc())
    .limit(sa.bindparam("most", type_=sa.Integer))
    .subquery("moves")
)
TRANSACTIONS = (
    sa.select(*_moves.c, payments.c.description, payments.c.reference)
    .outerjoin_from(_moves, payments, payments.c.id == _moves.c.payment_id)
    .order_by(_moves.c.id.desc())
)
_TRAIL = (
    sa.select(audit_entries)
    .where(audit_entries.c.payment_id == sa.bindparam("payment_id"), audit_entries.c.id < sa.bindparam("before"))
    .order_by(audit_entries.c.id.desc())
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_REFUNDS = (
    sa.select(refunds)
    .where(refunds.c.payment_id == sa.bindparam("payment_id"), refunds.c.id < sa.bindparam("before"))
    .order_by(refunds.c.id.desc())
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_PAYMENT = sa.select(payments).where(payments.c.id == sa.bindparam("payment_id"))


def bounds(period: Period, before: UUID | None) -> dict[str, Any]:
    """Return the period as parameters: ids, which the indexes are sorted by, and exact moments."""
    since, until = (min(max(each, _EVER), _FOR_EVER) for each in (period.since or _EVER, period.until or _FOR_EVER))
    return {
        "before": min(before or _NEWEST, lowest_id_at(until + _SPARE)),
        "lowest": lowest_id_at(since - _SPARE),
        "since": since,
        "until": until,
    }


class SqlHistory:
    """Each question is one statement, bound to one index whatever the filters are."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def transactions(self, customer_id: UUID, period: Period, *, limit: int, before: UUID | None) -> list[Row]:
        return self._sessions.all(TRANSACTIONS, customer_id=customer_id, most=limit, **bounds(period, before))

    def find_payments(self, wanted: PaymentFilter, *, limit: int, before: UUID | None) -> list[Row]:
        return self._sessions.all(found_by(wanted), **_named(wanted), most=limit, **bounds(wanted.period, before))

    def payment(self, payment_id: UUID) -> Row | None:
        return self._sessions.first(_PAYMENT, payment_id=payment_id)

    def refunds(self, payment_id: UUID, *, limit: int, before: UUID | None) -> list[Row]:
        return self._sessions.all(_REFUNDS, payment_id=payment_id, most=limit, before=before or _NEWEST)

    def trail(self, payment_id: UUID, *, limit: int, before: UUID | None) -> list[Row]:
        return self._sessions.all(_TRAIL, payment_id=payment_id, most=limit, before=before or _NEWEST)


def _named(wanted: PaymentFilter) -> dict[str, Any]:
    named = {"customer_id": wanted.customer_id, "status": wanted.status, "reference": wanted.reference}
    return {name: value for name, value in named.items() if value is not None}


def found_by(wanted: PaymentFilter) -> sa.Select[Any]:
    """Return the statement for the members of the filter that are given; there are few combinations, all cached."""
    statement = sa.select(payments).where(
        payments.c.id < sa.bindparam("before"),
        payments.c.id >= sa.bindparam("lowest"),
        payments.c.created_at >= sa.bindparam("since"),
        payments.c.created_at < sa.bindparam("until"),
        *(payments.c[name] == sa.bindparam(name) for name in _named(wanted)),
    )
    return statement.order_by(payments.c.id.desc()).limit(sa.bindparam("most", type_=sa.Integer))
