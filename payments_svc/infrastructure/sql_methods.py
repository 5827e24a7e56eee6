"""Kept means of payment on PostgreSQL."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from lib.database import Sessions
from lib.uow import SqlUnitOfWork
from payments_svc.domain.payment_method import KeptMethods, Means, PaymentMethod
from payments_svc.infrastructure.method_tables import payment_methods

_columns = payment_methods.c
_OF_CUSTOMER = _columns.customer_id == sa.bindparam("customer_id")
_IS_KEPT = _columns.detached_at.is_(None)
_IS_IT = sa.and_(_OF_CUSTOMER, _columns.id == sa.bindparam("method_id"))

_KEPT = sa.select(payment_methods).where(_OF_CUSTOMER, _IS_KEPT).order_by(_columns.id.desc())
_WAS_KEPT = sa.select(_columns.id).where(_IS_IT)
_MEANS = sa.select(_columns.provider, _columns.token, _columns.id).where(_IS_KEPT)
_MEANS_OF = _MEANS.where(_IS_IT)
_DEFAULT_OF = _MEANS.where(_OF_CUSTOMER, _columns.is_default)

#: what may be shown
_SHOWN = sa.select(*(each for each in _columns if each is not _columns.token)).where(_IS_KEPT)
_METHOD = _SHOWN.where(_IS_IT)
_METHODS = _SHOWN.where(_OF_CUSTOMER).order_by(_columns.id.desc()).limit(sa.bindparam("limit"))
_OLDER_METHODS = _METHODS.where(_columns.id < sa.bindparam("before"))


class SqlPaymentMethods:
    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def kept_by(self, customer_id: UUID) -> KeptMethods:
        rows = self._uow.session.execute(_KEPT, {"customer_id": customer_id}).mappings()
        return KeptMethods(customer_id, [PaymentMethod(**row) for row in rows])

    def add(self, method: PaymentMethod) -> None:
        self._uow.session.execute(sa.insert(payment_methods), asdict(method))

    def save(self, kept: KeptMethods, *forgotten: PaymentMethod) -> None:
        for each in forgotten:
            self._change(each.id, is_default=False, token=None, detached_at=each.detached_at)
        # First who is it no longer: there is at most one at any time.
        for each in sorted(kept.methods, key=lambda method: method.is_default):
            self._change(each.id, _columns.is_default != each.is_default, is_default=each.is_default)

    def was_kept(self, customer_id: UUID, method_id: UUID) -> bool:
        return self._uow.first(_WAS_KEPT, customer_id=customer_id, method_id=method_id) is not None

    def means_of(self, customer_id: UUID, method_id: UUID) -> Means | None:
        return self._means(_MEANS_OF, customer_id=customer_id, method_id=method_id)

    def default_of(self, customer_id: UUID) -> Means | None:
        return self._means(_DEFAULT_OF, customer_id=customer_id)

    def erase(self, customer_id: UUID) -> None:
        self._uow.session.execute(sa.delete(payment_methods).where(_columns.customer_id == customer_id))

    def _change(self, method_id: UUID, *only: sa.ColumnElement[bool], **values: Any) -> None:
        self._uow.session.execute(sa.update(payment_methods).where(_columns.id == method_id, *only).values(**values))

    def _means(self, statement: sa.Select[Any], **parameters: Any) -> Means | None:
        row = self._uow.first(statement, **parameters)
        return None if row is None else Means(row.provider, row.token, row.id)


class SqlPaymentMethodReads:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def method(self, customer_id: UUID, method_id: UUID) -> dict[str, Any] | None:
        return self._sessions.first(_METHOD, customer_id=customer_id, method_id=method_id)

    def methods(self, customer_id: UUID, *, limit: int, before: UUID | None) -> list[dict[str, Any]]:
        # Ids are UUIDv7: their order is that of time.
        if before is None:
            return self._sessions.all(_METHODS, customer_id=customer_id, limit=limit)
        return self._sessions.all(_OLDER_METHODS, customer_id=customer_id, limit=limit, before=before)
