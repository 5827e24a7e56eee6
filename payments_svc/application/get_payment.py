"""Look at one payment."""

from __future__ import annotations

from contextlib import suppress

from payments_svc.application.check_payment import check_payment, has_time, is_past
from payments_svc.application.ports import Ports, Row
from payments_svc.domain.arguments import parse_id, parse_user_id
from payments_svc.domain.outcome import ProviderBusy
from payments_svc.domain.payment_errors import PaymentNotFound


def get_payment(ports: Ports, *, user_id: str, payment_id: str) -> Row:
    """Return the payment as it is; if the time to ask the provider about it has come, as it is after that."""
    payment = find_payment(ports, user_id=user_id, payment_id=payment_id)
    due_at = payment["next_check_at"]
    if not is_past(due_at, ports.now()) or not has_time(ports) or not _is_ours_to_check(ports, payment):
        return payment
    with suppress(ProviderBusy):
        check_payment(ports, payment["id"], due=True)
    return find_payment(ports, user_id=user_id, payment_id=payment_id)


def find_payment(ports: Ports, *, user_id: str, payment_id: str) -> Row:
    """Return the payment as it is stored."""
    wanted = parse_id(payment_id)
    payment = None if wanted is None else ports.reads.payment(parse_user_id(user_id), wanted)
    if payment is None:
        raise PaymentNotFound("there is no such payment")
    return payment


def _is_ours_to_check(ports: Ports, payment: Row) -> bool:
    """Put the check off, so that of many who look at the same time one asks."""
    now = ports.now()
    with ports.unit_of_work() as uow:
        taken = uow.payments.take_due(now, until=now + ports.rules.patience, at_most=1, only=payment["id"])
        uow.commit()
    return bool(taken)
