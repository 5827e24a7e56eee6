"""Look at one kept means of payment."""

from __future__ import annotations

from payments_svc.application.ports import Ports, Row
from payments_svc.domain.arguments import parse_id, parse_user_id
from payments_svc.domain.payment_method import PaymentMethodNotFound


def get_payment_method(ports: Ports, *, user_id: str, method_id: str) -> Row:
    customer_id, wanted = parse_user_id(user_id), parse_id(method_id)
    method = None if wanted is None else ports.payment_methods.method(customer_id, wanted)
    if method is None:
        raise PaymentMethodNotFound("there is no such means of payment")
    return method
