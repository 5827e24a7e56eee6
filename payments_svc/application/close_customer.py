"""An account was deleted: its customer goes, or stays closed beside its payments."""

from __future__ import annotations

from payments_svc.application.ports import Ports
from payments_svc.domain.arguments import parse_user_id
from payments_svc.domain.customer import Customer


def close_customer(ports: Ports, *, event_id: str, user_id: str) -> None:
    """Leave a tombstone, and of the customer only what payments need.

    Payments, refunds and who they belong to are kept as books have to be, means of payment are not. A customer without
    any payment is removed; the tombstone keeps it from coming back by an event or by a payment that is late.
    """
    account = Customer(parse_user_id(user_id), ports.now())
    with ports.unit_of_work() as uow:
        if not uow.first_time("close_customer", event_id):
            return
        customer = uow.customers.add_or_get(account)
        customer.close()
        uow.payment_methods.erase(account.id)
        uow.customers.bury(customer, account.created_at)
        uow.commit()
