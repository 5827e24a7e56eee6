"""Invitations that nobody has claimed in time are withdrawn."""

from __future__ import annotations

from auth_svc.application.ports import Ports

BATCH = 100


def expire_invitations(ports: Ports) -> int:
    """Delete their accounts and return how many: the addresses are free again."""
    expired = 0
    while True:
        with ports.unit_of_work() as uow:
            accounts = uow.accounts.invited_before(ports.now() - ports.rules.invitation_lifetime, BATCH)
            for account in accounts:
                account.delete()
                uow.accounts.remove(account)
                uow.audit.add("account.deleted", account_id=account.id, details={"reason": "expired"})
                uow.audit.forget(account.id)
            uow.commit()
        expired += len(accounts)
        if len(accounts) < BATCH:
            return expired
