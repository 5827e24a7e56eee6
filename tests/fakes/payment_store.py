"""What is committed, and the repositories in it: the inside of the fakes in payments.py."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from lib.aggregate import DomainEvent
from payments_svc.application.history_ports import By
from payments_svc.domain.customer import Customer, CustomerStatus
from payments_svc.domain.idempotency import Claim
from payments_svc.domain.ledger import Posting
from payments_svc.domain.movements import Change
from payments_svc.domain.notice import StoredNotice
from payments_svc.domain.payment import Payment
from payments_svc.domain.payment_errors import PaymentNotFound
from payments_svc.domain.payment_method import PaymentMethod
from payments_svc.domain.payment_status import PaymentStatus
from payments_svc.domain.refund import Refund, RefundNotFound

Entity = TypeVar("Entity", Payment, Refund, Claim, Customer, PaymentMethod, StoredNotice)
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
    postings: list[Posting] = field(default_factory=list)
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
            postings=list(self.postings),
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
            if reference_of(each) == (customer_id, reference):
                return each.id
        return None


def reference_of(payment: Payment) -> tuple[UUID, str] | None:
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

    def forget_answers(self, before: datetime, *, at_most: int) -> int:
        old = [
            each
            for each in self._state.claims.values()
            if each.answer is not None and each.finished_at is not None and each.finished_at <= before
        ][:at_most]
        for each in old:
            each.answer = None
        return len(old)


class FakeLedger:
    def __init__(self, state: FakeState) -> None:
        self._state = state

    def post(self, posting: Posting, now: datetime) -> None:
        self._state.postings.append(posting)


class FakeAuditTrail:
    def __init__(self, state: FakeState) -> None:
        self._state = state

    def add(self, payment_id: UUID, customer_id: UUID, change: Change, by: By, now: datetime) -> None:
        self._state.trail.append(Line(payment_id, customer_id, change, by, now))
