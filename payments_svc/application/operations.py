"""How anything is asked of a provider: three steps with nothing held between them.

1. The use case notes what is asked for, in one transaction: the claim of the request, and what the payment awaits.
2. `carry_out` asks the provider, outside of any transaction, with the claim's id as the provider's idempotency key.
3. `settle` notes what became of it, in another transaction.

A process that dies in between leaves a claim that the next request with its key completes, or the check of what is due.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from lib.errors import Overtaken
from payments_svc.application.answers import snapshot
from payments_svc.application.history_ports import ActorKind, By
from payments_svc.application.ports import Ports, Row, Rules, UnitOfWork
from payments_svc.application.provider_ports import Provider
from payments_svc.domain.arguments import parse_id
from payments_svc.domain.customer import Customer
from payments_svc.domain.idempotency import Claim, ClaimStatus, IdempotencyInProgress, Step
from payments_svc.domain.movements import Deadlines
from payments_svc.domain.orders import Order
from payments_svc.domain.outcome import MayHaveHappened, NotExecuted, Outcome, refusal_of
from payments_svc.domain.payment import Payment
from payments_svc.domain.payment_errors import PaymentNotFound
from payments_svc.domain.payment_status import OperationStatus
from payments_svc.domain.refund import Refund, RefundStatus


@dataclass(frozen=True)
class Task:
    """Something that is noted, and that a provider is to be asked for.

    :param attempt_id: its idempotency key towards the provider, and the id of its claim
    :param word: what it is, for people: ``capture``, ``refund``
    :param run: whose result it is (`Claim.run`); None if no claim has to be held for it
    :param is_first: nobody has asked for it before; if not, it may have happened whatever the provider says now
    :param anew: execute it if the provider knows nothing of it. If not, it stays open
    :param held: the claim, the payment and the refund as they were noted, to be taken up again
    """

    attempt_id: UUID
    payment_id: UUID
    refund_id: UUID | None
    provider: str
    order: Order
    word: str
    run: int | None
    by: By
    is_first: bool = True
    anew: bool = True
    held: tuple[Claim, Payment, Refund | None] | None = None


@dataclass(frozen=True)
class Settled:
    """What became of a task.

    :param entity: the payment, or the refund if it was about one
    :param is_ours: we have written it; if not, somebody else has, or is going to
    """

    claim: Claim | None
    entity: Payment | Refund
    is_ours: bool


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


def keep(uow: UnitOfWork, payment: Payment, by: By, now: datetime) -> None:
    """Write on commit what a change leaves behind: postings and lines of the history (events go by themselves)."""
    payment.version += 1
    for posting in payment.pull_postings():
        uow.ledger.post(posting, now)
    for change in payment.pull_changes():
        uow.audit.add(payment.id, payment.customer_id, change, by, now)


# --- step 2 ---


def carry_out(ports: Ports, task: Task) -> Outcome:
    """Ask the provider for it; first whether it was done, if somebody may have asked before."""
    ports.reached("payment.after_claim", task.word)
    provider = ports.providers[task.provider]
    known = None if task.is_first else look_up(provider, task.order)
    if known is not None:
        return known
    if not task.anew:
        return MayHaveHappened()
    ports.reached("payment.before_send", task.word)
    outcome = provider.execute(task.order)
    ports.reached("payment.after_send", task.word)
    # The one before may have got through, whatever became of this one.
    return outcome if task.is_first else _doubted(outcome)


def look_up(provider: Provider, order: Order) -> Outcome | None:
    """Return what the provider knows of the order, None if it knows nothing of it, `MayHaveHappened` if it does not
    tell."""
    outcome = provider.lookup(order)
    return None if outcome is None else _doubted(outcome)


def _doubted(outcome: Outcome) -> Outcome:
    return MayHaveHappened() if isinstance(outcome, NotExecuted) else outcome


# --- step 3 ---


def settle(ports: Ports, task: Task, outcome: Outcome) -> Settled:
    """Note what became of it, unless somebody else has; finish the claim, or release it if nothing was executed."""
    if task.held is not None:
        # Hardly ever does anybody touch it meanwhile, and then nothing need be read and locked.
        with suppress(Overtaken), ports.unit_of_work() as uow:
            uow.take_up(*task.held)
            return _write(ports, uow, task, outcome, *task.held)
    with ports.unit_of_work() as uow:
        claim = uow.claims.find(task.attempt_id)
        payment = uow.payments.get(task.payment_id)
        refund = None if task.refund_id is None else uow.refunds.get(task.refund_id)
        if claim is not None and task.run is not None and not claim.is_held_by(task.run):
            return Settled(claim, refund or payment, is_ours=False)
        return _write(ports, uow, task, outcome, claim, payment, refund)


def _write(
    ports: Ports,
    uow: UnitOfWork,
    task: Task,
    outcome: Outcome,
    claim: Claim | None,
    payment: Payment,
    refund: Refund | None,
) -> Settled:
    now = ports.now()
    if refund is not None:
        deadlines = deadlines_after(ports.rules, refund.checks, now)
        payment.settle_refund(refund, outcome, now=now, deadlines=deadlines)
    elif payment.awaits(task.attempt_id):
        payment.settle(outcome, now=now, deadlines=deadlines_after(ports.rules, payment.checks, now))
    if claim is not None and claim.status is ClaimStatus.RUNNING and claim.refund_id == task.refund_id:
        _close(claim, outcome, refund or payment, now)
    keep(uow, payment, task.by, now)
    ports.reached("payment.before_commit", task.word)
    uow.commit()
    return Settled(claim, refund or payment, is_ours=True)


def _close(claim: Claim, outcome: Outcome, entity: Payment | Refund, now: datetime) -> None:
    if isinstance(outcome, NotExecuted):
        claim.release()
    else:
        # An unknown outcome is not kept, as it will be known one day.
        claim.finish(None if is_unknown(entity) else snapshot(entity), now)


def is_unknown(entity: Payment | Refund) -> bool:
    """Tell whether something may have happened of which nobody knows."""
    if isinstance(entity, Refund):
        return entity.status is RefundStatus.UNKNOWN
    return entity.operation_status is OperationStatus.UNKNOWN


def deadlines_after(rules: Rules, checks: int, now: datetime) -> Deadlines:
    """Return when to look again, after so many looks."""

    def after(schedule: tuple[timedelta, ...]) -> datetime:
        return now + schedule[min(checks, len(schedule) - 1)]

    return Deadlines(
        unknown=after(rules.check_schedule), accepted=after(rules.accepted_schedule), action=now + rules.action_ttl
    )


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
