"""What was asked of a provider, and how what became of it is noted: step 3 of `operations`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from uuid import UUID

from lib.errors import Overtaken
from payments_svc.application.answers import snapshot
from payments_svc.application.history_ports import By
from payments_svc.application.ports import Ports, Rules, UnitOfWork
from payments_svc.domain.idempotency import Claim, ClaimStatus
from payments_svc.domain.movements import Deadlines
from payments_svc.domain.orders import Authentication, Capture, Charge, GiveBack, Order
from payments_svc.domain.outcome import DEFINITE, MayHaveHappened, NotExecuted, Outcome, Succeeded
from payments_svc.domain.payment import Payment
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
    :param seen: for a task without a run: what it was like when the provider was asked (`seen_as`). If that has
        changed since, the answer is about the past, and is not written
    :param due: it is time to look; if not, an answer without news changes nothing, or asking often would put off the
        looks that come by themselves
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
    seen: tuple[object, ...] | None = None
    due: bool = True
    held: tuple[Claim, Payment, Refund | None] | None = None


class WrongAmountError(Exception):
    """A provider, or its adapter, says that it has moved another amount than it was asked for."""


@dataclass(frozen=True)
class Settled:
    """What became of a task.

    :param entity: the payment, or the refund if it was about one
    :param is_ours: we have written it; if not, somebody else has, or is going to
    """

    claim: Claim | None
    entity: Payment | Refund
    is_ours: bool


def keep(uow: UnitOfWork, payment: Payment, by: By, now: datetime) -> None:
    """Write on commit what a change leaves behind: postings and lines of the history (events go by themselves)."""
    payment.version += 1
    for posting in payment.pull_postings():
        uow.ledger.post(posting, now)
    for change in payment.pull_changes():
        uow.audit.add(payment.id, payment.customer_id, change, by, now)


def settle(ports: Ports, task: Task, outcome: Outcome) -> Settled:
    """Note what became of it, unless somebody else has; finish the claim, or release it if nothing was executed."""
    outcome = _believed(ports, task, outcome)
    try:
        return _settle(ports, task, outcome)
    except Exception as exc:
        if not ports.lost_race(exc):
            raise
    # Nothing was saved. Here, and not with the whole request again, which would meet its own claim.
    return _settle(ports, replace(task, held=None), outcome)


def _believed(ports: Ports, task: Task, outcome: Outcome) -> Outcome:
    """Take an amount that cannot be for no answer: neither that nor what was asked for may be noted as moved."""
    match task.order, outcome:
        case GiveBack(amount=asked), Succeeded(int(told)) if told != asked:
            wrong = f"{asked} was to be given back, and {told} is said to be"
        case (
            (Charge(amount=asked) | Authentication(charge=Charge(amount=asked)) | Capture(charge=Charge(amount=asked))),
            Succeeded(int(told)),
        ) if not 1 <= told <= asked:
            wrong = f"at most {asked} was to be taken, and {told} is said to be"
        case _:
            return outcome
    ports.failed(task.attempt_id, WrongAmountError(wrong))
    return MayHaveHappened()


def _settle(ports: Ports, task: Task, outcome: Outcome) -> Settled:
    if task.held is not None:
        # Hardly ever does anybody touch it meanwhile, and then nothing need be read and locked.
        with suppress(Overtaken), ports.unit_of_work() as uow:
            uow.take_up(*task.held)
            return _write(ports, uow, task, outcome, *task.held)
    with ports.unit_of_work() as uow:
        claim = uow.claims.find(task.attempt_id)
        payment = uow.payments.get(task.payment_id)
        refund = None if task.refund_id is None else uow.refunds.get(task.refund_id)
        is_held = claim is None or task.run is None or claim.is_held_by(task.run)
        if not is_held and not (isinstance(outcome, DEFINITE) and _is_awaited(payment, refund, task.attempt_id)):
            # Somebody else was let in. What is certain is written all the same: it is what they wait for, too.
            return Settled(claim, refund or payment, is_ours=False)
        if task.run is None and task.seen != seen_as(refund or payment):
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
    before = None if task.due else _told(refund or payment)
    was_awaited = _is_awaited(payment, refund, task.attempt_id)
    if refund is not None:
        deadlines = deadlines_after(ports.rules, refund.checks, now)
        payment.settle_refund(refund, outcome, now=now, deadlines=deadlines)
    elif payment.awaits(task.attempt_id):
        payment.settle(outcome, now=now, deadlines=deadlines_after(ports.rules, payment.checks, now))
    if before is not None and before == _told(refund or payment):
        return Settled(claim, refund or payment, is_ours=True)
    if claim is not None:
        if claim.status is ClaimStatus.RUNNING:
            _close(claim, outcome, refund or payment, now)
        elif claim.answer is None and was_awaited and not _is_awaited(payment, refund, task.attempt_id):
            # It was answered as unknown; from now on each repetition is answered with what became of it.
            claim.finish(snapshot(refund or payment), now)
    keep(uow, payment, task.by, now)
    ports.reached("payment.before_commit", task.word)
    uow.commit()
    return Settled(claim, refund or payment, is_ours=True)


def _is_awaited(payment: Payment, refund: Refund | None, attempt_id: UUID) -> bool:
    """Tell whether the outcome of this attempt is open."""
    if refund is not None:
        return refund.awaits_outcome
    return payment.operation_id == attempt_id or (payment.may_be_known and payment.attempt_id == attempt_id)


def seen_as(entity: Payment | Refund) -> tuple[object, ...]:
    """Return what is different as soon as anybody has settled or begun something."""
    if isinstance(entity, Refund):
        return entity.status, entity.checks
    return (entity.version,)


TIMES = frozenset({"next_check_at", "checks", "updated_at", "version", "sequence"})


def _told(entity: Payment | Refund) -> list[object]:
    """Return what has been learned of it so far: all but when and how often."""
    return [getattr(entity, each.name) for each in fields(entity) if each.name not in TIMES]


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
