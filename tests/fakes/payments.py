"""payments_svc without a database and without a provider.

`FakeUnitOfWork` and `FakeReads` pass the contract tests of the ones on PostgreSQL
(tests/integration/payments/test_payments_unit_of_work.py), `FakeProvider` (payment_provider.py) those of the providers
(tests/integration/payments/provider_contract.py).
"""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

from lib.aggregate import DomainEvent
from lib.errors import SeenBefore
from lib.ids import new_id
from payments_svc.application.history_ports import By
from payments_svc.application.ports import Ports, Row, Rules
from payments_svc.domain.customer import Customer, CustomerStatus
from payments_svc.domain.idempotency import Claim
from payments_svc.domain.ledger import Posting, PostingKind
from payments_svc.domain.movements import Change, Deadlines
from payments_svc.domain.notice import StoredNotice
from payments_svc.domain.payment import Payment
from payments_svc.domain.payment_errors import PaymentNotFound, ReferenceTaken
from payments_svc.domain.payment_method import PaymentMethod
from payments_svc.domain.payment_status import PaymentStatus
from payments_svc.domain.refund import Refund, RefundNotFound
from tests.fakes.payment_methods import FakePaymentMethods
from tests.fakes.payment_notices import FakeNotices
from tests.fakes.payment_provider import FakeProvider

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
RULES = Rules(
    self_service=True,
    patience=timedelta(seconds=10),
    answer_ttl=timedelta(days=1),
    check_schedule=(timedelta(minutes=5), timedelta(hours=1)),
)

DEADLINES = Deadlines(
    unknown=NOON + timedelta(minutes=5), accepted=NOON + timedelta(minutes=10), action=NOON + timedelta(days=1)
)

Entity = TypeVar("Entity", Payment, Refund, Claim, Customer, PaymentMethod)
Due = TypeVar("Due", Payment, Refund)


def duplicate(entity: Entity) -> Entity:
    """Return an equal entity that shares nothing; made anew, as an ORM's instance cannot just be copied."""
    return replace(entity, **{each.name: copy.deepcopy(getattr(entity, each.name)) for each in fields(entity)})


@dataclass(frozen=True)
class Line:
    """One line of the audit trail."""

    payment_id: UUID
    customer_id: UUID
    change: Change
    by: By
    at: datetime


