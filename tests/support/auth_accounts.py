"""Accounts and sessions to start a test from, the same in memory and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from auth_svc.domain.account import Account
from auth_svc.domain.email import Email
from auth_svc.domain.session import Session
from lib.ids import new_id, new_id_after
from tests.fakes.auth_store import START

LIFETIME = timedelta(days=30)

UnitOfWork = Callable[[], Any]


def add_account(
    unit_of_work: UnitOfWork,
    email: str = "ann@example.com",
    *,
    name: str = "Ann",
    roles: tuple[str, ...] = (),
    status: str = "active",
    verified: bool = True,
    now: datetime = START,
) -> Account:
    """Save an account; its events are forgotten."""
    if status == "invited":
        account = Account.invite(id=new_id(), email=Email(email), name=name, request_key=email, now=now)
    else:
        account = Account.register(id=new_id(), email=Email(email), name=name, password_hash="new:secret", now=now)
    if status == "disabled":
        account.disable("before the test", now)
    if verified and status != "invited":
        account.verify_email()
    account.roles = roles
    account.pull_events()
    with unit_of_work() as uow:
        uow.accounts.add(account)
        uow.commit()
    return account


def add_session(unit_of_work: UnitOfWork, account: Account, *, now: datetime = START, **changes: Any) -> Session:
    """Save a session of the account."""
    session = Session.open(
        id=new_id_after(account.not_before),
        account_id=account.id,
        token_hash=b"fingerprint",
        amr=("pwd",),
        now=now,
        lifetime=LIFETIME,
    )
    for name, value in changes.items():
        setattr(session, name, value)
    with unit_of_work() as uow:
        uow.sessions.add(session)
        uow.commit()
    return session
