"""Ask the provider what became of a payment, and settle it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from payments_svc.application.history_ports import SYSTEM, By
from payments_svc.application.operations import carry_out, look_up
from payments_svc.application.ports import Ports, UnitOfWork
from payments_svc.application.settlement import Settled, Task, keep, seen_as, settle
from payments_svc.domain.customer import Customer
from payments_svc.domain.outcome import (
    DEFINITE,
    Accepted,
    ActionRequired,
    Authorized,
    MayHaveHappened,
    NotExecuted,
    Outcome,
    ProviderBusy,
    Refused,
    Succeeded,
    Voided,
    refusal_of,
)
from payments_svc.domain.payment import Payment
from payments_svc.domain.payment_errors import OperationInProgress
from payments_svc.domain.payment_status import CancellationReason, Operation, OperationStatus, PaymentStatus

Begun = TypeVar("Begun")
LOOKS = 2
"""How often to look at something that changes while it is looked at."""
OF_CHARGE = (Operation.CHARGE, Operation.AUTHENTICATE)


def once_known(ports: Ports, payment_id: UUID, begin: Callable[[], Begun]) -> Begun:
    """Begin something; if something else is open at the provider, ask what became of that, and try once more.

    :raises OperationInProgress: it is still open, or nobody would wait for what is begun after asking
    """
    try:
        return begin()
    except OperationInProgress:
        if not has_time(ports) or not check_payment(ports, payment_id) or not has_time(ports):
            raise
    return begin()


class AttemptMayBeKnown(Exception):
    """The last attempt is believed not to have been executed, and nobody has made sure."""


def once_sure(ports: Ports, payment_id: UUID, begin: Callable[[int | None], Begun]) -> Begun:
    """Begin something as `once_known` does; before anything that must not come after a charge, ask about the last one.

    :param begin: given the version of the payment about whose last attempt the provider was asked, None so far; calls
        `make_sure`
    """
    try:
        return once_known(ports, payment_id, lambda: begin(None))
    except AttemptMayBeKnown:
        sure_of = _ask_about_last(ports, payment_id)
    return once_known(ports, payment_id, lambda: begin(sure_of))


def make_sure(payment: Payment, sure_of: int | None) -> None:
    """Let nothing begin while the provider may know better of an attempt that is believed not to have been executed.

    :raises AttemptMayBeKnown: nobody has asked; `once_sure` does
    :raises OperationInProgress: the payment has changed since somebody did
    """
    if payment.may_be_known and payment.version != sure_of:
        raise AttemptMayBeKnown if sure_of is None else OperationInProgress


def _ask_about_last(ports: Ports, payment_id: UUID) -> int:
    """Ask about an attempt that is believed not to have been executed, and settle it if it was.

    :returns: the version of the payment that was asked about: in another one it is not certain any more
    :raises OperationInProgress: the provider is at it, or there is no time to ask
    :raises ProviderUnreachable: it does not tell
    :raises ProviderBusy: it wants us to wait
    """
    if not has_time(ports):
        raise OperationInProgress
    with ports.unit_of_work() as uow:
        payment = uow.payments.look(payment_id)
    task = _task(payment, SYSTEM)
    match look_up(ports, task.provider, task.order):
        case Succeeded() | Authorized() as done:
            settle(ports, task, done)
        case None | Refused() | Voided():
            pass
        case MayHaveHappened() as silence:
            answered(silence)
            raise refusal_of(NotExecuted("provider_unreachable"))
        case begun:
            settle(ports, task, begun)
            raise OperationInProgress
    return payment.version


def has_time(ports: Ports) -> bool:
    """Tell whether the caller is going to wait for as long as a question to a provider may take."""
    return ports.time_left() >= ports.rules.look_time


def check_payment(ports: Ports, payment_id: UUID, by: By = SYSTEM, *, due: bool = False) -> bool:
    """Ask, and settle the answer; return whether the payment has changed.

    State comes from the provider's answer only, so whoever calls, in any order and as often as they like, ends in the
    same state.

    :param due: its time has come (`Payment.next_check_at`): a customer who had to act has not
    :raises ProviderBusy: if it is due, and the provider wants us to wait: this was no look, and does not count as one
    """
    for _ in range(LOOKS):
        with ports.unit_of_work() as uow:
            payment = uow.payments.look(payment_id)
        if payment.attempt_id is None or payment.is_final:
            return False
        try:
            settled = _look(ports, payment, by, due=due)
        except ProviderBusy:
            if due:
                raise
            settled = None
        if settled is None:
            return False
        if settled.is_ours:
            return _state(settled.entity) != _state(payment)
        # It has changed while we asked, so that the answer was about the past; what was news in it must not be lost.
    return False


def _look(ports: Ports, payment: Payment, by: By, *, due: bool) -> Settled | None:
    """Return None if there is nothing to settle: what a living process is doing is left to it."""
    task = _task(payment, by, due=due or is_past(payment.next_check_at, ports.now()))
    if payment.operation is None:
        return _listen(ports, payment, task, due=due)
    if payment.operation_status is OperationStatus.PENDING:
        return _take_over(ports, payment, task)
    return settle(ports, task, _found_out(ports, payment, task))


def _listen(ports: Ports, payment: Payment, task: Task, *, due: bool) -> Settled:
    """Nothing is under way; ask what the last charge has become."""
    known = answered(look_up(ports, task.provider, task.order))
    if payment.status is PaymentStatus.REQUIRES_ACTION and due and isinstance(known, ActionRequired | None):
        return _give_up(ports, payment, task.by)
    return settle(ports, task, known or MayHaveHappened())


def _give_up(ports: Ports, seen: Payment, by: By) -> Settled:
    """Cancel a charge whose customer did not act."""
    now = ports.now()
    with ports.unit_of_work() as uow:
        payment = uow.payments.get(seen.id)
        if payment.version != seen.version:
            return Settled(None, payment, is_ours=False)
        overdue = now + ports.rules.patience
        payment.begin_cancel(ports.new_id(), reason=CancellationReason.ABANDONED, now=now, check_at=overdue)
        keep(uow, payment, by, now)
        uow.commit()
    task = replace(_task(payment, by), is_first=True)
    return settle(ports, task, carry_out(ports, task))


def _take_over(ports: Ports, seen: Payment, task: Task) -> Settled | None:
    """Complete an operation whose process is dead. What a living one is doing is left to it, unless the outcome is
    there already.
    """
    now = ports.now()
    with ports.unit_of_work() as uow:
        claim = uow.claims.find(task.attempt_id)
        payment = uow.payments.get(seen.id)
        if payment.version != seen.version:
            return Settled(claim, payment, is_ours=False)
        is_dead = (claim or payment).is_left(now, ports.rules.patience)
        if is_dead:
            run = None if claim is None else claim.resume(now)
            payment.resume(now)
            keep(uow, payment, task.by, now)
            task = replace(task, run=run, seen=seen_as(payment), anew=_may_be_executed(uow, payment, now))
            uow.commit()
    outcome = answered(carry_out(ports, task) if is_dead else look_up(ports, task.provider, task.order))
    if is_dead or isinstance(outcome, DEFINITE):
        return settle(ports, task, outcome or MayHaveHappened())
    return None


def _may_be_executed(uow: UnitOfWork, payment: Payment, now: datetime) -> bool:
    """A disabled customer pays nothing any more; what was set aside or begun is finished all the same."""
    return payment.operation not in OF_CHARGE or uow.customers.add_or_get(Customer(payment.customer_id, now)).is_active


def _found_out(ports: Ports, payment: Payment, task: Task) -> Outcome:
    """Return what became of an operation that is unknown, or that the provider is at."""
    if payment.operation in OF_CHARGE:
        known = answered(look_up(ports, task.provider, task.order))
        if known is None and payment.operation is Operation.AUTHENTICATE:
            known = _became(ports, payment, task)
        outcome = known or _silence(ports, payment)
    else:
        # The same attempt again is the same operation: if it was not executed so far, it is now.
        outcome = answered(carry_out(ports, task)) or MayHaveHappened()
    still = payment.operation_status is OperationStatus.ACCEPTED and isinstance(outcome, MayHaveHappened)
    return Accepted() if still else outcome


def _became(ports: Ports, payment: Payment, task: Task) -> Outcome | None:
    """The provider was never told that the customer has acted; it may know that from the customer's bank."""
    known = answered(look_up(ports, task.provider, payment.charge_order()))
    return known if isinstance(known, DEFINITE) else None


def answered(outcome: Outcome | None) -> Outcome | None:
    """Return it, unless there is none because the provider wants us to wait.

    :raises ProviderBusy: it does
    """
    if isinstance(outcome, MayHaveHappened) and outcome.retry_after is not None:
        raise refusal_of(NotExecuted("provider_busy", outcome.retry_after))
    return outcome


def _silence(ports: Ports, payment: Payment) -> Outcome:
    """The provider knows nothing of a charge: believe it only after a while, as what was sent may still be on its way.

    What it has accepted it cannot forget.
    """
    is_unknown = payment.operation_status is OperationStatus.UNKNOWN
    is_old = payment.began_before(ports.now() - ports.rules.forget_after)
    return NotExecuted("provider_unreachable") if is_unknown and is_old else MayHaveHappened()


def is_past(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _task(payment: Payment, by: By, *, due: bool = True) -> Task:
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
        seen=seen_as(payment),
        due=due,
    )


def _state(payment: Any) -> tuple[Any, ...]:
    return payment.status, payment.operation, payment.operation_status
