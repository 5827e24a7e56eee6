"""Look at what a stored message points to."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from payments_svc.application.check_payment import check_payment
from payments_svc.application.check_refund import check_refund
from payments_svc.application.history_ports import PROVIDER
from payments_svc.application.ports import Ports, UnitOfWork
from payments_svc.application.provider_ports import Provider
from payments_svc.domain.notice import InvalidNotice, NoticeStatus, ParkedFor, StoredNotice
from payments_svc.domain.orders import Order
from payments_svc.domain.outcome import MayHaveHappened, NotExecuted, ProviderUnreachable


@dataclass(frozen=True)
class Target:
    """What a message points to: a refund, or else the payment itself."""

    provider: Provider
    payment_id: UUID
    refund_id: UUID | None = None


def process_notice(ports: Ports, *, notice_id: str) -> NoticeStatus | None:
    """Ask the provider what became of the payment or refund that the message is about, and settle that.

    :returns: what became of the message; None if there is none
    :raises ProviderUnreachable: the provider cannot be asked now; nothing is lost, come again
    """
    id = UUID(notice_id)
    with ports.unit_of_work() as uow:
        notice = uow.notices.get(id)
        if notice is None or not notice.begin():
            return None if notice is None else notice.status
        target = _target(ports, uow, notice)
        # So one that takes its process down can be told from one that nobody has seen.
        uow.notices.save(notice)
        uow.commit()
    if isinstance(target, Target):
        _look(ports, target)
    with ports.unit_of_work() as uow:
        stored = uow.notices.get(id)
        assert stored is not None  # noqa: S101  (messages are not deleted while they are processed)
        if isinstance(target, Target):
            stored.process(target.payment_id, ports.now())
        else:
            stored.park(target, ports.now())
        uow.notices.save(stored)
        uow.commit()
    return stored.status


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
        return ParkedFor.UNKNOWN_OBJECT if payment_id is None else Target(provider, payment_id)
    if hint.about == "refund":
        refund_id = uow.notices.refund_of(provider.name, hint.attempt_id)
        if refund_id is None:
            return ParkedFor.UNKNOWN_OBJECT
        return Target(provider, uow.refunds.look(refund_id).payment_id, refund_id)
    return ParkedFor.UNKNOWN_TYPE


def _look(ports: Ports, target: Target) -> None:
    """Have the provider asked, and settle what it says."""
    if target.refund_id is None:
        changed = check_payment(ports, target.payment_id, PROVIDER)
    else:
        changed = check_refund(ports, target.refund_id, PROVIDER)
    if changed:
        return
    # Nothing was new, or there was no answer: then the message's news would be lost.
    order = _open_order(ports, target)
    if order is not None and isinstance(target.provider.lookup(order), NotExecuted | MayHaveHappened):
        raise ProviderUnreachable("the payment provider cannot be asked about its message", retry_after=5)


def _open_order(ports: Ports, target: Target) -> Order | None:
    """Return what there is to ask about; None for a payment that is over."""
    with ports.unit_of_work() as uow:
        payment = uow.payments.look(target.payment_id)
        if target.refund_id is not None:
            return payment.refund_order(uow.refunds.look(target.refund_id))
    return payment.order() if payment.next_check_at is not None else None
