"""Kept means of payment without a database.

`FakeMethodUnitOfWork` and `FakePaymentMethodReads` pass the contract tests of the ones on PostgreSQL
(tests/integration/payments/test_payments_methods_sql.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, cast
from uuid import UUID

from lib.ids import new_id
from payments_svc.application.ports import Ports
from payments_svc.application.provider_ports import MethodDetails
from payments_svc.domain.customer import Customer, CustomerStatus
from payments_svc.domain.details import UnknownPaymentMethod
from payments_svc.domain.payment_method import KeptMethods, Means, PaymentMethod

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class FakePaymentMethods:
    """:param rows: by id; forgotten ones, too"""

    def __init__(self, rows: dict[UUID, PaymentMethod]) -> None:
        self._rows = rows

    def kept_by(self, customer_id: UUID) -> KeptMethods:
        return KeptMethods(customer_id, [replace(each) for each in _kept(self._rows, customer_id)])

    def add(self, method: PaymentMethod) -> None:
        self._rows[method.id] = replace(method)

    def save(self, kept: KeptMethods, *forgotten: PaymentMethod) -> None:
        for each in (*forgotten, *kept.methods):
            self._rows[each.id] = replace(each)

    def was_kept(self, customer_id: UUID, method_id: UUID) -> bool:
        return method_id in self._rows and self._rows[method_id].customer_id == customer_id

    def means_of(self, customer_id: UUID, method_id: UUID) -> Means | None:
        return self._means(each for each in _kept(self._rows, customer_id) if each.id == method_id)

    def default_of(self, customer_id: UUID) -> Means | None:
        return self._means(each for each in _kept(self._rows, customer_id) if each.is_default)

    def erase(self, customer_id: UUID) -> None:
        for each in [each for each in self._rows.values() if each.customer_id == customer_id]:
            del self._rows[each.id]

    def _means(self, found: Any) -> Means | None:
        method = next(found, None)
        return None if method is None else Means(method.provider, cast(str, method.token), method.id)


class FakePaymentMethodReads:
    def __init__(self, rows: Callable[[], dict[UUID, PaymentMethod]]) -> None:
        self._rows = rows

    def method(self, customer_id: UUID, method_id: UUID) -> dict[str, Any] | None:
        return next((each for each in self._shown(customer_id) if each["id"] == method_id), None)

    def methods(self, customer_id: UUID, *, limit: int, before: UUID | None) -> list[dict[str, Any]]:
        return [each for each in self._shown(customer_id) if before is None or each["id"] < before][:limit]

    def _shown(self, customer_id: UUID) -> list[dict[str, Any]]:
        rows = [asdict(each) for each in _kept(self._rows(), customer_id)]
        return [{name: value for name, value in row.items() if name != "token"} for row in rows]


def _kept(rows: dict[UUID, PaymentMethod], customer_id: UUID) -> list[PaymentMethod]:
    kept = [each for each in rows.values() if each.customer_id == customer_id and each.detached_at is None]
    return sorted(kept, key=lambda each: each.id, reverse=True)


class FakeCustomers:
    def __init__(self, rows: dict[UUID, Customer]) -> None:
        self._rows = rows

    def add_or_get(self, customer: Customer) -> Customer:
        return self._rows.setdefault(customer.id, customer)


class FakeVault:
    """Describes every token that begins with ``tok_``; refuses to be asked inside a transaction."""

    def __init__(self, world: FakeMethodWorld) -> None:
        self._world = world

    def describe(self, payment_method: str) -> MethodDetails:
        if self._world.lock.locked():
            raise AssertionError("the provider was called inside a transaction")
        if not payment_method.startswith("tok_"):
            raise UnknownPaymentMethod("no such token", "/payment_method")
        return MethodDetails("card", "visa", "4242", 12, 2030)


class FakeMethodUnitOfWork:
    """One transaction at a time, as the customer's lock has it."""

    def __init__(self, world: FakeMethodWorld) -> None:
        self._world = world

    def __enter__(self) -> Self:
        if not self._world.lock.acquire(timeout=10):
            raise TimeoutError("a transaction was opened inside another one")
        self._customers = {key: replace(each) for key, each in self._world.customers.items()}
        self._methods = {key: replace(each) for key, each in self._world.methods.items()}
        self.customers = FakeCustomers(self._customers)
        self.payment_methods = FakePaymentMethods(self._methods)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._world.lock.release()

    def commit(self) -> None:
        self._world.customers, self._world.methods = self._customers, self._methods


@dataclass
class FakeMethodWorld:
    """Everything behind the ports of these use cases, for a test to look at."""

    customers: dict[UUID, Customer] = field(default_factory=dict)
    methods: dict[UUID, PaymentMethod] = field(default_factory=dict)
    time: datetime = NOON
    lock: Any = field(default_factory=threading.Lock)

    def ports(self) -> Ports:
        return cast(Ports, _Ports(self))

    def close(self, customer_id: UUID, status: CustomerStatus) -> None:
        """Let the account not be used any more."""
        self.customers[customer_id] = Customer(customer_id, NOON, status)


class _Ports:
    """The part of `Ports` that these use cases need."""

    def __init__(self, world: FakeMethodWorld) -> None:
        self.unit_of_work = lambda: FakeMethodUnitOfWork(world)
        self.payment_methods = FakePaymentMethodReads(lambda: world.methods)
        self.providers = {"sandbox": FakeVault(world), "other": FakeVault(world)}
        self.now = lambda: world.time
        self.new_id = new_id
