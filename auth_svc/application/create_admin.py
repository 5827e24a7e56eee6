"""An operator makes somebody an administrator: the way to the first one."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from auth_svc.application.choose_password import choose_password
from auth_svc.application.ports import Ports
from auth_svc.domain.account import Account, proper_name
from auth_svc.domain.email import Email, EmailTaken
from auth_svc.domain.roles import ADMIN, must_be_proved
from lib.errors import Conflict


class AccountNotActive(Conflict):
    code = "account_not_active"

    def __init__(self) -> None:
        super().__init__("this account is disabled, or was never claimed")


class Administrator(NamedTuple):
    """The account, and whether this very call made it."""

    account: Account
    created: bool


def create_admin(ports: Ports, *, email: str, name: str, password: Callable[[], str]) -> Administrator:
    """Make an account with the role ``admin``, or give the role to an account that is there.

    :param name: of a new account
    :param password: asked only for a new account; it has to be a good one as everybody's
    """
    address = Email(email)
    with ports.unit_of_work() as uow:
        known = uow.accounts.find_by_email(address)
    if known is not None:
        return Administrator(_promote(ports, known.id), created=False)
    return Administrator(_create(ports, address, proper_name(name), password), created=True)


def _promote(ports: Ports, account_id: UUID) -> Account:
    with ports.unit_of_work() as uow:
        account = uow.accounts.get(account_id)
        if not account.is_active:
            raise AccountNotActive
        must_be_proved(account)
        before = account.roles
        if account.set_roles(tuple(sorted({*before, ADMIN}))):
            uow.audit.add(
                "roles.changed",
                account_id=account.id,
                details={"roles": list(account.roles), "before": list(before)},
            )
            uow.commit()
    return account


def _create(ports: Ports, address: Email, name: str, password: Callable[[], str]) -> Account:
    password_hash = choose_password(ports, password(), email=address, name=name)
    with ports.unit_of_work() as uow:
        if uow.accounts.find_by_email(address):
            raise EmailTaken
        account = Account.register(
            id=ports.new_id(), email=address, name=name, password_hash=password_hash, now=ports.now()
        )
        # The operator vouches for it.
        account.verify_email()
        account.set_roles((ADMIN,))
        uow.accounts.add(account)
        uow.audit.add("account.registered", account_id=account.id, details={"roles": [ADMIN]})
        uow.commit()
    return account
