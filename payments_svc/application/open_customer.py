"""Make a customer of every new account."""

from __future__ import annotations

from contextlib import suppress

from lib.errors import SeenBefore
from payments_svc.application.ports import Ports
from payments_svc.domain.arguments import parse_user_id
from payments_svc.domain.customer import Customer


def open_customer(ports: Ports, *, event_id: str, user_id: str) -> None:
    """The first payment may come before the event, and does the same; so may news of the account's status."""
    customer = Customer(parse_user_id(user_id), ports.now())
    with ports.unit_of_work() as uow, suppress(SeenBefore):
        uow.note("open_customer", event_id)
        uow.customers.add(customer)
        uow.commit()
