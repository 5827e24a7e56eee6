"""Ask the provider what became of a refund, and settle it."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from payments_svc.application.check_payment import LOOKS, answered, has_time, is_past
from payments_svc.application.history_ports import SYSTEM, By
from payments_svc.application.operations import carry_out, look_up
from payments_svc.application.ports import Ports
from payments_svc.application.settlement import Settled, Task, seen_as, settle
from payments_svc.domain.idempotency import ClaimStatus
from payments_svc.domain.outcome import Accepted, MayHaveHappened, Outcome, ProviderBusy, Refused, Succeeded
from payments_svc.domain.payment import Payment
from payments_svc.domain.refund import Refund, RefundStatus

DEFINITE = (Succeeded, Refused)
AT_MOST = 3
"""Refunds that are asked about before another one of the same payment is refused."""


def check_refunds_of(ports: Ports, payment_id: UUID, by: By = SYSTEM) -> bool:
    """Ask about the payment's refunds that are open, up to `AT_MOST`; return whether any has changed."""
    with ports.unit_of_work() as uow:
        found = uow.refunds.open_of(payment_id, at_most=AT_MOST)
    return sum(has_time(ports) and check_refund(ports, each, by) for each in found) > 0


def check_refund(ports: Ports, refund_id: UUID, by: By = SYSTEM, *, due: bool = False) -> bool:
    """Ask, and settle the answer; return whether the refund has changed. As `check_payment`.

    A refund that has succeeded is asked about, too: a bank may have sent it back.

    :param due: its time has come (`Refund.next_check_at`)
    :raises ProviderBusy: as `check_payment`
    """
    for _ in range(LOOKS):
        with ports.unit_of_work() as uow:
            refund = uow.refunds.look(refund_id)
            payment = uow.payments.look(refund.payment_id)
        task = _task(payment, refund, by, due=due or is_past(refund.next_check_at, ports.now()))
        try:
            settled = _look(ports, refund, task)
        except ProviderBusy:
            if due:
                raise
            settled = None
        if settled is None:
            return False
        if settled.is_ours:
            return settled.entity.status is not refund.status
        # It has changed while we asked: see `check_payment`.
    return False


def _look(ports: Ports, refund: Refund, task: Task) -> Settled | None:
    """Return None if there is nothing to settle."""
    found: Outcome | None
    match refund.status:
        case RefundStatus.PENDING:
            task, found = _take_over(ports, task, refund.id)
        case RefundStatus.UNKNOWN:
            # The same attempt again is the same refund: if it was not executed so far, it is now.
            found = answered(carry_out(ports, task))
        case RefundStatus.SUCCEEDED:
            # If it was time to look, silence puts off the next look, too.
            found = _known_for_certain(ports, task) or MayHaveHappened()
        case _:
            return None
    return None if found is None else settle(ports, task, found)


def _take_over(ports: Ports, task: Task, refund_id: UUID) -> tuple[Task, Outcome | None]:
    """Complete a refund whose process is dead, or ask about one that the provider is at. What a living process is doing
    is left to it, unless the outcome is there already.
    """
    now = ports.now()
    with ports.unit_of_work() as uow:
        claim = uow.claims.find(task.attempt_id)
        uow.payments.get(task.payment_id)
        if uow.refunds.get(refund_id).status is not RefundStatus.PENDING:
            # Settled since it was looked at. Had it not been executed, it must not be now.
            return task, None
        running = claim if claim is not None and claim.status is ClaimStatus.RUNNING else None
        if running is not None and running.is_left(now, ports.rules.patience):
            task = replace(task, run=running.resume(now))
            uow.commit()
    if running is not None:
        return task, _known_for_certain(ports, task) if task.run is None else answered(carry_out(ports, task))
    outcome = answered(carry_out(ports, task))
    return task, Accepted() if isinstance(outcome, MayHaveHappened) else outcome


def _known_for_certain(ports: Ports, task: Task) -> Outcome | None:
    known = answered(look_up(ports, task.provider, task.order))
    return known if isinstance(known, DEFINITE) else None


def _task(payment: Payment, refund: Refund, by: By, *, due: bool) -> Task:
    """Return the refund as a task that holds no claim."""
    return Task(
        attempt_id=refund.attempt_id,
        payment_id=payment.id,
        refund_id=refund.id,
        provider=payment.provider or "",
        order=payment.refund_order(refund),
        word="refund",
        run=None,
        by=by,
        is_first=False,
        seen=seen_as(refund),
        due=due,
    )
