"""Ask the provider what became of a payment, and settle it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from payments_svc.application.history_ports import SYSTEM, By
from payments_svc.application.operations import Task, carry_out, keep, look_up, settle
from payments_svc.application.ports import Ports, UnitOfWork
from payments_svc.domain.customer import Customer
from payments_svc.domain.outcome import (
    Accepted,
    ActionRequired,
    Authorized,
    MayHaveHappened,
    NotExecuted,
    Outcome,
    Refused,
    Succeeded,
    Voided,
)
from payments_svc.domain.payment import Payment
from payments_svc.domain.payment_errors import OperationInProgress
from payments_svc.domain.payment_status import CancellationReason, Operation, OperationStatus, PaymentStatus

Begun = TypeVar("Begun")
DEFINITE = (Succeeded, Authorized, Refused, Voided)
OF_CHARGE = (Operation.CHARGE, Operation.AUTHENTICATE)


def once_known(ports: Ports, payment_id: UUID, begin: Callable[[], Begun]) -> Begun:
    """Begin something; if something else is open at the provider, ask what became of that, and try once more.

    :raises OperationInProgress: it is still open
    """
    try:
        return begin()
    except OperationInProgress:
        if not check_payment(ports, payment_id):
            raise
    return begin()


def check_payment(ports: Ports, payment_id: UUID, by: By = SYSTEM, *, due: bool = False) -> bool:
    """Ask, and settle the answer; return whether the payment has changed.

    State comes from the provider's answer only, so whoever calls, in any order and as often as they like, ends in the
    same state.

    :param due: its time has come (`Payment.next_check_at`): a customer who had to act has not
    """
    with ports.unit_of_work() as uow:
        payment = uow.payments.look(payment_id)
    if payment.attempt_id is None or payment.is_final:
        return False
    if payment.operation is None:
        return _listen(ports, payment, by, due=due)
    if payment.operation_status is OperationStatus.PENDING:
        return _take_over(ports, payment, by)
    task = _task(payment, by)
    return _noted(ports, payment, task, _found_out(ports, payment, task))


def _listen(ports: Ports, payment: Payment, by: By, *, due: bool) -> bool:
    """Nothing is under way; ask what the last charge has become."""
    task = _task(payment, by)
    known = look_up(ports.providers[task.provider], task.order)
    if payment.status is PaymentStatus.REQUIRES_ACTION and due and isinstance(known, ActionRequired | None):
        return _give_up(ports, payment, by)
    return _noted(ports, payment, task, known or MayHaveHappened())


def _give_up(ports: Ports, seen: Payment, by: By) -> bool:
    """Cancel a charge whose customer did not act."""
    now = ports.now()
    with ports.unit_of_work() as uow:
        payment = uow.payments.get(seen.id)
        if payment.version != seen.version:
            return False
        overdue = now + ports.rules.patience
        payment.begin_cancel(ports.new_id(), reason=CancellationReason.ABANDONED, now=now, check_at=overdue)
        keep(uow, payment, by, now)
        uow.commit()
    task = replace(_task(payment, by), is_first=True)
    return _noted(ports, payment, task, carry_out(ports, task))


def _take_over(ports: Ports, seen: Payment, by: By) -> bool:
    """Complete an operation whose process is dead. What a living one is doing is left to it, unless the outcome is
    there already.
    """
    now = ports.now()
    task = _task(seen, by)
    with ports.unit_of_work() as uow:
        claim = uow.claims.find(task.attempt_id)
        payment = uow.payments.get(seen.id)
        if payment.version != seen.version:
            return False
        is_dead = (claim or payment).began_before(now - ports.rules.patience)
        if is_dead:
            run = None if claim is None else claim.resume(now)
            task = replace(task, run=run, anew=_may_be_executed(uow, payment, now))
            uow.commit()
    outcome = carry_out(ports, task) if is_dead else look_up(ports.providers[task.provider], task.order)
    if is_dead or isinstance(outcome, DEFINITE):
        return _noted(ports, seen, task, outcome or MayHaveHappened())
    return False


def _may_be_executed(uow: UnitOfWork, payment: Payment, now: datetime) -> bool:
    """A disabled customer pays nothing any more; what was set aside or begun is finished all the same."""
    return payment.operation not in OF_CHARGE or uow.customers.add_or_get(Customer(payment.customer_id, now)).is_active


def _found_out(ports: Ports, payment: Payment, task: Task) -> Outcome:
    """Return what became of an operation that is unknown, or that the provider is at."""
    if payment.operation in OF_CHARGE:
        known = look_up(ports.providers[task.provider], task.order)
        outcome = known or _silence(ports, payment)
    else:
        # The same attempt again is the same operation: if it was not executed so far, it is now.
        outcome = carry_out(ports, task)
    still = payment.operation_status is OperationStatus.ACCEPTED and isinstance(outcome, MayHaveHappened)
    return Accepted() if still else outcome


def _silence(ports: Ports, payment: Payment) -> Outcome:
    """The provider knows nothing of a charge: believe it only after a while, as what was sent may still be on its way.

    What it has accepted it cannot forget.
    """
    is_unknown = payment.operation_status is OperationStatus.UNKNOWN
    is_old = payment.began_before(ports.now() - ports.rules.forget_after)
    return NotExecuted("provider_unreachable") if is_unknown and is_old else MayHaveHappened()


def _task(payment: Payment, by: By) -> Task:
    """Return what the payment awaits, or its last charge, as a task that holds no claim."""
    order = payment.order()
    return Task(
        attempt_id=order.attempt_id,
        payment_id=payment.id,
        refund_id=None,
        provider=payment.provider or "",
        order=order,
        word=str(payment.operation or Operation.CHARGE),
        run=None,
        by=by,
        is_first=False,
    )


def _noted(ports: Ports, seen: Payment, task: Task, outcome: Outcome) -> bool:
    """Settle it; return whether that changed anything."""
    settled = settle(ports, task, outcome)
    return settled.is_ours and _state(settled.entity) != _state(seen)


def _state(payment: Any) -> tuple[Any, ...]:
    return payment.status, payment.operation, payment.operation_status
