"""payments_svc without a database and without a provider.

`FakeUnitOfWork` and `FakeReads` pass the contract tests of the ones on PostgreSQL
(tests/integration/payments/test_payments_unit_of_work.py), `FakeProvider` those of the providers
(tests/integration/payments/provider_contract.py).
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

from lib.aggregate import DomainEvent
from lib.errors import SeenBefore
from lib.ids import new_id
from payments_svc.application.ports import Ports, Row, Rules
from payments_svc.domain.customer import Customer, CustomerStatus
from payments_svc.domain.details import UnknownPaymentMethod, UnsupportedPaymentMethod
from payments_svc.domain.idempotency import Claim
from payments_svc.domain.outcome import MayHaveHappened, NotExecuted, Outcome, Refused, Succeeded
from payments_svc.domain.payment import Payment, PaymentNotFound, PaymentStatus, ReferenceTaken
from payments_svc.domain.refund import Refund, RefundNotFound

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
RULES = Rules(
    self_service=True,
    patience=timedelta(seconds=10),
    answer_ttl=timedelta(days=1),
    check_schedule=(timedelta(minutes=5), timedelta(hours=1)),
)

Entity = TypeVar("Entity", Payment, Refund, Claim, Customer)


def duplicate(entity: Entity) -> Entity:
    """Return an equal entity that shares nothing; made anew, as an ORM's instance cannot just be copied."""
    return replace(entity, **{each.name: copy.deepcopy(getattr(entity, each.name)) for each in fields(entity)})


@dataclass
class FakeState:
    payments: dict[UUID, Payment] = field(default_factory=dict)
    refunds: dict[UUID, Refund] = field(default_factory=dict)
    claims: dict[UUID, Claim] = field(default_factory=dict)
    customers: dict[UUID, Customer] = field(default_factory=dict)
    tombstones: dict[UUID, datetime] = field(default_factory=dict)
    inbox: set[tuple[str, str]] = field(default_factory=set)

    def duplicate(self) -> FakeState:
        return FakeState(
            payments={key: duplicate(each) for key, each in self.payments.items()},
            refunds={key: duplicate(each) for key, each in self.refunds.items()},
            claims={key: duplicate(each) for key, each in self.claims.items()},
            customers={key: duplicate(each) for key, each in self.customers.items()},
            tombstones=dict(self.tombstones),
            inbox=set(self.inbox),
        )


class FakeDatabase:
    """What is committed. One transaction at a time, which is stricter than PostgreSQL's row locks."""

    def __init__(self) -> None:
        self.committed = FakeState()
        self.events: list[tuple[int, DomainEvent]] = []
        self.commits = 0
        self.lock = threading.Lock()

    @property
    def in_transaction(self) -> bool:
        return self.lock.locked()


class FakePayments:
    def __init__(self, state: FakeState) -> None:
        self._state = state

    def add(self, payment: Payment) -> None:
        self._state.payments[payment.id] = payment

    def get(self, payment_id: UUID) -> Payment:
        try:
            return self._state.payments[payment_id]
        except KeyError:
            raise PaymentNotFound("there is no such payment") from None

    def find_by_reference(self, customer_id: UUID, reference: str) -> UUID | None:
        for each in self._state.payments.values():
            if _reference(each) == (customer_id, reference):
                return each.id
        return None


def _reference(payment: Payment) -> tuple[UUID, str] | None:
    if payment.reference is None or payment.status is PaymentStatus.CANCELED:
        return None
    return payment.customer_id, payment.reference


class FakeRefunds:
    def __init__(self, state: FakeState) -> None:
        self._state = state

    def add(self, refund: Refund) -> None:
        self._state.refunds[refund.id] = refund

    def get(self, refund_id: UUID) -> Refund:
        try:
            return self._state.refunds[refund_id]
        except KeyError:
            raise RefundNotFound("there is no such refund") from None


