"""Payments: what a customer owes, what was set aside, what was captured, what went back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from payments_svc.domain.details import Details
from payments_svc.domain.idempotency import has_left
from payments_svc.domain.money import Money, checked_amount, written
from payments_svc.domain.movements import Change
from payments_svc.domain.orders import Authentication, Capture, Order, Void
from payments_svc.domain.payment_errors import (
    CaptureExceedsAuthorized,
    OperationInProgress,
    PaymentMethodRequired,
    PaymentNotCancelable,
    PaymentNotCapturable,
    PaymentNotConfirmable,
)
from payments_svc.domain.payment_events import PaymentCreated
from payments_svc.domain.payment_status import (
    CHARGEABLE,
    FINAL,
    CancellationReason,
    CaptureMethod,
    Operation,
    OperationStatus,
    PaymentStatus,
)
from payments_svc.domain.settling import Settling

P = PaymentStatus


@dataclass(eq=False)
class Payment(Settling):
    """One thing to be paid for, with as many attempts as it takes. All amounts are in minor units of `currency`.

    :param amount_capturable: is set aside and waits for its capture
    :param amount_refunded: went back for certain
    :param amount_refunding: is on its way back, or may be: pending and unknown refunds
    :param payment_method: the provider's token of the last attempt; for the provider, and shown if the caller gave it
    :param payment_method_id: under which the customer keeps it, or kept it then; None if the caller gave the token
    :param attempt_id: what the provider knows the last attempt by
    :param provider_reference: the provider's own id of it
    :param decline_code: why the last attempt, or the last capture or cancellation, was refused
    :param next_action: what the customer has to do while `status` is ``requires_action``
    :param action_until: how long the customer of the last attempt may take to act, if they have or had to
    :param authorized_until: when the provider lets go of what is set aside
    :param operation: what is under way at the provider, with its own attempt id, amount and status
    :param next_check_at: when to look at it again, unless something happens first
    :param checks: how often the provider was asked since the outcome is open
    :param version: grows with each change that is kept
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
    status: PaymentStatus = P.REQUIRES_PAYMENT_METHOD
    capture_method: CaptureMethod = CaptureMethod.AUTOMATIC
    amount_capturable: int = 0
    amount_captured: int = 0
    amount_refunded: int = 0
    amount_refunding: int = 0
    payment_method: str | None = None
    payment_method_id: UUID | None = None
    provider: str | None = None
    attempt_id: UUID | None = None
    provider_reference: str | None = None
    decline_code: str | None = None
    next_action: dict[str, Any] | None = None
    authorized_until: datetime | None = None
    action_until: datetime | None = None
    cancellation_reason: CancellationReason | None = None
    operation: Operation | None = None
    operation_id: UUID | None = None
    operation_amount: int | None = None
    operation_status: OperationStatus | None = None
    operation_started_at: datetime | None = None
    authentication: str | None = None
    next_check_at: datetime | None = None
    checks: int = 0
    version: int = 0
    sequence: int = 0

    @classmethod
    def open(
        cls,
        *,
        id: UUID,
        customer_id: UUID,
        money: Money,
        details: Details,
        now: datetime,
        capture_method: CaptureMethod = CaptureMethod.AUTOMATIC,
        payment_method: str | None = None,
        payment_method_id: UUID | None = None,
        provider: str | None = None,
    ) -> Self:
        """:param payment_method: to be charged when the payment is confirmed; `provider` knows it"""
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
            status=P.REQUIRES_PAYMENT_METHOD if payment_method is None else P.REQUIRES_CONFIRMATION,
            capture_method=capture_method,
            payment_method=payment_method,
            payment_method_id=payment_method_id,
            provider=provider,
        )
        payment.record(PaymentCreated(str(id), str(customer_id), money.amount, money.currency))
        payment.note(Change("payment.created", payment.status, payment.status, money.amount))
        return payment

    # --- what is asked of the provider: noted before it is asked ---

    def begin_charge(
        self,
        attempt_id: UUID,
        *,
        payment_method: str | None,
        payment_method_id: UUID | None = None,
        provider: str,
        now: datetime,
        check_at: datetime,
    ) -> None:
        """Begin an attempt.

        :param payment_method: None for the one that the payment has, unless that was declined
        :param payment_method_id: of a kept one
        :param check_at: when the answer is overdue, so that an attempt whose process died is found
        """
        self._refuse_second_operation()
        if self.status not in CHARGEABLE:
            raise PaymentNotConfirmable(f"a payment that is {self.status} cannot be confirmed")
        if payment_method is None and self.payment_method is not None and self.decline_code is None:
            payment_method, payment_method_id = self.payment_method, self.payment_method_id
            provider = self.provider or provider
        if payment_method is None:
            raise PaymentMethodRequired("this payment needs a payment method", "/payment_method")
        before = self.status
        self._move(P.PROCESSING, now)
        self.attempt_id = attempt_id
        self.payment_method, self.payment_method_id = payment_method, payment_method_id
        self.provider = provider
        self.provider_reference = None
        self.decline_code = self.action_until = None
        self._begin(Operation.CHARGE, attempt_id, self.amount, before, now, check_at)

    def begin_authentication(self, attempt_id: UUID, *, result: str | None, now: datetime, check_at: datetime) -> None:
        """The customer has acted; go on with the charge."""
        self._refuse_second_operation()
        if self.status is not P.REQUIRES_ACTION:
            raise PaymentNotConfirmable(f"a payment that is {self.status} cannot be confirmed")
        self._move(P.PROCESSING, now)
        self.authentication = result
        self._begin(Operation.AUTHENTICATE, attempt_id, self.amount, P.REQUIRES_ACTION, now, check_at)

    def begin_capture(self, attempt_id: UUID, *, amount: int | None, now: datetime, check_at: datetime) -> None:
        """Begin to take what was set aside.

        :param amount: None for all of it; of less, the rest is let go
        """
        if amount is not None:
            amount = checked_amount(amount)
        self._refuse_second_operation()
        if self.status is not P.REQUIRES_CAPTURE:
            raise PaymentNotCapturable(f"a payment that is {self.status} has nothing to capture")
        amount = self.amount_capturable if amount is None else amount
        if amount > self.amount_capturable:
            most = written(self.amount_capturable, self.currency)
            raise CaptureExceedsAuthorized(f"{most} can be captured", "/amount", capturable=self.amount_capturable)
        self.decline_code = None
        self._begin(Operation.CAPTURE, attempt_id, amount, self.status, now, check_at)

    def begin_cancel(self, attempt_id: UUID, *, reason: CancellationReason, now: datetime, check_at: datetime) -> None:
        """Cancel it: at once if no provider knows of it (`operation` is None then), else by asking the provider."""
        self._refuse_second_operation()
        if self.status not in CHARGEABLE | {P.REQUIRES_ACTION, P.REQUIRES_CAPTURE}:
            raise PaymentNotCancelable(f"a payment that is {self.status} cannot be canceled")
        before = self.status
        if before in CHARGEABLE:
            self._cancel(reason, now)
            self.note(Change("payment.canceled", before, self.status))
            return
        self.cancellation_reason, self.decline_code = reason, None
        self._begin(Operation.CANCEL, attempt_id, None, before, now, check_at)

    def _refuse_second_operation(self) -> None:
        if self.operation is not None:
            raise OperationInProgress

    def _begin(
        self,
        operation: Operation,
        attempt_id: UUID,
        amount: int | None,
        before: PaymentStatus,
        now: datetime,
        check_at: datetime,
    ) -> None:
        self.operation, self.operation_id, self.operation_amount = operation, attempt_id, amount
        self.operation_status, self.operation_started_at = OperationStatus.PENDING, now
        self.next_check_at, self.checks, self.updated_at = check_at, 0, now
        self.note(Change(f"{operation}.requested", before, self.status, amount))

    def order(self) -> Order:
        """Return what is under way as the provider is asked for it; without an operation, the charge itself."""
        charge = self.charge_order()
        if self.operation_id is None:
            return charge
        match self.operation:
            case Operation.AUTHENTICATE:
                return Authentication(self.operation_id, charge, self.authentication)
            case Operation.CAPTURE:
                return Capture(self.operation_id, charge, self.operation_amount or 0)
            case Operation.CANCEL:
                return Void(self.operation_id, charge)
        return charge

    def awaits(self, attempt_id: UUID) -> bool:
        """Tell whether this attempt's outcome is to be settled: it is under way, or nothing is and it is the last
        charge."""
        return attempt_id == (self.operation_id or self.attempt_id)

    def can_repeat(self, attempt_id: UUID) -> bool:
        """Tell whether that attempt was not executed, and can be made again: nobody has made another since."""
        is_last = self.attempt_id == attempt_id and self.decline_code is None
        return is_last and self.operation is None and self.status in CHARGEABLE

    def resume(self, now: datetime) -> None:
        """Send what is under way once more; it may be on its way for as long as what was sent first."""
        if self.operation is not None:
            self.operation_started_at = now

    def began_before(self, moment: datetime) -> bool:
        """Tell whether what is under way was begun, or sent again, by then."""
        return self.operation_started_at is not None and self.operation_started_at <= moment

    def is_left(self, now: datetime, patience: timedelta) -> bool:
        """Tell whether the process that is at it must be dead."""
        return self.operation_started_at is not None and has_left(self.operation_started_at, now, patience)

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def is_chargeable(self) -> bool:
        return self.status in CHARGEABLE

    @property
    def shown_method(self) -> str | None:
        """What stands for its means of payment wherever somebody can read it: a kept one's id, never its token."""
        return self.payment_method if self.payment_method_id is None else str(self.payment_method_id)

    @property
    def needs_means(self) -> bool:
        """Whether it cannot be charged with the means of payment that it has."""
        return self.is_chargeable and (self.payment_method is None or self.decline_code is not None)
