"""The unit of work and the questions on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, make_transient_to_detached

from lib.database import Sessions
from lib.statements import insert_unless_there
from lib.uow import SqlUnitOfWork, constraint_of
from lib.writes import Form, inserting
from payments_svc.application.ports import Row
from payments_svc.domain.customer import Customer, CustomerStatus
from payments_svc.domain.idempotency import Claim
from payments_svc.domain.payment import Payment
from payments_svc.domain.payment_errors import PaymentNotFound, ReferenceTaken
from payments_svc.domain.payment_status import PaymentStatus
from payments_svc.domain.refund import Refund, RefundNotFound, RefundStatus
from payments_svc.infrastructure.sql_history import SqlAuditTrail
from payments_svc.infrastructure.sql_ledger import SqlLedger
from payments_svc.infrastructure.sql_methods import SqlPaymentMethods
from payments_svc.infrastructure.sql_notices import SqlNotices
from payments_svc.infrastructure.tables import customers, idempotency_claims, payments, refunds, tombstones


class SqlPayments:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def add(self, payment: Payment) -> None:
        self._uow.keep(payment)

    def get(self, payment_id: UUID) -> Payment:
        payment = self._uow.session.get(Payment, payment_id, with_for_update=True)
        if payment is None:
            raise PaymentNotFound("there is no such payment")
        return payment

    def look(self, payment_id: UUID) -> Payment:
        payment = self._uow.session.get(Payment, payment_id)
        if payment is None:
            raise PaymentNotFound("there is no such payment")
        return payment

    def take_due(self, now: datetime, *, until: datetime, at_most: int, only: UUID | None = None) -> list[UUID]:
        return _take_due(self._uow.session, payments, now, until, at_most, only)

    def find_by_reference(self, customer_id: UUID, reference: str) -> UUID | None:
        return self._uow.session.execute(
            sa.select(payments.c.id).where(
                payments.c.customer_id == customer_id,
                payments.c.reference == reference,
                payments.c.status != PaymentStatus.CANCELED,
            )
        ).scalar_one_or_none()


class SqlRefunds:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def add(self, refund: Refund) -> None:
        self._uow.keep(refund)

    def get(self, refund_id: UUID) -> Refund:
        refund = self._uow.session.get(Refund, refund_id, with_for_update=True)
        if refund is None:
            raise RefundNotFound("there is no such refund")
        return refund

    def look(self, refund_id: UUID) -> Refund:
        refund = self._uow.session.get(Refund, refund_id)
        if refund is None:
            raise RefundNotFound("there is no such refund")
        return refund

    def open_of(self, payment_id: UUID, *, at_most: int) -> list[UUID]:
        is_open = refunds.c.status.in_((RefundStatus.PENDING, RefundStatus.UNKNOWN))
        query = sa.select(refunds.c.id).where(refunds.c.payment_id == payment_id, is_open)
        return list(self._uow.session.execute(query.order_by(refunds.c.id).limit(at_most)).scalars())

    def take_due(self, now: datetime, *, until: datetime, at_most: int, only: UUID | None = None) -> list[UUID]:
        return _take_due(self._uow.session, refunds, now, until, at_most, only)


def _take_due(
    session: Session, table: sa.Table, now: datetime, until: datetime, at_most: int, only: UUID | None
) -> list[UUID]:
    due = sa.select(table.c.id).where(table.c.next_check_at <= now)
    if only is not None:
        due = due.where(table.c.id == only)
    due = due.order_by(table.c.next_check_at).limit(at_most).with_for_update(skip_locked=True)
    put_off = sa.update(table).where(table.c.id.in_(due)).values(next_check_at=until).returning(table.c.id)
    # Those who look at it later are to see what is in the database, not what a session remembers.
    return list(session.execute(put_off, execution_options={"synchronize_session": False}).scalars())


def _row(customer: Customer) -> dict[str, Any]:
    return {column.name: getattr(customer, column.name) for column in customers.columns}


_ADD_CUSTOMER = insert_unless_there(customers, "(id)")
_ADD_QUIETLY = inserting(customers, unless_there=("id",))
_REMOVE_BURIED = Form(
    # One that stays beside its payments is closed.
    "DELETE FROM customers WHERE id = :id AND status = 'active'"
    " AND EXISTS (SELECT FROM tombstones WHERE tombstones.id = :id)",
    {"id": customers.c.id.type},
)
_BURY = insert_unless_there(tombstones, "(id)")
_TOMBSTONE = sa.select(tombstones.c.id).where(tombstones.c.id == sa.bindparam("customer_id"))
_TAKE_CLAIM = insert_unless_there(idempotency_claims, "ON CONSTRAINT idempotency_claims_scope_key")


class SqlCustomers:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def add(self, customer: Customer) -> None:
        self._uow.later(_ADD_QUIETLY, **_row(customer))
        # A statement of its own, which sees the deletion that the INSERT may have waited for.
        self._uow.later(_REMOVE_BURIED, id=customer.id)

    def add_or_get(self, customer: Customer) -> Customer:
        # Nearly always it is there.
        stored = self._lock(customer.id)
        if stored is not None:
            return stored
        if self._add(customer):
            return customer
        return self._lock(customer.id) or replace(customer, status=CustomerStatus.DELETED)

    def bury(self, customer: Customer, now: datetime) -> None:
        self._uow.session.execute(_BURY, {"id": customer.id, "deleted_at": now})
        # The lock keeps new ones away: whoever opens a payment locks its customer first.
        paid = sa.select(payments.c.id).where(payments.c.customer_id == customer.id).limit(1)
        if customer in self._uow.session and self._uow.session.execute(paid).first() is None:
            self._uow.session.delete(customer)

    def _lock(self, customer_id: UUID) -> Customer | None:
        # Exclusive also for those who only look: shared locks that overlap without end would keep a writer waiting
        # for ever. FOR NO KEY UPDATE, so that a refund by the staff, which is of a payment, need not wait.
        return self._uow.session.get(Customer, customer_id, with_for_update={"key_share": True}, populate_existing=True)

    def _add(self, customer: Customer) -> bool:
        """Add the customer; False if there is one, or was one until its account was deleted.

        Only a deletion removes a customer, so one that cannot be added and is not there has a tombstone.
        """
        inserted = self._uow.session.execute(_ADD_CUSTOMER, _row(customer))
        if not inserted.rowcount:  # type: ignore[attr-defined]  # a CursorResult, as of every INSERT
            return False
        # Looked for only now: the INSERT has waited for a deletion that was under way, and no other can begin.
        if self._uow.session.execute(_TOMBSTONE, {"customer_id": customer.id}).first() is not None:
            self._uow.session.execute(sa.delete(customers).where(customers.c.id == customer.id))
            return False
        # The row is there, so the object is not to be inserted once more; its later changes are to be written.
        make_transient_to_detached(customer)
        self._uow.keep(customer)
        return True


class SqlClaims:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def take(self, claim: Claim) -> Claim:
        row = {column.key: getattr(claim, column.key) for column in idempotency_claims.columns}
        inserted = self._uow.session.execute(_TAKE_CLAIM, row)
        if inserted.rowcount:  # type: ignore[attr-defined]  # a CursorResult, as of every INSERT
            # The row is there, so the object is not to be inserted once more; its later changes are to be written.
            make_transient_to_detached(claim)
            self._uow.keep(claim)
            return claim
        return self._uow.session.execute(
            sa.select(Claim)
            .where(
                idempotency_claims.c.user_id == claim.user_id,
                idempotency_claims.c.operation == claim.operation,
                idempotency_claims.c.key == claim.key,
            )
            .with_for_update()
        ).scalar_one()

    def find(self, attempt_id: UUID) -> Claim | None:
        return self._uow.session.get(Claim, attempt_id, with_for_update=True)

    def forget_answers(self, before: datetime, *, at_most: int) -> int:
        attempt_id, finished_at = idempotency_claims.c.attempt_id, idempotency_claims.c.finished_at
        old = sa.select(attempt_id).where(finished_at <= before, idempotency_claims.c.answer.is_not(None))
        # Whoever else is at it gets others.
        old = old.order_by(finished_at).limit(at_most).with_for_update(skip_locked=True)
        forgotten = self._uow.session.execute(
            sa.update(idempotency_claims).where(attempt_id.in_(old)).values(answer=None),
            execution_options={"synchronize_session": False},
        )
        return int(forgotten.rowcount)  # type: ignore[attr-defined]  # a CursorResult, as of every UPDATE


class PaymentsUnitOfWork(SqlUnitOfWork):
    """One transaction on the payments database."""

    @cached_property
    def payments(self) -> SqlPayments:
        return SqlPayments(self)

    @cached_property
    def refunds(self) -> SqlRefunds:
        return SqlRefunds(self)

    @cached_property
    def customers(self) -> SqlCustomers:
        return SqlCustomers(self)

    @cached_property
    def claims(self) -> SqlClaims:
        return SqlClaims(self)

    @cached_property
    def ledger(self) -> SqlLedger:
        return SqlLedger(self)

    @cached_property
    def audit(self) -> SqlAuditTrail:
        return SqlAuditTrail(self)

    @cached_property
    def payment_methods(self) -> SqlPaymentMethods:
        return SqlPaymentMethods(self)

    @cached_property
    def notices(self) -> SqlNotices:
        return SqlNotices(self)

    def take_up(self, claim: Claim, payment: Payment, refund: Refund | None) -> None:
        # Each UPDATE names the version that it changes (`map_domain`). A refund changes with its payment only.
        for each in (claim, payment, refund):
            if each is not None:
                self.keep(each)

    def commit(self) -> None:
        try:
            super().commit()
        except IntegrityError as exc:
            if constraint_of(exc) == "payments_reference_key":
                raise ReferenceTaken("another payment has this reference") from exc
            raise


_NOW = sa.bindparam("now", type_=sa.DateTime(timezone=True))
_IS_DUE = sa.select(
    sa.or_(*(sa.exists().where(table.c.next_check_at <= _NOW) for table in (payments, refunds))).label("is_due")
)


class SqlReads:
    """Each question is one statement in a session of its own."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def payment(self, customer_id: UUID, payment_id: UUID) -> Row | None:
        return self._one(sa.select(payments).where(payments.c.customer_id == customer_id, payments.c.id == payment_id))

    def payments(self, customer_id: UUID, *, limit: int, before: UUID | None) -> list[Row]:
        query = sa.select(payments).where(payments.c.customer_id == customer_id)
        return self._newest(query, payments.c.id, limit, before)

    def refund(self, customer_id: UUID, refund_id: UUID) -> Row | None:
        return self._one(sa.select(refunds).where(refunds.c.customer_id == customer_id, refunds.c.id == refund_id))

    def refunds(self, customer_id: UUID, payment_id: UUID, *, limit: int, before: UUID | None) -> list[Row]:
        query = sa.select(refunds).where(refunds.c.customer_id == customer_id, refunds.c.payment_id == payment_id)
        return self._newest(query, refunds.c.id, limit, before)

    def is_anything_due(self, now: datetime) -> bool:
        found = self._sessions.first(_IS_DUE, now=now)
        return found is not None and bool(found["is_due"])

    def _newest(self, query: sa.Select[Any], id: sa.Column[Any], limit: int, before: UUID | None) -> list[Row]:
        # Ids are UUIDv7: their order is that of time.
        if before is not None:
            query = query.where(id < before)
        with self._sessions() as session:
            return [dict(row) for row in session.execute(query.order_by(id.desc()).limit(limit)).mappings()]

    def _one(self, query: sa.Select[Any]) -> Row | None:
        with self._sessions() as session:
            row = session.execute(query).mappings().one_or_none()
        return None if row is None else dict(row)