class FakeCustomers:
    def __init__(self, state: FakeState) -> None:
        self._state = state

    def add(self, customer: Customer) -> None:
        self.add_or_get(customer)

    def add_or_get(self, customer: Customer) -> Customer:
        if customer.id not in self._state.tombstones:
            self._state.customers.setdefault(customer.id, customer)
        return self._state.customers.get(customer.id) or replace(customer, status=CustomerStatus.DELETED)

    def bury(self, customer: Customer, now: datetime) -> None:
        self._state.tombstones.setdefault(customer.id, now)
        if not any(each.customer_id == customer.id for each in self._state.payments.values()):
            self._state.customers.pop(customer.id, None)


class FakeClaims:
    def __init__(self, state: FakeState) -> None:
        self._state = state

    def take(self, claim: Claim) -> Claim:
        for each in self._state.claims.values():
            if (each.user_id, each.operation, each.key) == (claim.user_id, claim.operation, claim.key):
                return each
        self._state.claims[claim.attempt_id] = claim
        return claim

    def get(self, attempt_id: UUID) -> Claim:
        return self._state.claims[attempt_id]

    def forget_answers(self, before: datetime) -> int:
        old = [
            each
            for each in self._state.claims.values()
            if each.answer is not None and each.finished_at is not None and each.finished_at <= before
        ]
        for each in old:
            each.answer = None
        return len(old)


class FakeUnitOfWork:
    def __init__(self, database: FakeDatabase) -> None:
        self._database = database

    def __enter__(self) -> Self:
        if not self._database.lock.acquire(timeout=10):
            raise TimeoutError("a transaction was opened inside another one")
        self._state = self._database.committed.duplicate()
        self.payments = FakePayments(self._state)
        self.refunds = FakeRefunds(self._state)
        self.customers = FakeCustomers(self._state)
        self.claims = FakeClaims(self._state)
        self._noted: set[tuple[str, str]] = set()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.lock.release()

    def note(self, handler: str, event_id: str) -> None:
        self._noted.add((handler, event_id))

    def first_time(self, handler: str, event_id: str) -> bool:
        entry = (handler, event_id)
        first = entry not in self._state.inbox
        self._state.inbox.add(entry)
        return first

    def commit(self) -> None:
        if self._noted & self._state.inbox:
            raise SeenBefore
        self._state.inbox |= self._noted
        references = [_reference(each) for each in self._state.payments.values() if _reference(each)]
        if len(references) != len(set(references)):
            raise ReferenceTaken("another payment has this reference")
        for payment in self._state.payments.values():
            self._database.events += payment.pull_events()
        self._database.committed = self._state.duplicate()
        self._database.commits += 1


class FakeReads:
    def __init__(self, database: FakeDatabase) -> None:
        self._database = database

    def payment(self, customer_id: UUID, payment_id: UUID) -> Row | None:
        return next((row for row in self._payments(customer_id) if row["id"] == payment_id), None)

    def payments(self, customer_id: UUID, *, limit: int, before: UUID | None) -> list[Row]:
        return _newest(self._payments(customer_id), limit, before)

    def refund(self, customer_id: UUID, refund_id: UUID) -> Row | None:
        return next((row for row in self._refunds(customer_id) if row["id"] == refund_id), None)

    def refunds(self, customer_id: UUID, payment_id: UUID, *, limit: int, before: UUID | None) -> list[Row]:
        rows = [row for row in self._refunds(customer_id) if row["payment_id"] == payment_id]
        return _newest(rows, limit, before)

    def _payments(self, customer_id: UUID) -> list[Row]:
        return [_row(each) for each in self._database.committed.payments.values() if each.customer_id == customer_id]

    def _refunds(self, customer_id: UUID) -> list[Row]:
        return [_row(each) for each in self._database.committed.refunds.values() if each.customer_id == customer_id]


def _row(entity: Payment | Refund) -> Row:
    return {each.name: getattr(entity, each.name) for each in fields(entity)}


def _newest(rows: list[Row], limit: int, before: UUID | None) -> list[Row]:
    older = [row for row in rows if before is None or row["id"] < before]
    return sorted(older, key=lambda row: row["id"], reverse=True)[:limit]


