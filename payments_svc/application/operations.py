"""How anything is asked of a provider: three steps with nothing held between them.

1. The use case notes what is asked for, in one transaction: the claim of the request, and what the payment awaits.
2. `carry_out` asks the provider, outside of any transaction, with the claim's id as the provider's idempotency key.
3. `settlement.settle` notes what became of it, in another transaction.

A process that dies in between leaves a claim that the next request with its key completes, or the check of what is due.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from payments_svc.application.answers import CHARGE_REFUSED, Answer, payment_answer, snapshot
from payments_svc.application.history_ports import ActorKind, By
from payments_svc.application.ports import Ports, Row, UnitOfWork
from payments_svc.application.settlement import Task, settle
from payments_svc.domain.arguments import parse_id
from payments_svc.domain.customer import Customer
from payments_svc.domain.idempotency import Claim, IdempotencyInProgress, Step
from payments_svc.domain.orders import Order
from payments_svc.domain.outcome import MayHaveHappened, NotExecuted, Outcome, refusal_of
from payments_svc.domain.payment import Payment
from payments_svc.domain.payment_errors import PaymentNotFound
from payments_svc.domain.refund import Refund

# --- step 1: parts of every use case that begins something ---


def enter(ports: Ports, uow: UnitOfWork, asked: Claim, *, redelivered: bool) -> tuple[Claim, Step]:
    """Return the claim of the request, and what is left to do for it."""
    claim = uow.claims.take(asked)
    if claim is asked:
        return claim, Step.BEGIN
    return claim, claim.admit(asked, now=asked.started_at, patience=ports.rules.patience, redelivered=redelivered)


def parse_payment_id(payment_id: object) -> UUID:
    """Return the id; what is none is the id of no payment."""
    target = parse_id(payment_id)
    if target is None:
        raise PaymentNotFound("there is no such payment")
    return target


def get_for(uow: UnitOfWork, payment_id: UUID, user_id: UUID, *, anybodys: bool = False) -> Payment:
    """Return the payment, locked, if it is the user's.

    :param anybodys: or anybody's
    """
    payment = uow.payments.get(payment_id)
    if payment.customer_id != user_id and not anybodys:
        raise PaymentNotFound("there is no such payment")
    return payment


def actor_of(payment: Payment, user_id: UUID, reason: str | None = None) -> By:
    """Return who acts on a payment: its customer, or else somebody of the staff."""
    return By(ActorKind.CUSTOMER if user_id == payment.customer_id else ActorKind.STAFF, user_id, reason)


def check_active(uow: UnitOfWork, user_id: UUID, now: datetime) -> None:
    """Let nobody act whose account may not be used.

    Locks the customer until the end of the transaction, so once the news of it are applied nothing passes.
    """
    uow.customers.add_or_get(Customer(user_id, now)).check_active()


def told_before(ports: Ports, claim: Claim, entity: Payment | Refund) -> Row:
    """Return the stored answer, or, if that has expired or was not final, what there is to tell now."""
    return claim.kept_answer(ports.now(), ports.rules.answer_ttl) or snapshot(entity)


def charge_told_before(ports: Ports, claim: Claim, payment: Payment, *, is_of_last: bool = False) -> Answer:
    """Answer a charge again. A decline of a later attempt is told to whoever made that, and not as this one's.

    :param is_of_last: it was about the last attempt, although that was made by another request
    """
    kept = claim.kept_answer(ports.now(), ports.rules.answer_ttl)
    if kept is not None:
        return payment_answer(kept, replayed=True)
    is_of_last = is_of_last or payment.attempt_id == claim.attempt_id
    return payment_answer(snapshot(payment), replayed=True, refusal=CHARGE_REFUSED if is_of_last else None)


def payment_task(claim: Claim, payment: Payment, step: Step, by: By, *, anew: bool = True) -> Task:
    """Return what the payment awaits now."""
    return Task(
        attempt_id=claim.attempt_id,
        payment_id=payment.id,
        refund_id=None,
        provider=payment.provider or "",
        order=payment.order(),
        word=str(payment.operation),
        run=claim.run,
        by=by,
        is_first=step is Step.BEGIN,
        anew=anew,
        held=(claim, payment, None),
    )


def refund_task(claim: Claim, payment: Payment, refund: Refund, step: Step, by: By) -> Task:
    """Return what the refund awaits."""
    return Task(
        attempt_id=claim.attempt_id,
        payment_id=payment.id,
        refund_id=refund.id,
        provider=payment.provider or "",
        order=payment.refund_order(refund),
        word="refund",
        run=claim.run,
        by=by,
        is_first=step is Step.BEGIN,
        held=(claim, payment, refund),
    )


# --- step 2 ---


def carry_out(ports: Ports, task: Task) -> Outcome:
    """Ask the provider for it; first whether it was done, if somebody may have asked before."""
    ports.reached("payment.after_claim", task.word)
    known = None if task.is_first else look_up(ports, task.provider, task.order)
    if known is not None:
        return known
    if not task.anew:
        return MayHaveHappened()
    ports.reached("payment.before_send", task.word)
    outcome = _executed(ports, task)
    ports.reached("payment.after_send", task.word)
    # The one before may have got through, whatever became of this one.
    return outcome if task.is_first else _doubted(outcome)


def _executed(ports: Ports, task: Task) -> Outcome:
    try:
        return ports.providers[task.provider].execute(task.order)
    except Exception as exc:
        # A mistake of ours, and nobody knows how far it got. As an unknown outcome it is asked about in good time, and
        # nobody is sent into the same mistake again and again.
        ports.failed(task.attempt_id, exc)
        return MayHaveHappened()


def look_up(ports: Ports, provider: str, order: Order) -> Outcome | None:
    """Return what the provider knows of the order, None if it knows nothing of it, `MayHaveHappened` if it does not
    tell."""
    try:
        outcome = ports.providers[provider].lookup(order)
    except Exception as exc:
        # As in `_executed`. It may be a provider that is not configured any more, too.
        ports.failed(order.attempt_id, exc)
        return MayHaveHappened()
    return None if outcome is None else _doubted(outcome)


def _doubted(outcome: Outcome) -> Outcome:
    if not isinstance(outcome, NotExecuted):
        return outcome
    is_busy = outcome.reason == "provider_busy"
    return MayHaveHappened((outcome.retry_after or 1) if is_busy else None)


# --- steps 2 and 3 for a request ---


def perform(ports: Ports, task: Task) -> tuple[Row, bool]:
    """Carry the task out, settle it, and return what to answer, and whether that is somebody else's result.

    :raises Unavailable: nothing was executed; the same request may come again
    """
    outcome = carry_out(ports, task)
    settled = settle(ports, task, outcome)
    claim = settled.claim
    if not settled.is_ours and claim is not None:
        # This took so long that somebody else was let in, or a message of the provider came first.
        if claim.finished_at is None:
            raise IdempotencyInProgress
        return claim.answer or snapshot(settled.entity), claim.run != task.run
    if isinstance(outcome, NotExecuted):
        raise refusal_of(outcome)
    return snapshot(settled.entity), False
