"""Somebody looks where an account is signed in."""

from __future__ import annotations

from auth_svc.application.pages import Row
from auth_svc.application.parse_id import parse_id
from auth_svc.application.ports import Ports
from auth_svc.domain.account import AccountNotFound

AT_MOST = 100


def list_sessions(ports: Ports, *, user_id: str, session_id: str | None = None) -> list[Row]:
    """Return the live sessions of an account, newest first.

    :param session_id: the session that asks
    """
    account_id = parse_id(user_id, AccountNotFound())
    rows = ports.reads.sessions(account_id, ports.now(), ports.refresh_policy.idle, AT_MOST)
    if not rows:
        with ports.unit_of_work() as uow:
            if uow.accounts.find(account_id) is None:
                raise AccountNotFound
    return [{**row, "current": str(row["id"]) == session_id} for row in rows]
