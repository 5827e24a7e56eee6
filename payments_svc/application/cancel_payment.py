"""Let go of a payment before anything is taken: once for each key."""

from __future__ import annotations

from payments_svc.application.answers import CANCEL_REFUSED, Answer, payment_answer, snapshot
from payments_svc.application.check_payment import make_sure, once_sure
from payments_svc.application.operations import (
    actor_of,
    check_active,
    enter,
    get_for,
    parse_payment_id,
    payment_task,
    perform,
    told_before,
)
from payments_svc.application.ports import Ports
from payments_svc.application.settlement import Task, keep
from payments_svc.domain.arguments import parse_user_id
from payments_svc.domain.idempotency import Claim, Step
from payments_svc.domain.payment_errors import InvalidCancellationReason
from payments_svc.domain.payment_status import CancellationReason

R = CancellationReason
REASONS = frozenset({R.REQUESTED_BY_CUSTOMER, R.DUPLICATE, R.FRAUDULENT, R.ABANDONED})


def cancel_payment(
    ports: Ports,
    *,
    user_id: str,
    payment_id: str,
    idempotency_key: str,
    reason: str | None = None,
    may_act_for_others: bool = False,
    redelivered: bool = False,
) -> Answer:
    """Three steps as in `create_payment`; one is enough if no provider knows of the payment. About an attempt that is
    believed not to have been executed the provider is asked before.

    A disabled customer cancels nothing; the staff still does.

    :param may_act_for_others: they may cancel everybody's
    """
    requested_by, target = parse_user_id(user_id), parse_payment_id(payment_id)

    def begin(sure_of: int | None) -> Task | Answer:
        asked = Claim.open(
            user_id=requested_by,
            operation=f"cancel_payment:{target}",
            key=idempotency_key,
            body={"reason": reason},
            attempt_id=ports.new_id(),
            payment_id=target,
            now=ports.now(),
        )
        now = asked.started_at
        with ports.unit_of_work() as uow:
            claim, step = enter(ports, uow, asked, redelivered=redelivered)
            payment = get_for(uow, target, requested_by, anybodys=may_act_for_others)
            if step is Step.REPLAY:
                return payment_answer(told_before(ports, claim, payment), replayed=True, refusal=CANCEL_REFUSED)
            if step is Step.BEGIN:
                if not may_act_for_others:
                    check_active(uow, requested_by, now)
                why, overdue = _reason(reason), now + ports.rules.patience
                make_sure(payment, sure_of)
                payment.begin_cancel(claim.attempt_id, reason=why, now=now, check_at=overdue)
            if claim is not asked:
                claim.resume(now)
                payment.resume(now)
            by = actor_of(payment, requested_by, reason)
            keep(uow, payment, by, now)
            if payment.operation is None:
                claim.finish(snapshot(payment), now)
                uow.commit()
                return Answer(snapshot(payment), replayed=False)
            task = payment_task(claim, payment, step, by)
            uow.commit()
            return task

    task = once_sure(ports, target, begin)
    if isinstance(task, Answer):
        return task
    body, replayed = perform(ports, task)
    return payment_answer(body, replayed=replayed, refusal=CANCEL_REFUSED)


def _reason(value: object) -> CancellationReason:
    if value is None:
        return R.REQUESTED_BY_CUSTOMER
    if not isinstance(value, str) or value not in REASONS:
        known = ", ".join(sorted(REASONS))
        raise InvalidCancellationReason(f"the reason is one of {known}", "/reason")
    return CancellationReason(value)
