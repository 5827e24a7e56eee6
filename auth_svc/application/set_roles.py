"""An administrator says what somebody may do here."""

from __future__ import annotations

from auth_svc.application.administration import lock_account, refusals_kept
from auth_svc.application.end_sessions import end_sessions
from auth_svc.application.parse_id import parse_id
from auth_svc.application.ports import Ports
from auth_svc.domain.account import Account, AccountNotFound
from auth_svc.domain.reason import proper_reason
from auth_svc.domain.roles import ADMIN, must_be_dispensable, must_be_proved, proper_roles
from auth_svc.domain.session import ROLES


def set_roles(ports: Ports, *, account_id: str, roles: list[str], reason: str) -> Account:
    """Give an account exactly these roles; those that it has already are no error.

    Access tokens carry roles. A role that is taken away is gone at once, because all sessions end; a new one is there
    after the next refresh.

    :raises UnknownRole: one of them is none
    :raises EmailNotVerified: a role would be given to whoever has prepared the account
    :raises OwnAccount, LastAdministrator: there would be nobody left to give the role back
    """
    wanted, given, why = parse_id(account_id, AccountNotFound()), proper_roles(roles), proper_reason(reason)
    with ports.unit_of_work() as uow:
        account, administrators = lock_account(uow, wanted)
        before = account.roles
        lost = set(before) - set(given)
        if ADMIN in lost:
            with refusals_kept(uow, "roles.changed", account, why):
                must_be_dispensable(account, administrators=administrators, actor_id=ports.origin().actor_id)
        if set(given) - set(before):
            with refusals_kept(uow, "roles.changed", account, why):
                must_be_proved(account)
        if account.set_roles(given):
            if lost:
                end_sessions(uow, account, reason=ROLES, now=ports.now())
            uow.audit.add(
                "roles.changed",
                account_id=account.id,
                details={"roles": list(given), "before": list(before)},
                personal={"reason": why},
            )
            uow.commit()
    return account
