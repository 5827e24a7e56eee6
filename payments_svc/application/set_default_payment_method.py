"""Choose the means of payment that is used where none is named."""

from __future__ import annotations

from payments_svc.application.ports import Ports
from payments_svc.domain.arguments import parse_id, parse_user_id
from payments_svc.domain.customer import Customer
from payments_svc.domain.payment_method import PaymentMethod, PaymentMethodNotFound


def set_default_payment_method(ports: Ports, *, user_id: str, method_id: str) -> PaymentMethod:
    customer_id, wanted = parse_user_id(user_id), parse_id(method_id)
    if wanted is None:
        raise PaymentMethodNotFound("there is no such means of payment")
    with ports.unit_of_work() as uow:
        customer = uow.customers.add_or_get(Customer(customer_id, ports.now()))
        kept = uow.payment_methods.kept_by(customer_id)
        chosen = kept.choose(wanted)
        customer.check_active()
        uow.payment_methods.save(kept)
        uow.commit()
    return chosen
