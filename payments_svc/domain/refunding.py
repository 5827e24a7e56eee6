"""The part of a payment that gives money back."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from payments_svc.domain.ledger import REFUNDS_PAYABLE, SALES, Entry, Posting, PostingKind, move, provider_account
from payments_svc.domain.money import checked_amount, written
from payments_svc.domain.movements import Bookkeeping, Change, Deadlines
from payments_svc.domain.orders import Charge, GiveBack
from payments_svc.domain.outcome import Accepted, NotExecuted, Outcome, Refused, Succeeded
from payments_svc.domain.payment_errors import OperationInProgress
from payments_svc.domain.payment_events import PaymentRefunded, PaymentRefundFailed
from payments_svc.domain.payment_status import CaptureMethod, Operation, PaymentStatus
from payments_svc.domain.refund import PaymentNotRefundable, Refund, RefundExceedsCaptured, RefundStatus


class Refunding(Bookkeeping):
    """What `Payment` does with its refunds: it opens and settles them, and so keeps their sum in bounds."""

    customer_id: UUID
    amount: int
    currency: str
    capture_method: CaptureMethod
    payment_method: str | None
    attempt_id: UUID | None
    provider_reference: str | None
    status: PaymentStatus
    amount_captured: int
    amount_refunded: int
    amount_refunding: int
    provider: str | None
    operation: Operation | None
    updated_at: datetime

    def charge_order(self) -> Charge:
        """Return the last attempt as the provider was asked for it."""
        assert self.attempt_id is not None  # noqa: S101  (only asked for what was charged)
        assert self.payment_method is not None  # noqa: S101
        return Charge(
            attempt_id=self.attempt_id,
            payment_id=self.id,
            amount=self.amount,
            currency=self.currency,
            payment_method=self.payment_method,
            capture=self.capture_method is CaptureMethod.AUTOMATIC,
            reference=self.provider_reference,
        )

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
            amount = checked_amount(amount)
        if self.operation is not None:
            raise OperationInProgress
        if self.status is not PaymentStatus.SUCCEEDED:
            raise PaymentNotRefundable(f"a payment that is {self.status} has nothing to refund")
        amount = self.refundable if amount is None else amount
        if not 1 <= amount <= self.refundable:
            left = written(self.refundable, self.currency)
            raise RefundExceedsCaptured(f"{left} can still be refunded", "/amount", refundable=self.refundable)
        self.amount_refunding += amount
        self.updated_at = now
        refund = Refund(
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
        self._post(PostingKind.REFUND, refund, move(debit=SALES, credit=REFUNDS_PAYABLE, amount=amount))
        self.note(Change("refund.requested", RefundStatus.PENDING, RefundStatus.PENDING, amount, id))
        return refund

    def refund_order(self, refund: Refund) -> GiveBack:
        """Return the refund as the provider is asked for it."""
        return GiveBack(refund.attempt_id, self.charge_order(), refund.amount, refund.provider_reference)

    def settle_refund(self, refund: Refund, outcome: Outcome, *, now: datetime, deadlines: Deadlines) -> None:
        """Note what became of a refund of this payment. What is repeated or comes too late changes nothing."""
        before, code = refund.status, outcome.decline_code if isinstance(outcome, Refused) else None
        match outcome:
            case Succeeded(amount, reference) if refund.awaits_outcome and refund.can_be(amount):
                refund.move(RefundStatus.SUCCEEDED, now)
                refund.look_back(now)
                refund.provider_reference = reference or refund.provider_reference
                self.amount_refunding -= refund.amount
                self.amount_refunded += refund.amount
                entries = move(debit=REFUNDS_PAYABLE, credit=self._provider_account, amount=refund.amount)
                self._post(PostingKind.REFUND_SETTLEMENT, refund, entries)
                self._tell(refund)
            case Refused(why) if refund.awaits_outcome:
                self._fail(refund, why, now)
                self._take_back(refund)
            case Refused(why) if refund.status is RefundStatus.SUCCEEDED:
                self._fail(refund, why, now, returned=True)
            case NotExecuted() if refund.status is RefundStatus.PENDING:
                refund.move(RefundStatus.CANCELED, now)
                self._take_back(refund)
            case Accepted(reference) if refund.awaits_outcome:
                if refund.status is RefundStatus.UNKNOWN:
                    refund.move(RefundStatus.PENDING, now)
                refund.provider_reference = reference or refund.provider_reference
                refund.wait(deadlines.accepted)
            case _ if refund.awaits_outcome:
                # Whatever is no clear answer must not be taken for one.
                if refund.status is RefundStatus.PENDING:
                    refund.move(RefundStatus.UNKNOWN, now)
                refund.wait(deadlines.unknown)
            case Succeeded(amount) if refund.status is RefundStatus.SUCCEEDED and refund.can_be(amount):
                refund.look_back(now)
            case _ if refund.status is RefundStatus.SUCCEEDED:
                refund.look_back_later(now)
        if refund.status is not before:
            self.note(Change(f"refund.{refund.status}", before, refund.status, refund.amount, refund.id, code))
            self.updated_at = now

    @property
    def _provider_account(self) -> str:
        return provider_account(self.provider or "")

    def _fail(self, refund: Refund, code: str, now: datetime, *, returned: bool = False) -> None:
        """:param returned: after it had succeeded, so the provider owes us the amount again"""
        refund.move(RefundStatus.FAILED, now)
        refund.failure_code = code
        if returned:
            self.amount_refunded -= refund.amount
            entries = move(debit=self._provider_account, credit=SALES, amount=refund.amount)
            self._post(PostingKind.REFUND_RETURN, refund, entries)
        self.record(
            PaymentRefundFailed(
                id=str(self.id),
                user_id=str(self.customer_id),
                refund_id=str(refund.id),
                amount=refund.amount,
                currency=self.currency,
                amount_refunded=self.amount_refunded,
                failure_code=code,
            )
        )

    def _take_back(self, refund: Refund) -> None:
        """Undo what was set aside."""
        self.amount_refunding -= refund.amount
        entries = move(debit=REFUNDS_PAYABLE, credit=SALES, amount=refund.amount)
        self._post(PostingKind.REFUND_REVERSAL, refund, entries)

    def _tell(self, refund: Refund) -> None:
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

    def _post(self, kind: PostingKind, refund: Refund, entries: tuple[Entry, Entry]) -> None:
        self.post(Posting(kind, refund.id, self.id, refund.id, self.customer_id, self.currency, entries))
