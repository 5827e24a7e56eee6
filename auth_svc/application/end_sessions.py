"""The steps with which all sessions of an account, and all that waits for a mail, end at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from auth_svc.application.repositories import UnitOfWork
from auth_svc.domain.account import Account
from auth_svc.domain.one_time_token import Purpose
from lib.ids import moment_of


def withdraw_changes(
    uow: UnitOfWork,
    account: Account,
    now: datetime,
    *,
    except_for: Sequence[Purpose] = ("verification", "email_revert"),
) -> None:
    """End what waits to be confirmed: whoever asked for it may not be who acts now, and its mail may still come.

    :param except_for: purposes of tokens that go on working
    """
    uow.one_time_tokens.use_up(account.id, now, except_for=except_for)
    for change in uow.email_changes.open_of(account.id):
        if change.is_pending:
            change.ended_at = now


def end_sessions(uow: UnitOfWork, account: Account, *, reason: str, now: datetime) -> None:
    """End every session of the account, in the transaction that has it locked; load none of them before."""
    newest = uow.sessions.end_all(account.id, reason, now)
    if newest is not None:
        account.end_sessions(newest=moment_of(newest), reason=reason, now=now)
