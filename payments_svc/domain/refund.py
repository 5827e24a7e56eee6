"""Refunds: captured money on its way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from lib.errors import Conflict, Forbidden, NotFound
from payments_svc.domain.arguments import BadArgument


class RefundNotFound(NotFound):
    code = "refund_not_found"


class RefundNotAllowed(Forbidden):
    code = "refund_not_allowed"


class PaymentNotRefundable(Conflict):
    code = "payment_not_refundable"


class RefundExceedsCaptured(BadArgument):
    code = "refund_exceeds_captured"


class IllegalRefundTransition(Conflict):
    code = "illegal_refund_transition"


class RefundStatus(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"


TRANSITIONS: Mapping[RefundStatus, frozenset[RefundStatus]] = MappingProxyType(
    {
        RefundStatus.PENDING: frozenset(
            {RefundStatus.SUCCEEDED, RefundStatus.FAILED, RefundStatus.CANCELED, RefundStatus.UNKNOWN}
        ),
        # Nobody may call off what may have happened: only the provider's word ends it.
        RefundStatus.UNKNOWN: frozenset({RefundStatus.SUCCEEDED, RefundStatus.FAILED, RefundStatus.PENDING}),
        # A bank may send it back days after the provider has said that it is done.
        RefundStatus.SUCCEEDED: frozenset({RefundStatus.FAILED}),
        RefundStatus.FAILED: frozenset(),
        RefundStatus.CANCELED: frozenset(),
    }
)

AWAITED = frozenset({RefundStatus.PENDING, RefundStatus.UNKNOWN})
"""Statuses in which the provider's last word is still to come."""

TAKEN = frozenset({RefundStatus.PENDING, RefundStatus.SUCCEEDED, RefundStatus.UNKNOWN})
"""Statuses in which a refund's amount cannot be refunded again."""

LOOKS_BACK = (timedelta(days=1), timedelta(days=7))
"""How long after a refund has succeeded the provider is asked whether it came back: its message may be lost."""

LOOKS_BACK_FOR = timedelta(days=30)
"""For how long nobody answering is no reason to ask no more."""


@dataclass(eq=False)
class Refund:
    """One refund of a payment. It is opened and settled by its `Payment`, which keeps the sum in bounds.

    :param amount: in minor units of the payment's currency
    :param requested_by: the account that asked for it: the customer, or somebody of the staff
    :param attempt_id: what the provider knows it by
    :param next_check_at: when to ask the provider about it, unless the answer comes first; if it has succeeded, whether
        it came back
    :param checks: how often the provider was asked since
    :param provider_reference: the provider's own id of it
    """

    id: UUID
    payment_id: UUID
    customer_id: UUID
    requested_by: UUID
    amount: int
    currency: str
    reason: str | None
    attempt_id: UUID
    next_check_at: datetime | None
    created_at: datetime
    updated_at: datetime
    status: RefundStatus = RefundStatus.PENDING
    failure_code: str | None = None
    checks: int = 0
    provider_reference: str | None = None

    @property
    def awaits_outcome(self) -> bool:
        return self.status in AWAITED

    def can_be(self, amount: int | None) -> bool:
        """Tell whether the provider can have given back that amount; None is what was asked for."""
        return amount in (None, self.amount)

    def move(self, status: RefundStatus, now: datetime) -> None:
        """Enter `status`; only the payment calls this, as its sums have to follow."""
        if status not in TRANSITIONS[self.status]:
            raise IllegalRefundTransition(f"a refund that is {self.status} cannot become {status}")
        self.status = status
        self.next_check_at = None
        self.updated_at = now

    def wait(self, until: datetime) -> None:
        """Ask again then."""
        self.next_check_at = until
        self.checks += 1

    def look_back(self, now: datetime) -> None:
        """Ask once more whether it has stayed where it went; after the last time, no more."""
        moments = (self.updated_at + each for each in LOOKS_BACK)
        self.next_check_at = next((each for each in moments if each > now), None)

    def look_back_later(self, now: datetime) -> None:
        """Ask again on another day, as nobody has answered; after a month of that, no more."""
        self.wait(now + LOOKS_BACK[0])
        if now > self.updated_at + LOOKS_BACK[-1] + LOOKS_BACK_FOR:
            self.next_check_at = None