@dataclass
class FakeState:
    payments: dict[UUID, Payment] = field(default_factory=dict)
    refunds: dict[UUID, Refund] = field(default_factory=dict)
    claims: dict[UUID, Claim] = field(default_factory=dict)
    customers: dict[UUID, Customer] = field(default_factory=dict)
    tombstones: dict[UUID, datetime] = field(default_factory=dict)
    inbox: set[tuple[str, str]] = field(default_factory=set)
    postings: dict[tuple[PostingKind, UUID], Posting] = field(default_factory=dict)
    trail: list[Line] = field(default_factory=list)
    methods: dict[UUID, PaymentMethod] = field(default_factory=dict)
    notices: dict[UUID, StoredNotice] = field(default_factory=dict)

    def duplicate(self) -> FakeState:
        return FakeState(
            payments={key: duplicate(each) for key, each in self.payments.items()},
            refunds={key: duplicate(each) for key, each in self.refunds.items()},
            claims={key: duplicate(each) for key, each in self.claims.items()},
            customers={key: duplicate(each) for key, each in self.customers.items()},
            tombstones=dict(self.tombstones),
            inbox=set(self.inbox),
            postings=dict(self.postings),
            trail=list(self.trail),
            methods={key: duplicate(each) for key, each in self.methods.items()},
            notices={key: replace(each) for key, each in self.notices.items()},
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

    def look(self, payment_id: UUID) -> Payment:
        return duplicate(self.get(payment_id))

    def take_due(self, now: datetime, *, until: datetime, at_most: int, only: UUID | None = None) -> list[UUID]:
        return _take_due(self._state.payments, now, until, at_most, only)

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

    def look(self, refund_id: UUID) -> Refund:
        return duplicate(self.get(refund_id))

    def open_of(self, payment_id: UUID, *, at_most: int) -> list[UUID]:
        found = [each for each in self._state.refunds.values() if each.payment_id == payment_id and each.awaits_outcome]
        return sorted(each.id for each in found)[:at_most]

    def take_due(self, now: datetime, *, until: datetime, at_most: int, only: UUID | None = None) -> list[UUID]:
        return _take_due(self._state.refunds, now, until, at_most, only)


def _take_due(rows: dict[UUID, Due], now: datetime, until: datetime, at_most: int, only: UUID | None) -> list[UUID]:
    due = [each for each in rows.values() if each.next_check_at is not None and each.next_check_at <= now]
    taken = sorted((each for each in due if only in (None, each.id)), key=lambda each: each.next_check_at or now)
    for each in taken[:at_most]:
        each.next_check_at = until
    return [each.id for each in taken[:at_most]]


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

    def find(self, attempt_id: UUID) -> Claim | None:
        return self._state.claims.get(attempt_id)

    def forget_answers(self, before: datetime) -> int:
        old = [
            each
            for each in self._state.claims.values()
            if each.answer is not None and each.finished_at is not None and each.finished_at <= before
        ]
        for each in old:
            each.answer = None
        return len(old)


class FakeLedger:
    def __init__(self, state: FakeState) -> None:
        self._state = state

    def post(self, posting: Posting, now: datetime) -> None:
        key = (posting.kind, posting.source_id)
        assert key not in self._state.postings, f"a second posting: {key}"
        self._state.postings[key] = posting


class FakeAuditTrail:
    def __init__(self, state: FakeState) -> None:
        self._state = state

    def add(self, payment_id: UUID, customer_id: UUID, change: Change, by: By, now: datetime) -> None:
        self._state.trail.append(Line(payment_id, customer_id, change, by, now))


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
        self.ledger = FakeLedger(self._state)
        self.audit = FakeAuditTrail(self._state)
        self.payment_methods = FakePaymentMethods(self._state.methods)
        self.notices = FakeNotices(self._state)
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
        self._database.events += self.notices.pull_events()
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

    def is_anything_due(self, now: datetime) -> bool:
        state = self._database.committed
        rows = (*state.payments.values(), *state.refunds.values())
        return any(each.next_check_at is not None and each.next_check_at <= now for each in rows)

    def _payments(self, customer_id: UUID) -> list[Row]:
        return [_row(each) for each in self._database.committed.payments.values() if each.customer_id == customer_id]

    def _refunds(self, customer_id: UUID) -> list[Row]:
        return [_row(each) for each in self._database.committed.refunds.values() if each.customer_id == customer_id]


def _row(entity: Payment | Refund) -> Row:
    return {each.name: getattr(entity, each.name) for each in fields(entity)}


def _newest(rows: list[Row], limit: int, before: UUID | None) -> list[Row]:
    older = [row for row in rows if before is None or row["id"] < before]
    return sorted(older, key=lambda row: row["id"], reverse=True)[:limit]


class NotAsked:
    """A port that a test has nothing behind."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nothing is there to ask: {name}")


@dataclass
class FakeWorld:
    """Everything behind a `Ports` of fakes, for a test to look at."""

    database: FakeDatabase = field(default_factory=FakeDatabase)
    time: datetime = NOON
    rules: Rules = RULES

    def __post_init__(self) -> None:
        self.provider = FakeProvider(lambda: self.database.in_transaction, lambda: self.time)
        self.reached: list[tuple[str, str]] = []

    def ports(self, **others: Any) -> Ports:
        """:param others: ports in place of these, or beside them"""
        ports = Ports(
            unit_of_work=partial(FakeUnitOfWork, self.database),
            reads=FakeReads(self.database),
            history=NotAsked(),
            ledger=NotAsked(),
            payment_methods=NotAsked(),
            provider=self.provider,
            providers={self.provider.name: self.provider},
            now=lambda: self.time,
            new_id=new_id,
            rules=self.rules,
            reached=lambda point, detail: self.reached.append((point, detail)),
        )
        return replace(ports, **others)

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
    def postings(self) -> list[Posting]:
        return list(self.database.committed.postings.values())

    @property
    def trail(self) -> list[tuple[str, str]]:
        """The history: what happened, and by whose doing."""
        return [(line.change.action, str(line.by.kind)) for line in self.database.committed.trail]

    @property
    def events(self) -> list[DomainEvent]:
        return [event for _, event in self.database.events]
