"""The step that mails the owner of an address which somebody else has typed."""

from __future__ import annotations

from auth_svc.application.ports import Ports
from auth_svc.domain.email import Email
from auth_svc.domain.mail import MailRequest


def tell_owner(ports: Ports, address: Email) -> None:
    """An invited owner can claim the account; another one is told of the attempt, where nobody else is.

    Where registration is private, something is written in any case: how long it takes must not tell who has an account.
    """
    with ports.unit_of_work() as uow:
        found = uow.accounts.find_by_email(address)
        invited = found is not None and found.status == "invited"
        if invited or ports.rules.private_registration:
            request = MailRequest(id=ports.new_id())
            request.send("claim" if invited else "account_exists", found.id if found else ports.new_id())
            uow.announce(request)
        uow.commit()
