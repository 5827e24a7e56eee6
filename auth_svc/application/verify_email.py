"""The owner of an account shows that mail to its address arrives."""

from __future__ import annotations

from typing import Literal

from auth_svc.application.one_time_token import find_token
from auth_svc.application.parse_id import parse_id
from auth_svc.application.ports import Ports
from auth_svc.application.repositories import UnitOfWork
from auth_svc.domain.account import Account, AccountNotFound
from auth_svc.domain.one_time_token import InvalidCode, InvalidToken

Verified = Literal["verified", "already_verified"]


def request_email_verification(ports: Ports, *, user_id: str) -> None:
    """Have a new mail sent; an account that is verified gets none, and that is no error."""
    account_id = parse_id(user_id, AccountNotFound())
    with ports.unit_of_work() as uow:
        account = uow.accounts.get(account_id)
        if account.is_active and not account.email_verified:
            account.request_mail("verification")
            uow.commit()


def verify_email(ports: Ports, *, token: str) -> Verified:
    """Take the token of a mail. The same token again is fine: some mail programs open links before their reader does.

    :raises InvalidToken: unknown, too old, or for an address that the account has left
    """
    with ports.unit_of_work() as uow:
        account, found = find_token(ports, uow, token, "verification")
        if not account.is_active or found.target != account.email.key:
            raise InvalidToken
        if account.email_verified:
            return "already_verified"
        found.use(ports.now(), target=account.email.key)
        _verify(uow, account)
    return "verified"


def verify_email_by_code(ports: Ports, *, user_id: str, code: str) -> Verified:
    """Take the short code of a mail, from the signed-in owner.

    :raises InvalidCode: wrong, used, too old, or tried too often
    """
    account_id = parse_id(user_id, AccountNotFound())
    code_hash = ports.one_time_tokens.code_hash(account_id, "verification", code)
    with ports.unit_of_work() as uow:
        account = uow.accounts.get(account_id)
        if account.email_verified:
            return "already_verified"
        found = uow.one_time_tokens.find(account_id, "verification")
        if found is None or not account.is_active:
            raise InvalidCode
        try:
            found.use_code(code_hash, ports.now(), target=account.email.key)
        except InvalidCode:
            # The wrong try is to be remembered.
            uow.commit()
            raise
        _verify(uow, account)
    return "verified"


def _verify(uow: UnitOfWork, account: Account) -> None:
    account.verify_email()
    uow.audit.add("email.verified", account_id=account.id, actor_id=account.id)
    uow.commit()
