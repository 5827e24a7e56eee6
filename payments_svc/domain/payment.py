"""Payments: what a customer owes, what was captured, what went back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Self
from uuid import UUID

from lib.aggregate import Aggregate
from lib.errors import Conflict, Declined, NotFound
from payments_svc.domain.details import Details
from payments_svc.domain.money import Money, written
from payments_svc.domain.outcome import NotExecuted, Outcome, Refused, Succeeded
from payments_svc.domain.refund import PaymentNotRefundable, Refund, RefundExceedsCaptured, RefundStatus


class PaymentNotFound(NotFound):
    """Also for a payment of somebody else: that it exists is not for everyone to know."""

    code = "payment_not_found"


class PaymentDeclined(Declined):
    code = "payment_declined"


class ReferenceTaken(Conflict):
    code = "reference_taken"


class IllegalTransition(Conflict):
    code = "illegal_payment_transition"


class PaymentStatus(StrEnum):
    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    REQUIRES_CAPTURE = "requires_capture"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"
    UNKNOWN = "unknown"


_NOTHING: frozenset[PaymentStatus] = frozenset()

TRANSITIONS: Mapping[PaymentStatus, frozenset[PaymentStatus]] = MappingProxyType(
    {
        PaymentStatus.REQUIRES_PAYMENT_METHOD: frozenset({PaymentStatus.PROCESSING}),
        # A failed attempt is not the payment's end: another means of payment may do.
        PaymentStatus.PROCESSING: frozenset(
            {PaymentStatus.SUCCEEDED, PaymentStatus.REQUIRES_PAYMENT_METHOD, PaymentStatus.UNKNOWN}
        ),
        # Never back to processing: what may have been charged is asked about, not charged again.
        PaymentStatus.UNKNOWN: frozenset({PaymentStatus.SUCCEEDED, PaymentStatus.REQUIRES_PAYMENT_METHOD}),
        PaymentStatus.SUCCEEDED: _NOTHING,
        PaymentStatus.CANCELED: _NOTHING,
        # Published already, so that clients expect them; nothing enters or leaves them yet.
        PaymentStatus.REQUIRES_CONFIRMATION: _NOTHING,
        PaymentStatus.REQUIRES_ACTION: _NOTHING,
        PaymentStatus.REQUIRES_CAPTURE: _NOTHING,
    }
)


@dataclass(frozen=True)
class PaymentCreated:
    type: ClassVar[str] = "payment.created"
    schema_version: ClassVar[int] = 1
    id: str
    user_id: str
    amount: int
    currency: str


@dataclass(frozen=True)
class PaymentSucceeded:
    """`amount` is what was captured."""

    type: ClassVar[str] = "payment.succeeded"
    schema_version: ClassVar[int] = 1
    id: str
    user_id: str
    amount: int
    currency: str


@dataclass(frozen=True)
class PaymentFailed:
    """An attempt was declined; the payment itself can still succeed."""

    type: ClassVar[str] = "payment.failed"
    schema_version: ClassVar[int] = 1
    id: str
    user_id: str
    amount: int
    currency: str
    decline_code: str


@dataclass(frozen=True)
class PaymentRefunded:
    """`amount` is this refund's, `amount_refunded` the sum of all that succeeded."""

    type: ClassVar[str] = "payment.refunded"
    schema_version: ClassVar[int] = 1
    id: str
    user_id: str
    refund_id: str
    amount: int
    currency: str
    amount_refunded: int


