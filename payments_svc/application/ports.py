"""What the use cases need from the world, in their words."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from payments_svc.domain.customer import Customer
from payments_svc.domain.idempotency import Claim
from payments_svc.domain.outcome import Outcome
from payments_svc.domain.payment import Payment
from payments_svc.domain.refund import Refund

Row = dict[str, Any]
"""The fields of a payment or a refund, by the names that they have in the domain."""


class Provider(Protocol):
    """A company that moves money.

    It knows what is asked of it by the attempt id: the same id again never moves money again. No method raises
    because of what happens at the provider, and none takes much longer than PROVIDER_TIMEOUT. They are called outside
    of any transaction, except `check_payment_method`.
    """

    @property
    def name(self) -> str:
        """What payments are filed under."""

    def check_payment_method(self, payment_method: str) -> None:
        """Raise `UnknownPaymentMethod` or `UnsupportedPaymentMethod` for what cannot be a token; asks nobody."""

    def charge(self, attempt_id: UUID, amount: int, currency: str, payment_method: str) -> Outcome:
        """Take `amount` minor units."""

    def refund(self, attempt_id: UUID, charge_attempt_id: UUID, amount: int, currency: str) -> Outcome:
        """Give `amount` minor units back of what the attempt `charge_attempt_id` took."""

    def lookup(self, attempt_id: UUID) -> Outcome | None:
        """Say what became of a charge or refund; None if nothing was executed under that id so far."""


class Payments(Protocol):
    def add(self, payment: Payment) -> None: ...

    def get(self, payment_id: UUID) -> Payment:
        """Return the payment, locked until the end of the transaction; raises `PaymentNotFound`."""

    def find_by_reference(self, customer_id: UUID, reference: str) -> UUID | None:
        """Return the id of the customer's payment with the reference that is not canceled, if there is one."""


class Refunds(Protocol):
    def add(self, refund: Refund) -> None: ...

    def get(self, refund_id: UUID) -> Refund:
        """Return the refund; raises `RefundNotFound`. Lock its payment first."""


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

    def get(self, attempt_id: UUID) -> Claim:
        """Return a claim that is known to exist, locked."""

    def forget_answers(self, before: datetime) -> int:
        """Drop the answers given before a moment, keep the claims; return how many."""


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


@dataclass(frozen=True)
class Rules:
    """What the operator decides.

    :param self_service: customers may refund their own payments
    :param patience: how long a request may run before its process is taken for dead
    :param answer_ttl: how long answers are kept for being repeated word by word
    :param check_schedule: the waits between the questions to a provider about an unknown outcome
    """

    self_service: bool
    patience: timedelta
    answer_ttl: timedelta
    check_schedule: tuple[timedelta, ...]


@dataclass(frozen=True)
class Ports:
    unit_of_work: Callable[[], AbstractContextManager[UnitOfWork]]
    reads: Reads
    provider: Provider
    now: Callable[[], datetime]
    new_id: Callable[[], UUID]
    rules: Rules
