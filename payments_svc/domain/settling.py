"""The part of a payment that takes in what the provider says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from payments_svc.domain.ledger import SALES, Posting, PostingKind, move
from payments_svc.domain.movements import Change, Deadlines
from payments_svc.domain.outcome import (
    Accepted,
    ActionRequired,
    Authorized,
    NotExecuted,
    Outcome,
    Refused,
    Succeeded,
    Voided,
)
from payments_svc.domain.payment_errors import IllegalTransition
from payments_svc.domain.payment_events import PaymentAuthorized, PaymentCanceled, PaymentFailed, PaymentSucceeded
from payments_svc.domain.payment_status import (
    CHARGEABLE,
    FINAL,
    TRANSITIONS,
    CancellationReason,
    Operation,
    OperationStatus,
    PaymentStatus,
)
from payments_svc.domain.refunding import Refunding

P = PaymentStatus


class Settling(Refunding):
    """What `Payment` makes of a provider's words. The fields are those of `Payment`."""

    amount_capturable: int
    decline_code: str | None
    next_action: dict[str, Any] | None
    authorized_until: datetime | None
    action_until: datetime | None
    cancellation_reason: CancellationReason | None
    operation_id: UUID | None
    operation_amount: int | None
    operation_status: OperationStatus | None
    operation_started_at: datetime | None
    authentication: str | None
    next_check_at: datetime | None
    checks: int

    @property
    def may_be_known(self) -> bool:
        """Whether it waits for another attempt after one that is believed not to have been executed: the provider may
        know better."""
        return self.attempt_id is not None and self.status in CHARGEABLE and self.decline_code is None

    def settle(self, outcome: Outcome, *, now: datetime, deadlines: Deadlines) -> None:
        """Note what the provider says: of the operation under way, or of the last charge if there is none.

        What is final stays as it is, and what says nothing new changes nothing. Whatever is no clear answer is not
        taken for one.
        """
        if self.status in FINAL or self.attempt_id is None:
            return
        before, operation, amount = self.status, self.operation, self.operation_amount
        open_before = (operation, self.operation_status)
        match operation:
            case Operation.CHARGE | Operation.AUTHENTICATE:
                self._settle_charge(outcome, now, deadlines)
            case Operation.CAPTURE:
                self._settle_capture(outcome, now, deadlines)
            case Operation.CANCEL:
                self._settle_cancel(outcome, now, deadlines)
            case _:
                self._hear(outcome, now, deadlines)
        if self.status is not before or (self.operation, self.operation_status) != open_before:
            code = outcome.decline_code if isinstance(outcome, Refused) else None
            self.note(Change(f"{operation or 'payment'}.{_word(outcome)}", before, self.status, amount, code=code))

    def _settle_charge(self, outcome: Outcome, now: datetime, deadlines: Deadlines) -> None:
        match outcome:
            case Succeeded(amount, reference) if self._can_be(amount):
                self._succeed(amount or self.amount, reference, now)
            case Authorized(until, reference):
                self._authorize(until, reference, now)
            case ActionRequired(action, reference):
                self._require_action(action, reference, now, deadlines)
            case Accepted(reference):
                self._accept(reference, now, deadlines)
            case Refused(code):
                self._decline(code, now)
            case Voided(reason):
                self._cancel(_WHY[reason], now)
            case NotExecuted() if self.operation is Operation.AUTHENTICATE:
                self._move(P.REQUIRES_ACTION, now)
                self._end_operation()
                self.next_check_at = self._given_up_at(now, deadlines)
            case NotExecuted():
                self._move(P.REQUIRES_PAYMENT_METHOD, now)
                self._end_operation()
            case _:
                self._stay_open(now, deadlines)

    def _settle_capture(self, outcome: Outcome, now: datetime, deadlines: Deadlines) -> None:
        match outcome:
            case Succeeded(amount, reference) if self._can_be(amount):
                self._succeed(amount or self.operation_amount or self.amount, reference, now)
            case Voided(reason):
                self._cancel(_WHY[reason], now)
            case Accepted(reference):
                self._accept(reference, now, deadlines)
            case Refused(code):
                self._fall_back(code, now, deadlines)
            case NotExecuted():
                self._fall_back(None, now, deadlines)
            case _:
                self._stay_open(now, deadlines)

    def _settle_cancel(self, outcome: Outcome, now: datetime, deadlines: Deadlines) -> None:
        match outcome:
            case Voided(reason):
                self._cancel(self.cancellation_reason or _WHY[reason], now)
            case Accepted(reference):
                self._accept(reference, now, deadlines)
            case Refused(code):
                self._fall_back(code, now, deadlines)
            case NotExecuted():
                self._fall_back(None, now, deadlines)
            case _:
                self._stay_open(now, deadlines)

    def _hear(self, outcome: Outcome, now: datetime, deadlines: Deadlines) -> None:
        """Nothing is under way as far as we know: this is what the provider says of the last charge."""
        waits = self.status in (P.REQUIRES_ACTION, P.REQUIRES_CAPTURE)
        match outcome:
            case Succeeded(amount, reference) if self._can_be(amount):
                self._succeed(amount or self.amount, reference, now)
            case Authorized(until) if self.status is P.REQUIRES_CAPTURE:
                self.authorized_until, self.next_check_at = until, max(until, deadlines.unknown)
            case Authorized(until, reference):
                self._authorize(until, reference, now)
            case Voided(reason) if waits:
                self._cancel(_WHY[reason], now)
            case Refused(code) if self.status is P.REQUIRES_ACTION:
                self._decline(code, now)
            case ActionRequired(action, reference) if self.may_be_known:
                self._require_action(action, reference, now, deadlines)
            case Accepted(reference) if self.status is P.REQUIRES_ACTION or self.may_be_known:
                self._move(P.PROCESSING, now)
                self.operation, self.operation_id, self.operation_amount = (
                    Operation.CHARGE,
                    self.attempt_id,
                    self.amount,
                )
                self.operation_started_at, self.next_action, self.checks = now, None, 0
                self._accept(reference, now, deadlines)
            case _ if waits:
                self.next_check_at = max(self.next_check_at or now, deadlines.unknown)
                self.checks += 1

    def _can_be(self, amount: int | None) -> bool:
        """Tell whether the provider can have taken that amount; None is what was asked for."""
        return amount is None or 1 <= amount <= self.amount

    def _succeed(self, captured: int, reference: str | None, now: datetime) -> None:
        self._move(P.SUCCEEDED, now)
        self._end_operation()
        self._keep_reference(reference)
        self.amount_captured, self.amount_capturable = captured, 0
        self.authorized_until = self.decline_code = None
        entries = move(debit=self._provider_account, credit=SALES, amount=captured)
        self.post(Posting(PostingKind.CAPTURE, self.id, self.id, None, self.customer_id, self.currency, entries))
        self.record(PaymentSucceeded(str(self.id), str(self.customer_id), captured, self.currency))

    def _authorize(self, until: datetime, reference: str | None, now: datetime) -> None:
        self._move(P.REQUIRES_CAPTURE, now)
        self._end_operation()
        self._keep_reference(reference)
        self.amount_capturable, self.decline_code = self.amount, None
        self.authorized_until = self.next_check_at = until
        self.record(PaymentAuthorized(str(self.id), str(self.customer_id), self.amount, self.currency))

    def _require_action(
        self, action: Mapping[str, Any], reference: str | None, now: datetime, deadlines: Deadlines
    ) -> None:
        self._move(P.REQUIRES_ACTION, now)
        self._end_operation()
        self._keep_reference(reference)
        self.next_action, self.action_until = dict(action), self.action_until or deadlines.action
        self.next_check_at = self._given_up_at(now, deadlines)

    def _accept(self, reference: str | None, now: datetime, deadlines: Deadlines) -> None:
        if self.status is P.UNKNOWN:
            self._move(P.PROCESSING, now)
        self._keep_reference(reference)
        self._wait(OperationStatus.ACCEPTED, deadlines.accepted, now)

    def _stay_open(self, now: datetime, deadlines: Deadlines) -> None:
        if self.status is P.PROCESSING:
            self._move(P.UNKNOWN, now)
        self._wait(OperationStatus.UNKNOWN, deadlines.unknown, now)

    def _wait(self, status: OperationStatus, until: datetime, now: datetime) -> None:
        self.operation_status, self.next_check_at, self.updated_at = status, until, now
        self.checks += 1

    def _decline(self, code: str, now: datetime) -> None:
        self._move(P.REQUIRES_PAYMENT_METHOD, now)
        self._end_operation()
        self.decline_code = code
        self.record(PaymentFailed(str(self.id), str(self.customer_id), self.amount, self.currency, code))

    def _fall_back(self, code: str | None, now: datetime, deadlines: Deadlines) -> None:
        """A capture or cancellation did not happen: as before, except that a refusal makes us look at the charge soon.

        The provider sees it in another state than we do, perhaps.
        """
        self._end_operation()
        self.decline_code, self.cancellation_reason, self.updated_at = code, None, now
        until = self.authorized_until or self._given_up_at(now, deadlines)
        self.next_check_at = until if code is None else min(until, deadlines.unknown)

    def _given_up_at(self, now: datetime, deadlines: Deadlines) -> datetime:
        """Return when a customer who has to act is given up on: whatever was tried in between gives no more time."""
        until = self.action_until or deadlines.action
        return until if until > now else deadlines.unknown

    def _cancel(self, reason: CancellationReason, now: datetime) -> None:
        self._move(P.CANCELED, now)
        self._end_operation()
        self.cancellation_reason = reason
        self.amount_capturable, self.authorized_until = 0, None
        self.record(PaymentCanceled(str(self.id), str(self.customer_id), self.amount, self.currency, reason))

    def _keep_reference(self, reference: str | None) -> None:
        self.provider_reference = self.provider_reference or reference

    def _end_operation(self) -> None:
        self.operation = self.operation_id = self.operation_amount = None
        self.operation_status = self.operation_started_at = self.authentication = None
        self.next_check_at, self.checks = None, 0
        if self.status is not P.REQUIRES_ACTION:
            self.next_action = None

    def _move(self, status: PaymentStatus, now: datetime) -> None:
        if status not in TRANSITIONS[self.status]:
            raise IllegalTransition(f"a payment that is {self.status} cannot become {status}")
        self.status = status
        self.updated_at = now


_WHY: Mapping[str, CancellationReason] = {
    "canceled": CancellationReason.PROVIDER,
    "expired": CancellationReason.EXPIRED,
    "abandoned": CancellationReason.ABANDONED,
}
_WORDS = {"MayHaveHappened": "unknown", "NotExecuted": "not_executed", "ActionRequired": "action_required"}


def _word(outcome: Outcome) -> str:
    """Return the outcome as a word of the history."""
    name = type(outcome).__name__
    return _WORDS.get(name, name.lower())
