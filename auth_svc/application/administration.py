"""The steps that the actions of administrators on accounts have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from auth_svc.application.repositories import UnitOfWork
from auth_svc.domain.account import Account
from auth_svc.domain.roles import is_administrator
from lib.errors import Conflict, DomainError


class AccountContended(Conflict):
    code = "contended"

    def __init__(self) -> None:
        super().__init__("somebody else is changing this account now; try again", retry_after=1)


def lock_account(uow: UnitOfWork, account_id: UUID) -> tuple[Account, Sequence[Account]]:
    """Lock an account; if it is an administrator's, all administrators with it, so that not all go at once.

    :returns: the account, and the administrators
    :raises AccountNotFound: there is no such account
    """
    known = uow.accounts.find(account_id)
    # First all of them, in their one order: who locked the account before would wait for others in a circle.
    known_administrator = known is not None and is_administrator(known)
    administrators = uow.accounts.administrators(beside=account_id) if known_administrator else ()
    account = uow.accounts.get(account_id)
    if is_administrator(account) and account.id not in {each.id for each in administrators}:
        # It became one just now.
        raise AccountContended
    return account, administrators


@contextmanager
def refusals_kept(uow: UnitOfWork, kind: str, account: Account, reason: str) -> Iterator[None]:
    """Have a refusal in the audit trail, too: somebody tried."""
    try:
        yield
    except DomainError as refusal:
        uow.audit.add(
            kind,
            account_id=account.id,
            outcome="failure",
            details={"refusal": refusal.code},
            personal={"reason": reason},
        )
        uow.commit()
        raise
