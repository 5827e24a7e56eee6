"""Somebody looks at an account."""

from __future__ import annotations

from auth_svc.application.parse_id import parse_id
from auth_svc.application.ports import Ports
from auth_svc.domain.account import Account, AccountNotFound


def get_account(ports: Ports, *, user_id: str) -> Account:
    account_id = parse_id(user_id, AccountNotFound())
    with ports.unit_of_work() as uow:
        account = uow.accounts.find(account_id)
    if account is None:
        raise AccountNotFound
    return account
