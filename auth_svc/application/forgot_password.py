"""Somebody has forgotten the password and asks for a mail that helps."""

from __future__ import annotations

from auth_svc.application.ports import Ports
from auth_svc.domain.email import Email, InvalidEmail
from auth_svc.domain.mail import MailRequest


def forgot_password(ports: Ports, *, email: str) -> None:
    """Have a mail sent to the owner of the address, if there is one; the caller gets to know nothing.

    The same rows are written for an address that nobody has here: the request is told to the sender of mails, which
    finds no such account (`send_mail`).
    """
    try:
        address = Email(email)
    except InvalidEmail:
        return
    with ports.unit_of_work() as uow:
        account_id = uow.accounts.find_id_by_email(address)
        request = MailRequest(id=ports.new_id())
        # An id that is nobody's, if need be: the same is written for every address.
        request.send("password_reset", account_id or ports.new_id())
        uow.announce(request)
        uow.commit()
