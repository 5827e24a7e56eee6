"""Let go of a means of payment."""

from __future__ import annotations

from payments_svc.application.ports import Ports
from payments_svc.domain.arguments import parse_id, parse_user_id
from payments_svc.domain.customer import Customer
from payments_svc.domain.payment_method import PaymentMethodNotFound


def forget_payment_method(ports: Ports, *, user_id: str, method_id: str) -> None:
    """Open to a disabled account, too: it is nothing that somebody could gain by. Once more changes nothing."""
    customer_id, wanted, now = parse_user_id(user_id), parse_id(method_id), ports.now()
    if wanted is None:
        raise PaymentMethodNotFound("there is no such means of payment")
    with ports.unit_of_work() as uow:
        uow.customers.add_or_get(Customer(customer_id, now))
        kept = uow.payment_methods.kept_by(customer_id)
        try:
            forgotten = kept.forget(wanted, now)
        except PaymentMethodNotFound:
            if uow.payment_methods.was_kept(customer_id, wanted):
                return
            raise
        uow.payment_methods.save(kept, forgotten)
        uow.commit()
