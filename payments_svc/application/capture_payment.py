"""Take what was set aside, all or a part of it: once for each key."""

from __future__ import annotations

from payments_svc.application.answers import CAPTURE_REFUSED, Answer, payment_answer
from payments_svc.application.check_payment import once_known
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
from payments_svc.application.ports import Ports, Row
from payments_svc.application.settlement import Task, keep
from payments_svc.domain.arguments import parse_user_id
from payments_svc.domain.idempotency import Claim, Step
from payments_svc.domain.payment_errors import CaptureNotAllowed, CaptureRefused
from payments_svc.domain.payment_status import PaymentStatus


def capture_payment(
    ports: Ports,
    *,
    user_id: str,
    payment_id: str,
    idempotency_key: str,
    may_capture: bool,
    may_act_for_others: bool = False,
    amount: int | None = None,
    redelivered: bool = False,
) -> Answer:
    """Three steps as in `create_payment`. A disabled customer captures nothing; the staff still does.

    A capture that was left half done is completed by whoever asks again: it was allowed.

    :param may_capture: they may capture their own payments
    :param may_act_for_others: they may capture everybody's
    :param amount: None for all of it; of less, the rest is let go
    """
    if not may_capture:
        raise CaptureNotAllowed("captures are made by the staff")
    requested_by, target = parse_user_id(user_id), parse_payment_id(payment_id)

    def begin() -> Task | Answer:
        asked = Claim.open(
            user_id=requested_by,
            operation=f"capture_payment:{target}",
            key=idempotency_key,
            body={"amount": amount},
            attempt_id=ports.new_id(),
            payment_id=target,
            now=ports.now(),
        )
        now = asked.started_at
        with ports.unit_of_work() as uow:
            claim, step = enter(ports, uow, asked, redelivered=redelivered)
            payment = get_for(uow, target, requested_by, anybodys=may_act_for_others)
            if step is Step.REPLAY:
                return _answer(told_before(ports, claim, payment), replayed=True)
            if step is Step.BEGIN:
                if not may_act_for_others:
                    check_active(uow, requested_by, now)
                payment.begin_capture(claim.attempt_id, amount=amount, now=now, check_at=now + ports.rules.patience)
            if claim is not asked:
                claim.resume(now)
                payment.resume(now)
            by = actor_of(payment, requested_by)
            keep(uow, payment, by, now)
            task = payment_task(claim, payment, step, by)
            uow.commit()
            return task

    task = once_known(ports, target, begin)
    if isinstance(task, Answer):
        return task
    body, replayed = perform(ports, task)
    return _answer(body, replayed=replayed)


def _answer(body: Row, *, replayed: bool) -> Answer:
    """Tell nobody of success who found nothing to take any more."""
    if body["status"] == PaymentStatus.CANCELED:
        code = f"authorization_{body['cancellation_reason']}"
        message = "nothing is set aside any more, and the payment is canceled"
        raise CaptureRefused(message, decline_code=code, payment_id=body["id"], replayed=replayed)
    return payment_answer(body, replayed=replayed, refusal=CAPTURE_REFUSED)
