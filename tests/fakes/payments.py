"""payments_svc without a database and without a provider.

`FakeUnitOfWork` and `FakeReads` pass the contract tests of the ones on PostgreSQL
(tests/integration/payments/test_payments_unit_of_work.py), `FakeProvider` (payment_provider.py) those of the providers
(tests/integration/payments/provider_contract.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from lib.aggregate import DomainEvent
from lib.errors import Overtaken, SeenBefore
from lib.ids import new_id
from payments_svc.application.ports import Ports, Row, Rules
from payments_svc.domain.customer import Customer
from payments_svc.domain.idempotency import Claim
from payments_svc.domain.ledger import Posting
from payments_svc.domain.movements import Deadlines
from payments_svc.domain.payment import Payment
from payments_svc.domain.payment_errors import ReferenceTaken
from payments_svc.domain.refund import Refund
from tests.fakes.payment_methods import FakePaymentMethods
from tests.fakes.payment_notices import FakeNotices
from tests.fakes.payment_provider import FakeProvider
from tests.fakes.payment_store import (
    FakeAuditTrail,
    FakeClaims,
    FakeCustomers,
    FakeDatabase,
    FakeLedger,
    FakePayments,
    FakeRefunds,
    reference_of,
)

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


class LostRace(Exception):
    """As of a deadlock: somebody else went on, and nothing was saved."""


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
        self._overtaken = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.lock.release()

    def take_up(self, claim: Claim, payment: Payment, refund: Refund | None) -> None:
        stored = self._state.payments[payment.id], self._state.claims[claim.attempt_id]
        self._overtaken = (stored[0].version, stored[1].run) != (payment.version, claim.run)
        self._state.claims[claim.attempt_id] = claim
        self._state.payments[payment.id] = payment
        if refund is not None:
            self._state.refunds[refund.id] = refund

    def note(self, handler: str, event_id: str) -> None:
        self._noted.add((handler, event_id))

    def first_time(self, handler: str, event_id: str) -> bool:
        entry = (handler, event_id)
        first = entry not in self._state.inbox
        self._state.inbox.add(entry)
        return first

    def commit(self) -> None:
        if self._overtaken:
            raise Overtaken
        sources = [(posting.kind, posting.source_id) for posting in self._state.postings]
        assert len(sources) == len(set(sources)), "a second posting of the same"
        if self._noted & self._state.inbox:
            raise SeenBefore
        self._state.inbox |= self._noted
        references = [reference_of(each) for each in self._state.payments.values() if reference_of(each)]
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
    time_left: timedelta = timedelta.max

    def __post_init__(self) -> None:
        self.provider = FakeProvider(lambda: self.database.in_transaction, lambda: self.time)
        self.reached: list[tuple[str, str]] = []
        self.failures: list[tuple[UUID, Exception]] = []

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
            failed=lambda attempt_id, exc: self.failures.append((attempt_id, exc)),
            lost_race=lambda exc: isinstance(exc, LostRace),
            time_left=lambda: self.time_left,
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
        return self.database.committed.postings

    @property
    def trail(self) -> list[tuple[str, str]]:
        """The history: what happened, and by whose doing."""
        return [(line.change.action, str(line.by.kind)) for line in self.database.committed.trail]

    @property
    def events(self) -> list[DomainEvent]:
        return [event for _, event in self.database.events]
