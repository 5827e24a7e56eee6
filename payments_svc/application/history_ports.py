"""The past: what customers see of it, what the staff sees, and the audit trail behind both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from payments_svc.domain.movements import Change
from payments_svc.domain.payment_status import PaymentStatus

Row = dict[str, Any]


class ActorKind(StrEnum):
    CUSTOMER = "customer"
    STAFF = "staff"
    SYSTEM = "system"
    PROVIDER = "provider"


@dataclass(frozen=True)
class By:
    """Who made a change, and why.

    :param id: the account, of a customer or of somebody of the staff
    :param reason: in their words, up to 500 characters
    """

    kind: ActorKind
    id: UUID | None = None
    reason: str | None = None


SYSTEM, PROVIDER = By(ActorKind.SYSTEM), By(ActorKind.PROVIDER)


class AuditTrail(Protocol):
    """The writing side, in the transaction of the change."""

    def add(self, payment_id: UUID, customer_id: UUID, change: Change, by: By, now: datetime) -> None:
        """Write a line on commit."""


@dataclass(frozen=True)
class Period:
    """From `since` on and before `until`; None is open."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, order=True)
class Place:
    """Where a page ended in a list that is sorted by time, and by id among equals."""

    moment: datetime
    id: UUID


@dataclass(frozen=True)
class PaymentFilter:
    """What the staff looks for; None is anything.

    :param reference: only together with the customer
    """

    customer_id: UUID | None = None
    status: PaymentStatus | None = None
    reference: str | None = None
    period: Period = Period()


class History(Protocol):
    """Questions about the past, which change nothing and lock nothing. Lists are newest first.

    Lists with a period are sorted by the very times that the period is about, and not by ids: an id is made by another
    look at the clock, or by another clock, so by ids a row could be missing from both of two neighbouring periods.
    """

    def transactions(self, customer_id: UUID, period: Period, *, limit: int, before: Place | None) -> list[Row]:
        """Return up to `limit` movements of a customer's money that come after `before`, by ``posted_at``.

        :returns: each ``id, kind, amount, currency, payment_id, refund_id, description, reference, posted_at``; the
            amount in minor units, positive for what was paid and negative for what went back
        """

    def find_payments(self, wanted: PaymentFilter, *, limit: int, before: Place | None) -> list[Row]:
        """Return up to `limit` payments of anybody that come after `before`, by ``created_at``."""

    def payment(self, payment_id: UUID) -> Row | None:
        """Return anybody's payment."""

    def refunds(self, payment_id: UUID, *, limit: int, before: UUID | None) -> list[Row]:
        """Return up to `limit` refunds of anybody's payment, older than `before`."""

    def trail(self, payment_id: UUID, *, limit: int, before: UUID | None) -> list[Row]:
        """Return up to `limit` lines of a payment's audit trail, older than `before`."""