@dataclass(eq=False)
class Payment(Aggregate):
    """One thing to be paid for, with as many attempts as it takes. All amounts are in minor units of `currency`.

    :param amount_refunded: went back for certain
    :param amount_refunding: is on its way back, or may be: pending and unknown refunds
    :param payment_method: the provider's token of the last attempt
    :param attempt_id: what the provider knows the last attempt by
    :param decline_code: why the last attempt was declined
    :param next_check_at: when to ask the provider about the attempt, unless its answer comes first
    """

    id: UUID
    customer_id: UUID
    amount: int
    currency: str
    description: str | None
    metadata: dict[str, str]
    reference: str | None
    created_at: datetime
    updated_at: datetime
    status: PaymentStatus = PaymentStatus.REQUIRES_PAYMENT_METHOD
    amount_captured: int = 0
    amount_refunded: int = 0
    amount_refunding: int = 0
    payment_method: str | None = None
    provider: str | None = None
    attempt_id: UUID | None = None
    decline_code: str | None = None
    next_check_at: datetime | None = None
    sequence: int = 0

    @classmethod
    def open(cls, *, id: UUID, customer_id: UUID, money: Money, details: Details, now: datetime) -> Self:
        payment = cls(
            id=id,
            customer_id=customer_id,
            amount=money.amount,
            currency=money.currency,
            description=details.description,
            metadata=dict(details.metadata),
            reference=details.reference,
            created_at=now,
            updated_at=now,
        )
        payment.record(PaymentCreated(str(id), str(customer_id), money.amount, money.currency))
        return payment

    # --- attempts ---

    def start_attempt(
        self, attempt_id: UUID, *, payment_method: str, provider: str, now: datetime, check_at: datetime
    ) -> None:
        """Note what is about to be asked of the provider, before it is asked.

        :param check_at: when the answer is overdue, so that an attempt whose process died is found
        """
        self._move(PaymentStatus.PROCESSING, now, check_at=check_at)
        self.attempt_id = attempt_id
        self.payment_method = payment_method
        self.provider = provider
        self.decline_code = None

    def awaits(self, attempt_id: UUID) -> bool:
        """Tell whether the outcome of this attempt is still open."""
        return self.attempt_id == attempt_id and self.status in (PaymentStatus.PROCESSING, PaymentStatus.UNKNOWN)

    def settle(self, outcome: Outcome, *, now: datetime, check_at: datetime) -> None:
        """Note what became of the attempt.

        :param check_at: when to ask the provider if it is not known
        """
        match outcome:
            case Succeeded():
                self._move(PaymentStatus.SUCCEEDED, now)
                self.amount_captured = self.amount
                self.record(PaymentSucceeded(str(self.id), str(self.customer_id), self.amount, self.currency))
            case Refused(decline_code):
                self._move(PaymentStatus.REQUIRES_PAYMENT_METHOD, now)
                self.decline_code = decline_code
                self.record(
                    PaymentFailed(str(self.id), str(self.customer_id), self.amount, self.currency, decline_code)
                )
            case NotExecuted():
                self._move(PaymentStatus.REQUIRES_PAYMENT_METHOD, now)
            case _:
                # MayHaveHappened: whatever is no clear answer must not be taken for one.
                self._move(PaymentStatus.UNKNOWN, now, check_at=check_at)

    def _move(self, status: PaymentStatus, now: datetime, *, check_at: datetime | None = None) -> None:
        if status not in TRANSITIONS[self.status]:
            raise IllegalTransition(f"a payment that is {self.status} cannot become {status}")
        self.status = status
        self.next_check_at = check_at
        self.updated_at = now

    # --- refunds ---

    @property
    def refundable(self) -> int:
        """What is left to refund. What may have gone back counts as gone."""
        return self.amount_captured - self.amount_refunded - self.amount_refunding

    def open_refund(
        self,
        *,
        id: UUID,
        attempt_id: UUID,
        amount: int | None,
        reason: str | None,
        requested_by: UUID,
        now: datetime,
        check_at: datetime,
    ) -> Refund:
        """Set money aside for a refund, before the provider is asked for it.

        :param amount: None for all that is left
        """
        if amount is not None:
            amount = Money(amount, self.currency).amount
        if self.status is not PaymentStatus.SUCCEEDED:
            raise PaymentNotRefundable(f"a payment that is {self.status} has nothing to refund")
        amount = self.refundable if amount is None else amount
        if not 1 <= amount <= self.refundable:
            left = written(self.refundable, self.currency)
            raise RefundExceedsCaptured(f"{left} can still be refunded", "/amount", refundable=self.refundable)
        self.amount_refunding += amount
        self.updated_at = now
        return Refund(
            id=id,
            payment_id=self.id,
            customer_id=self.customer_id,
            requested_by=requested_by,
            amount=amount,
            currency=self.currency,
            reason=reason,
            attempt_id=attempt_id,
            next_check_at=check_at,
            created_at=now,
            updated_at=now,
        )

    def settle_refund(self, refund: Refund, outcome: Outcome, *, now: datetime, check_at: datetime) -> None:
        """Note what became of a refund of this payment.

        :param check_at: when to ask the provider if it is not known
        """
        match outcome:
            case Succeeded():
                refund.move(RefundStatus.SUCCEEDED, now)
                self.amount_refunding -= refund.amount
                self.amount_refunded += refund.amount
                self.record(
                    PaymentRefunded(
                        id=str(self.id),
                        user_id=str(self.customer_id),
                        refund_id=str(refund.id),
                        amount=refund.amount,
                        currency=self.currency,
                        amount_refunded=self.amount_refunded,
                    )
                )
            case Refused(code):
                refund.move(RefundStatus.FAILED, now)
                refund.failure_code = code
                self.amount_refunding -= refund.amount
            case NotExecuted():
                refund.move(RefundStatus.CANCELED, now)
                self.amount_refunding -= refund.amount
            case _:
                refund.move(RefundStatus.UNKNOWN, now, check_at=check_at)
        self.updated_at = now
