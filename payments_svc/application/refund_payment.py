"""Give captured money back, all or a part of it: once, however often it is asked for."""

from __future__ import annotations

from uuid import UUID

from payments_svc.application.answers import Answer
from payments_svc.application.check_payment import once_known
from payments_svc.application.check_refund import check_refunds_of
from payments_svc.application.operations import (
    actor_of,
    check_active,
    enter,
    get_for,
    parse_payment_id,
    perform,
    refund_task,
    told_before,
)
from payments_svc.application.ports import Ports
from payments_svc.application.settlement import Task, keep
from payments_svc.domain.arguments import parse_user_id
from payments_svc.domain.details import MAX_TEXT, checked_note
from payments_svc.domain.idempotency import Claim, Step
from payments_svc.domain.refund import RefundExceedsCaptured, RefundNotAllowed


def refund_payment(
    ports: Ports,
    *,
    user_id: str,
    payment_id: str,
    idempotency_key: str,
    may_refund: bool,
    may_refund_for_others: bool = False,
    amount: int | None = None,
    reason: str | None = None,
    redelivered: bool = False,
) -> Answer:
    """Three steps as in `create_payment`: the claim sets the money aside, the provider is asked, the result is noted.

    A disabled customer refunds nothing; the staff still does, for that customer too. A refund that was left half done
    is completed by whoever asks again: it was allowed, and the money is the customer's.

    :param user_id: who asks
    :param may_refund: they may refund their own payments
    :param may_refund_for_others: they may refund everybody's
    """
    if not may_refund:
        raise RefundNotAllowed("refunds are made by the staff")
    requested_by, target = parse_user_id(user_id), parse_payment_id(payment_id)

    def begin() -> Task | Answer:
        asked = Claim.open(
            user_id=requested_by,
            # With the payment, as the key belongs to the route, and that names the payment.
            operation=f"refund_payment:{target}",
            key=idempotency_key,
            body={"amount": amount, "reason": reason},
            attempt_id=ports.new_id(),
            payment_id=target,
            refund_id=ports.new_id(),
            now=ports.now(),
        )
        now = asked.started_at
        with ports.unit_of_work() as uow:
            claim, step = enter(ports, uow, asked, redelivered=redelivered)
            payment = get_for(uow, target, requested_by, anybodys=may_refund_for_others)
            if step is Step.REPLAY:
                return Answer(told_before(ports, claim, uow.refunds.get(_refund_of(claim))), replayed=True)
            sought = amount
            if claim is not asked:
                # A refund that was not executed stays canceled; another one takes its place, of the same amount: the
                # provider takes one attempt for one thing.
                sought = uow.refunds.get(_refund_of(claim)).amount
                claim.resume(now, refund_id=asked.refund_id if step is Step.BEGIN else None)
            if step is Step.BEGIN:
                if not may_refund_for_others:
                    check_active(uow, requested_by, now)
                refund = payment.open_refund(
                    id=_refund_of(claim),
                    attempt_id=claim.attempt_id,
                    amount=sought,
                    reason=None if reason is None else checked_note(reason, "/reason", longest=MAX_TEXT),
                    requested_by=requested_by,
                    now=now,
                    check_at=now + ports.rules.patience,
                )
                uow.refunds.add(refund)
            else:
                refund = uow.refunds.get(_refund_of(claim))
            by = actor_of(payment, requested_by, reason)
            keep(uow, payment, by, now)
            task = refund_task(claim, payment, refund, step, by)
            uow.commit()
            return task

    try:
        task = once_known(ports, target, begin)
    except RefundExceedsCaptured:
        # What may have gone back counts as gone; perhaps it did not.
        if not check_refunds_of(ports, target):
            raise
        task = begin()
    if isinstance(task, Answer):
        return task
    body, replayed = perform(ports, task)
    return Answer(body, replayed)


def _refund_of(claim: Claim) -> UUID:
    assert claim.refund_id is not None  # noqa: S101  (every claim of a refund has one)
    return claim.refund_id
