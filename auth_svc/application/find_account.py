"""An operator looks up an account by its address."""

from __future__ import annotations

from auth_svc.application.ports import Ports
from auth_svc.domain.account import Account, AccountNotFound
from auth_svc.domain.email import Email


def find_account(ports: Ports, *, email: str) -> Account:
    address = Email(email)
    with ports.unit_of_work() as uow:
        account = uow.accounts.find_by_email(address)
    if account is None:
        raise AccountNotFound
    return account
