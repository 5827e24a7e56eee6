"""An account was disabled or enabled: its customer follows."""

from __future__ import annotations

from payments_svc.application.ports import Ports
from payments_svc.domain.arguments import parse_user_id
from payments_svc.domain.customer import Customer


def follow_account(ports: Ports, *, event_id: str, user_id: str, sequence: int, disabled: bool) -> None:
    """Disable or enable the customer; one that is not there yet is made, so that the status waits for its payments.

    Whoever opens a payment locks its customer first, so none that is opened after this misses the status.

    :param sequence: number of the event among those of the account
    """
    account = Customer(parse_user_id(user_id), ports.now())
    with ports.unit_of_work() as uow:
        if not uow.first_time("follow_account", event_id):
            return
        customer = uow.customers.add_or_get(account)
        change = customer.disable if disabled else customer.enable
        change(sequence=sequence)
        uow.commit()
