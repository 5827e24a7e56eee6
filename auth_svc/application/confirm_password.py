"""The step with which a signed-in owner shows the current password before something that matters."""

from __future__ import annotations

from uuid import UUID

from auth_svc.application.check_password import check_password
from auth_svc.application.ports import Ports
from auth_svc.domain.account import Account, AccountNotFound
from auth_svc.domain.password import WrongPassword, presented_password


def confirming(account: Account) -> str:
    """Return what wrong passwords of the signed-in owner are counted by: a count of its own."""
    return f"confirm {account.email.key}"


def confirm_password(ports: Ports, *, account_id: UUID, current_password: str, purpose: str) -> Account:
    """Return the account to read, if the password is its own; outside of transactions, for it takes its time.

    Wrong ones count as failed sign-ins do: a stolen access token is no way to guess the password.

    :param purpose: what for, as the audit trail names it
    :raises WrongPassword: also while the account is locked
    """
    policy = ports.rules.lockout
    with ports.unit_of_work() as uow:
        account = uow.accounts.find(account_id)
        if account is None or not account.is_active:
            raise AccountNotFound
        key = ports.login_keys.of_address(confirming(account))
        number = uow.login_attempts.count(key, ports.now(), policy.window) if policy.attempts is not None else 1
    presented = presented_password(current_password)
    password_hash = account.password_hash if presented and not policy.locks(number) else None
    matches = check_password(ports, password_hash=password_hash, password=presented, key=key)
    with ports.unit_of_work() as uow:
        if matches:
            uow.login_attempts.clear(key)
        else:
            uow.audit.add(purpose, account_id=account_id, outcome="failure", details={"reason": "wrong_password"})
        uow.commit()
    if not matches:
        raise WrongPassword
    return account
