"""An administrator signs somebody out everywhere."""

from __future__ import annotations

from auth_svc.application.end_sessions import end_sessions
from auth_svc.application.parse_id import parse_id
from auth_svc.application.ports import Ports
from auth_svc.domain.account import Account, AccountNotFound
from auth_svc.domain.reason import proper_reason
from auth_svc.domain.session import ADMIN


def end_account_sessions(ports: Ports, *, account_id: str, reason: str) -> Account:
    """End all sessions of an account; that there are none is no error."""
    wanted, why = parse_id(account_id, AccountNotFound()), proper_reason(reason)
    with ports.unit_of_work() as uow:
        account = uow.accounts.get(wanted)
        before = account.not_before
        end_sessions(uow, account, reason=ADMIN, now=ports.now())
        if account.not_before != before:
            uow.audit.add("sessions.ended", account_id=account.id, details={"reason": ADMIN}, personal={"reason": why})
            uow.commit()
    return account
