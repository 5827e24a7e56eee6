"""An administrator opens an account again."""

from __future__ import annotations

from auth_svc.application.parse_id import parse_id
from auth_svc.application.ports import Ports
from auth_svc.domain.account import Account, AccountNotFound
from auth_svc.domain.reason import proper_reason


def enable_account(ports: Ports, *, account_id: str, reason: str) -> Account:
    """Let the account's owner sign in again. An account that is open is no error."""
    wanted, why = parse_id(account_id, AccountNotFound()), proper_reason(reason)
    with ports.unit_of_work() as uow:
        account = uow.accounts.get(wanted)
        if account.enable(why):
            uow.audit.add("account.enabled", account_id=account.id, personal={"reason": why})
            uow.commit()
    return account
