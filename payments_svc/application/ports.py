"""What the use cases need from the world, in their words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from payments_svc.application.history_ports import AuditTrail, History
from payments_svc.application.ledger_ports import Books, Ledger
from payments_svc.application.method_ports import PaymentMethodReads, PaymentMethods
from payments_svc.application.provider_ports import Provider, Simulation
from payments_svc.application.webhook_ports import Notices
from payments_svc.domain.customer import Customer
from payments_svc.domain.idempotency import Claim
from payments_svc.domain.payment import Payment
from payments_svc.domain.refund import Refund

Row = dict[str, Any]
"""The fields of a payment or a refund, by the names that they have in the domain."""


class Payments(Protocol):
    def add(self, payment: Payment) -> None: ...

    def get(self, payment_id: UUID) -> Payment:
        """Return the payment, locked until the end of the transaction; raises `PaymentNotFound`."""

    def look(self, payment_id: UUID) -> Payment:
        """Return the payment as it is, not locked, and not to be changed; raises `PaymentNotFound`."""

    def take_due(self, now: datetime, *, until: datetime, at_most: int, only: UUID | None = None) -> list[UUID]:
        """Put off the check of up to `at_most` payments that are due until `until`, and return their ids.

        In one statement, past what others have locked: of several processes, one gets each.

        :param only: this one, if it is due
        """

    def find_by_reference(self, customer_id: UUID, reference: str) -> UUID | None:
        """Return the id of the customer's payment with the reference that is not canceled, if there is one."""


class Refunds(Protocol):
    def add(self, refund: Refund) -> None: ...

    def get(self, refund_id: UUID) -> Refund:
        """Return the refund; raises `RefundNotFound`. Lock its payment first."""

    def look(self, refund_id: UUID) -> Refund:
        """Return the refund as it is, not locked, and not to be changed; raises `RefundNotFound`."""

    def open_of(self, payment_id: UUID, *, at_most: int) -> list[UUID]:
        """Return ids of the payment's refunds that are pending or unknown, the oldest first."""

    def take_due(self, now: datetime, *, until: datetime, at_most: int, only: UUID | None = None) -> list[UUID]:
        """As of payments; returns ids of refunds."""


class Customers(Protocol):
    def add(self, customer: Customer) -> None:
        """Add the customer on commit, unless it is there or was there until its account was deleted."""

    def add_or_get(self, customer: Customer) -> Customer:
        """Add the customer unless it is there; return the one that is stored, locked until the transaction ends.

        If the account was deleted and its customer removed, nothing is stored, and one is returned that is deleted.
        A concurrent transaction with the same id waits here, and they have their turns in the order in which they
        came. Change the returned customer, never the argument: the two may differ.
        """

    def bury(self, customer: Customer, now: datetime) -> None:
        """Leave a tombstone of a customer that is locked; remove it unless it has payments."""


class Claims(Protocol):
    def take(self, claim: Claim) -> Claim:
        """Add the claim and return it; or return the one with its user, operation and key that was there, locked.

        While another transaction is adding the same, this one waits for its end.
        """

    def find(self, attempt_id: UUID) -> Claim | None:
        """Return the claim of an operation, locked; None if no request began it (a job did)."""

    def forget_answers(self, before: datetime, *, at_most: int) -> int:
        """Drop up to `at_most` answers given before a moment, keep the claims; return how many."""


class UnitOfWork(Protocol):
    """One transaction. Lock in this order: claim, payment, customer, refund."""

    @property
    def payments(self) -> Payments: ...

    @property
    def refunds(self) -> Refunds: ...

    @property
    def customers(self) -> Customers: ...

    @property
    def claims(self) -> Claims: ...

    @property
    def ledger(self) -> Ledger: ...

    @property
    def audit(self) -> AuditTrail: ...

    @property
    def payment_methods(self) -> PaymentMethods: ...

    @property
    def notices(self) -> Notices: ...

    def take_up(self, claim: Claim, payment: Payment, refund: Refund | None) -> None:
        """Go on with what an earlier unit of work has committed, without reading or locking it.

        `commit` raises `Overtaken`, and saves nothing, if the payment or the claim has changed since.
        """

    def first_time(self, handler: str, event_id: str) -> bool:
        """Note that the handler saw the event; False if it did before."""

    def note(self, handler: str, event_id: str) -> None:
        """Note on commit that the handler has dealt with the event; `commit` raises `SeenBefore` if it did before."""

    def commit(self) -> None:
        """Keep all of it, or raise; `ReferenceTaken` if another payment was first, `SeenBefore`."""


class Reads(Protocol):
    """Questions that change nothing and lock nothing. Each is limited to what belongs to one customer."""

    def payment(self, customer_id: UUID, payment_id: UUID) -> Row | None: ...

    def payments(self, customer_id: UUID, *, limit: int, before: UUID | None) -> list[Row]:
        """Return up to `limit` payments, newest first, that are older than `before`."""

    def refund(self, customer_id: UUID, refund_id: UUID) -> Row | None: ...

    def refunds(self, customer_id: UUID, payment_id: UUID, *, limit: int, before: UUID | None) -> list[Row]:
        """Return up to `limit` refunds of the payment, newest first, that are older than `before`."""

    def is_anything_due(self, now: datetime) -> bool:
        """Tell whether a provider is to be asked about any payment or refund."""


@dataclass(frozen=True)
class Rules:
    """What the operator decides.

    :param self_service: customers may refund their own payments
    :param patience: how long a request may run before its process is taken for dead
    :param look_time: how long a question to a provider may take
    :param answer_ttl: how long answers are kept for being repeated word by word
    :param check_schedule: the waits between the questions to a provider about an unknown outcome; the last one repeats
    :param accepted_schedule: the same about what the provider is at
    :param action_ttl: how long a customer may take to act (3-D Secure)
    :param forget_after: how long after an attempt a provider that knows nothing of it is believed
    """

    self_service: bool
    patience: timedelta
    answer_ttl: timedelta
    check_schedule: tuple[timedelta, ...]
    accepted_schedule: tuple[timedelta, ...] = (timedelta(minutes=10), timedelta(hours=1), timedelta(days=1))
    action_ttl: timedelta = timedelta(days=1)
    forget_after: timedelta = timedelta(hours=1)
    look_time: timedelta = timedelta(0)


@dataclass(frozen=True)
class Ports:
    """
    :param providers: by name; new payments go to `provider`
    :param reached: told of each step on the way to a result (``payment.after_claim``), with what is done
        (``capture``); a test may end the process there
    :param failed: told of a provider's adapter that has raised or contradicted what it was asked for, as none should,
        and of which attempt that was
    :param lost_race: tells whether a transaction has failed only because of others, and is worth another try
    :param time_left: how long somebody is going to wait for the answer to this request
    :param simulation: a provider of our own, if there is one: what others do in their own house
    """

    unit_of_work: Callable[[], AbstractContextManager[UnitOfWork]]
    reads: Reads
    history: History
    ledger: Books
    payment_methods: PaymentMethodReads
    provider: Provider
    providers: Mapping[str, Provider]
    now: Callable[[], datetime]
    new_id: Callable[[], UUID]
    rules: Rules
    failed: Callable[[UUID, Exception], None]
    reached: Callable[[str, str], None] = lambda _point, _detail: None
    lost_race: Callable[[Exception], bool] = lambda _: False
    time_left: Callable[[], timedelta] = lambda: timedelta.max
    simulation: Simulation | None = None
