"""Look at one payment."""

from __future__ import annotations

from payments_svc.application.ports import Ports, Row
from payments_svc.domain.arguments import parse_id, parse_user_id
from payments_svc.domain.payment import PaymentNotFound


def get_payment(ports: Ports, *, user_id: str, payment_id: str) -> Row:
    wanted = parse_id(payment_id)
    payment = None if wanted is None else ports.reads.payment(parse_user_id(user_id), wanted)
    if payment is None:
        raise PaymentNotFound("there is no such payment")
    return payment
