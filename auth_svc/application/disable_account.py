"""An administrator closes an account."""

from __future__ import annotations

from auth_svc.application.administration import lock_account, refusals_kept
from auth_svc.application.end_sessions import end_sessions, withdraw_changes
from auth_svc.application.parse_id import parse_id
from auth_svc.application.ports import Ports
from auth_svc.domain.account import Account, AccountNotFound
from auth_svc.domain.reason import proper_reason
from auth_svc.domain.roles import must_be_dispensable
from auth_svc.domain.session import DISABLED


def disable_account(ports: Ports, *, account_id: str, reason: str) -> Account:
    """Let nobody sign in to the account and end all of its sessions. One that is closed already is no error.

    :raises OwnAccount, LastAdministrator: there would be nobody left to open it again
    """
    wanted, why = parse_id(account_id, AccountNotFound()), proper_reason(reason)
    with ports.unit_of_work() as uow:
        account, administrators = lock_account(uow, wanted)
        with refusals_kept(uow, "account.disabled", account, why):
            must_be_dispensable(account, administrators=administrators, actor_id=ports.origin().actor_id)
        now = ports.now()
        if account.disable(why, now):
            end_sessions(uow, account, reason=DISABLED, now=now)
            withdraw_changes(uow, account, now, except_for=())
            uow.audit.add("account.disabled", account_id=account.id, personal={"reason": why})
            uow.commit()
    return account
