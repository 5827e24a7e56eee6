"""The step with which all sessions of an account end at once."""

from __future__ import annotations

from datetime import datetime

from auth_svc.application.repositories import UnitOfWork
from auth_svc.domain.account import Account
from lib.ids import moment_of


def end_sessions(uow: UnitOfWork, account: Account, *, reason: str, now: datetime) -> None:
    """End every session of the account, in the transaction that has it locked; load none of them before."""
    newest = uow.sessions.end_all(account.id, reason, now)
    if newest is not None:
        account.end_sessions(newest=moment_of(newest), reason=reason, now=now)
