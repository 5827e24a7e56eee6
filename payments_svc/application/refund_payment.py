"""Give captured money back, all or a part of it: once, however often it is asked for."""

from __future__ import annotations

from uuid import UUID

from payments_svc.application.answers import Answer, snapshot
from payments_svc.application.ports import Ports
from payments_svc.domain.arguments import parse_id, parse_user_id
from payments_svc.domain.customer import Customer
from payments_svc.domain.details import MAX_TEXT, checked_note
from payments_svc.domain.idempotency import Claim, IdempotencyInProgress, Step
from payments_svc.domain.outcome import NotExecuted, Outcome, refusal_of
from payments_svc.domain.payment import Payment, PaymentNotFound
from payments_svc.domain.refund import Refund, RefundNotAllowed, RefundStatus


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
    requested_by = parse_user_id(user_id)
    target = parse_id(payment_id)
    if target is None:
        raise PaymentNotFound("there is no such payment")
    now = ports.now()
    asked = Claim.open(
        user_id=requested_by,
        # With the payment, as the key belongs to the route, and that names the payment.
        operation=f"refund_payment:{target}",
        key=idempotency_key,
        body={"amount": amount, "reason": reason},
        attempt_id=ports.new_id(),
        payment_id=target,
        refund_id=ports.new_id(),
        now=now,
    )
    with ports.unit_of_work() as uow:
        claim = uow.claims.take(asked)
        payment = uow.payments.get(target)
        if payment.customer_id != requested_by and not may_refund_for_others:
            raise PaymentNotFound("there is no such payment")
        step = Step.BEGIN
        if claim is not asked:
            step = claim.admit(asked, now=now, patience=ports.rules.patience, redelivered=redelivered)
            if step is Step.REPLAY:
                kept = claim.kept_answer(now, ports.rules.answer_ttl)
                return Answer(kept or snapshot(uow.refunds.get(_refund_of(claim))), replayed=True)
            # A refund that was not executed stays canceled; another one takes its place.
            claim.resume(now, refund_id=asked.refund_id if step is Step.BEGIN else None)
        if step is Step.BEGIN:
            if not may_refund_for_others:
                uow.customers.add_or_get(Customer(requested_by, now)).check_active()
            refund = payment.open_refund(
                id=_refund_of(claim),
                attempt_id=claim.attempt_id,
                amount=amount,
                reason=None if reason is None else checked_note(reason, "/reason", longest=MAX_TEXT),
                requested_by=requested_by,
                now=now,
                check_at=now + ports.rules.patience,
            )
            uow.refunds.add(refund)
        else:
            refund = uow.refunds.get(_refund_of(claim))
        uow.commit()
    return _settle(ports, claim.attempt_id, claim.run, _refund(ports, payment, refund, step))


def _refund_of(claim: Claim) -> UUID:
    assert claim.refund_id is not None  # noqa: S101  (every claim of a refund has one)
    return claim.refund_id


def _refund(ports: Ports, payment: Payment, refund: Refund, step: Step) -> Outcome:
    assert payment.attempt_id is not None  # noqa: S101  (what was captured was charged)
    outcome = ports.provider.lookup(refund.attempt_id) if step is Step.COMPLETE else None
    return outcome or ports.provider.refund(refund.attempt_id, payment.attempt_id, refund.amount, refund.currency)


def _settle(ports: Ports, attempt_id: UUID, run: int, outcome: Outcome) -> Answer:
    now = ports.now()
    with ports.unit_of_work() as uow:
        claim = uow.claims.get(attempt_id)
        payment = uow.payments.get(claim.payment_id)
        refund = uow.refunds.get(_refund_of(claim))
        if not claim.is_held_by(run):
            # This took so long that somebody else was let in, who has written the result or is going to.
            if claim.finished_at is None:
                raise IdempotencyInProgress
            return Answer(claim.answer or snapshot(refund), replayed=True)
        if refund.awaits_outcome:
            payment.settle_refund(refund, outcome, now=now, check_at=now + ports.rules.check_schedule[0])
        if isinstance(outcome, NotExecuted):
            claim.release()
        else:
            # An unknown outcome is not kept, as it will be known one day.
            claim.finish(None if refund.status is RefundStatus.UNKNOWN else snapshot(refund), now)
        uow.commit()
    if isinstance(outcome, NotExecuted):
        raise refusal_of(outcome)
    return Answer(snapshot(refund), replayed=False)
