"""The newest entries of the audit trail are sealed, and the failed sign-ins among them are told."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from uuid import UUID

from auth_svc.application.ports import Ports
from auth_svc.application.repositories import SealedEntry, UnitOfWork
from auth_svc.domain.account import AccountNotFound
from auth_svc.domain.account_events import LoginFailed

BATCH = 500
LOGIN_FAILED = "login.failed"


def seal_audit(ports: Ports) -> int:
    """Return how many entries were sealed; none if another instance is at it."""
    sealed = 0
    while True:
        with ports.unit_of_work() as uow:
            batch = uow.audit.seal(BATCH)
            if batch is not None:
                _tell_failures(uow, batch.entries)
                uow.commit()
        ports.audit_log.announce(None if batch is None else batch.head)
        if batch is None:
            return sealed
        sealed += len(batch.entries)
        if len(batch.entries) < BATCH:
            return sealed


def _tell_failures(uow: UnitOfWork, entries: Iterable[SealedEntry]) -> None:
    """Send an event for each failed sign-in: here and not when it failed, because that has to take one same time.

    An entry is sealed once, by one transaction, so that its event is sent once.
    """
    failed = [(each.account_id, each.details) for each in entries if each.kind == LOGIN_FAILED and each.account_id]
    # In the order in which everybody locks accounts; for one account, in the order in which they happened.
    failed.sort(key=_account)
    for account_id, failures in groupby(failed, key=_account):
        try:
            account = uow.accounts.get(account_id)
        except AccountNotFound:
            # It is gone by now; whoever followed it has been told that.
            continue
        for _, details in failures:
            account.record(LoginFailed(id=str(account.id), method=details["method"], locked=details["locked"]))


def _account(failure: tuple[UUID, object]) -> UUID:
    return failure[0]
