"""Look at what a stored message points to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from payments_svc.application.check_payment import check_payment
from payments_svc.application.check_refund import check_refund
from payments_svc.application.history_ports import PROVIDER
from payments_svc.application.ports import Ports, UnitOfWork
from payments_svc.application.provider_ports import Provider
from payments_svc.domain.notice import InvalidNotice, NoticeStatus, ParkedFor, StoredNotice
from payments_svc.domain.orders import Charge, GiveBack, Order
from payments_svc.domain.outcome import (
    Accepted,
    Authorized,
    MayHaveHappened,
    NotExecuted,
    Outcome,
    ProviderUnreachable,
    Succeeded,
)
from payments_svc.domain.payment_status import PaymentStatus
from payments_svc.domain.refund import RefundStatus

#: what says that money has moved, or is going to
MOVED = (Succeeded, Authorized, Accepted)
NOT_MADE = (RefundStatus.FAILED, RefundStatus.CANCELED)


@dataclass(frozen=True)
class Target:
    """What a message points to: a refund, or else the payment itself.

    :param attempt_id: the attempt that the message is about, if it is about a payment and says so
    """

    provider: Provider
    payment_id: UUID
    refund_id: UUID | None = None
    attempt_id: UUID | None = None


@dataclass(frozen=True)
class Result:
    """What became of a message.

    :param error: why it is parked
    :param given_up: the attempt of the payment or of its refund for which money has moved, though it was given up
    """

    status: NoticeStatus
    error: ParkedFor | None = None
    payment_id: UUID | None = None
    given_up: UUID | None = None


def process_notice(ports: Ports, *, notice_id: str) -> Result | None:
    """Ask the provider what became of the payment or refund that the message is about, and settle that.

    :returns: what became of the message; None if there is none
    :raises ProviderUnreachable: the provider cannot be asked now; nothing is lost, come again
    """
    id = UUID(notice_id)
    with ports.unit_of_work() as uow:
        notice = uow.notices.get(id)
        if notice is None:
            return None
        if not notice.begin():
            return Result(notice.status)
        target = _target(ports, uow, notice)
        # So one that takes its process down can be told from one that nobody has seen.
        uow.notices.save(notice)
        uow.commit()
    if isinstance(target, ParkedFor):
        return _park(ports, id, target)
    has_changed = _look(ports, target)
    given_up: Charge | GiveBack | None
    if target.refund_id is None:
        given_up = _given_up_charge(ports, target)
    else:
        # One that has failed by what the provider has just said need not be asked about once more.
        given_up = None if has_changed else _given_up_refund(ports, target.refund_id)
    if given_up is not None and isinstance(_ask(target.provider, given_up), MOVED):
        if _has_successor(ports, target, given_up):
            return process_notice(ports, notice_id=notice_id)
        # Nothing of ours counts this money: a person has to see to it.
        return _park(ports, id, ParkedFor.MONEY_MOVED_FOR_GIVEN_UP_ATTEMPT, target.payment_id, given_up)
    with ports.unit_of_work() as uow:
        stored = _again(uow, id)
        stored.process(target.payment_id, ports.now())
        uow.notices.save(stored)
        uow.commit()
    return Result(NoticeStatus.PROCESSED)


def _park(
    ports: Ports, id: UUID, reason: ParkedFor, payment_id: UUID | None = None, given_up: Order | None = None
) -> Result:
    """Put the message aside."""
    with ports.unit_of_work() as uow:
        stored = _again(uow, id)
        stored.park(reason, ports.now(), payment_id)
        uow.notices.save(stored)
        uow.commit()
    return Result(NoticeStatus.PARKED, reason, payment_id, None if given_up is None else given_up.attempt_id)


def _again(uow: UnitOfWork, id: UUID) -> StoredNotice:
    notice = uow.notices.get(id)
    assert notice is not None  # noqa: S101  (messages are not deleted while they are processed)
    return notice


def _target(ports: Ports, uow: UnitOfWork, notice: StoredNotice) -> Target | ParkedFor:
    """Return what the message leads to, or why it leads nowhere."""
    provider = ports.providers.get(notice.provider)
    if provider is None:
        return ParkedFor.UNKNOWN_PROVIDER
    try:
        hint = provider.interpret(notice.payload)
    except InvalidNotice:
        return ParkedFor.UNREADABLE
    if hint.about == "payment":
        payment_id = uow.notices.payment_of(provider.name, hint.attempt_id, hint.payment_id)
        if payment_id is None:
            return ParkedFor.UNKNOWN_OBJECT
        return Target(provider, payment_id, attempt_id=hint.attempt_id)
    if hint.about == "refund":
        refund_id = uow.notices.refund_of(provider.name, hint.attempt_id)
        if refund_id is None:
            return ParkedFor.UNKNOWN_OBJECT
        return Target(provider, uow.refunds.look(refund_id).payment_id, refund_id)
    return ParkedFor.UNKNOWN_TYPE


def _look(ports: Ports, target: Target) -> bool:
    """Have the provider asked, and settle what it says; return whether that has changed anything."""
    if _check(ports, target):
        return True
    # Nothing was new, or there was no answer, or what we noted ourselves meanwhile came between: then the message's
    # news would be lost.
    order = _open_order(ports, target)
    return order is not None and _ask(target.provider, order) is not None and _check(ports, target)


def _check(ports: Ports, target: Target) -> bool:
    if target.refund_id is None:
        return check_payment(ports, target.payment_id, PROVIDER)
    return check_refund(ports, target.refund_id, PROVIDER)


def _ask(provider: Provider, order: Order) -> Outcome | None:
    """Return what the provider knows of an order; raises `ProviderUnreachable` if it cannot be asked."""
    known = provider.lookup(order)
    if isinstance(known, NotExecuted | MayHaveHappened):
        raise ProviderUnreachable("the payment provider cannot be asked about its message", retry_after=5)
    return known


def _open_order(ports: Ports, target: Target) -> Order | None:
    """Return what there is to ask about; None for what is over."""
    with ports.unit_of_work() as uow:
        payment = uow.payments.look(target.payment_id)
        if target.refund_id is not None:
            refund = uow.refunds.look(target.refund_id)
            return None if refund.status in NOT_MADE else payment.refund_order(refund)
    # Also with nothing under way: the last attempt may have been forgotten, and what becomes of it counts still.
    return None if payment.is_final or payment.attempt_id is None else payment.order()


def _given_up_refund(ports: Ports, refund_id: UUID) -> GiveBack | None:
    """Return the refund as the provider was asked for it if nothing has gone back, as far as we know."""
    with ports.unit_of_work() as uow:
        refund = uow.refunds.look(refund_id)
        if refund.status not in NOT_MADE:
            return None
        return uow.payments.look(refund.payment_id).refund_order(refund)


def _has_successor(ports: Ports, target: Target, given_up: Order) -> bool:
    """Tell whether another refund has taken this one's place and its attempt while the provider was asked: then the
    money is that one's.
    """
    if target.refund_id is None:
        return False
    with ports.unit_of_work() as uow:
        return uow.notices.refund_of(target.provider.name, given_up.attempt_id) != target.refund_id


def _given_up_charge(ports: Ports, target: Target) -> Charge | None:
    """Return the charge that the message is about if its payment does not wait for it any more.

    That is another attempt than the payment's last one, or any of a payment that was canceled.
    """
    with ports.unit_of_work() as uow:
        payment = uow.payments.look(target.payment_id)
    attempt_id = target.attempt_id or payment.attempt_id
    is_present = attempt_id in (payment.attempt_id, payment.operation_id)
    if (
        attempt_id is None
        or payment.attempt_id is None
        or (is_present and payment.status is not PaymentStatus.CANCELED)
    ):
        return None
    # The reference is the provider's name of the last attempt.
    return replace(payment.charge_order(), attempt_id=attempt_id, reference=None)