class FakeProvider:
    """A provider in memory, with the sandbox's tokens; refuses to be asked inside a transaction.

    ``charged`` and ``refunded`` are its books: attempt id → amount. ``asked`` lists what was asked of it.
    ``during`` is called while it is asked, ``answer`` instead of what it would answer; both once.
    """

    name = "fake"

    def __init__(self, database: FakeDatabase | None = None) -> None:
        self._database = database
        self.charged: dict[UUID, int] = {}
        self.refunded: dict[UUID, int] = {}
        self.asked: list[tuple[str, UUID]] = []
        self.during: Callable[[], Any] | None = None
        self.answer: Outcome | None = None
        self._outcomes: dict[UUID, Outcome] = {}
        self._failed: set[UUID] = set()

    def check_payment_method(self, payment_method: str) -> None:
        if payment_method in ("tok_3ds", "tok_async"):
            raise UnsupportedPaymentMethod("not supported", "/payment_method")
        if not payment_method.startswith("tok_"):
            raise UnknownPaymentMethod("no such token", "/payment_method")

    def charge(self, attempt_id: UUID, amount: int, currency: str, payment_method: str) -> Outcome:
        if payment_method == "tok_unreachable":
            self._note("charge", attempt_id)
            return NotExecuted("provider_unreachable")
        if payment_method == "tok_error" and attempt_id not in self._failed:
            self._note("charge", attempt_id)
            self._failed.add(attempt_id)
            return NotExecuted("provider_error")
        declined = payment_method not in ("tok_visa", "tok_timeout", "tok_error")
        outcome = Refused(payment_method.removeprefix("tok_")) if declined else Succeeded()
        if not declined:
            self.charged[attempt_id] = amount
        self._outcomes[attempt_id] = outcome
        self._note("charge", attempt_id)
        return MayHaveHappened() if payment_method == "tok_timeout" else self._told(outcome)

    def refund(self, attempt_id: UUID, charge_attempt_id: UUID, amount: int, currency: str) -> Outcome:
        outcome: Outcome = Refused("charge_not_found")
        if charge_attempt_id in self.charged:
            given = sum(each for key, each in self.refunded.items() if key != attempt_id)
            too_much = given + amount > self.charged[charge_attempt_id]
            outcome = Refused("refund_exceeds_charge") if too_much else Succeeded()
        if isinstance(outcome, Succeeded):
            self.refunded[attempt_id] = amount
            self._outcomes[attempt_id] = outcome
        self._note("refund", attempt_id)
        return self._told(outcome)

    def lookup(self, attempt_id: UUID) -> Outcome | None:
        self._note("lookup", attempt_id)
        return self._outcomes.get(attempt_id)

    def _told(self, outcome: Outcome) -> Outcome:
        answer, self.answer = self.answer or outcome, None
        return answer

    def _note(self, question: str, attempt_id: UUID) -> None:
        if self._database is not None and self._database.in_transaction:
            raise AssertionError("the provider was called inside a transaction")
        self.asked.append((question, attempt_id))
        during, self.during = self.during, None
        if during is not None:
            during()


@dataclass
class FakeWorld:
    """Everything behind a `Ports` of fakes, for a test to look at."""

    database: FakeDatabase = field(default_factory=FakeDatabase)
    time: datetime = NOON
    rules: Rules = RULES

    def __post_init__(self) -> None:
        self.provider = FakeProvider(self.database)

    def ports(self) -> Ports:
        return Ports(
            unit_of_work=partial(FakeUnitOfWork, self.database),
            reads=FakeReads(self.database),
            provider=self.provider,
            now=lambda: self.time,
            new_id=new_id,
            rules=self.rules,
        )

    @property
    def payments(self) -> dict[UUID, Payment]:
        return self.database.committed.payments

    @property
    def refunds(self) -> dict[UUID, Refund]:
        return self.database.committed.refunds

    @property
    def claims(self) -> dict[UUID, Claim]:
        return self.database.committed.claims

    @property
    def customers(self) -> dict[UUID, Customer]:
        return self.database.committed.customers

    @property
    def tombstones(self) -> dict[UUID, datetime]:
        return self.database.committed.tombstones

    @property
    def events(self) -> list[DomainEvent]:
        return [event for _, event in self.database.events]
