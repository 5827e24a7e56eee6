"""Sessions end because their owner wants it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from auth_svc.application.end_sessions import end_sessions
from auth_svc.application.parse_id import parse_id
from auth_svc.application.ports import Ports
from auth_svc.application.repositories import UnitOfWork
from auth_svc.domain.account import AccountNotFound
from auth_svc.domain.session import LOGOUT, SessionNotFound
from lib.errors import Invalid

SCOPES = ("local", "others", "global")


class InvalidScope(Invalid):
    code = "invalid_scope"


class InvalidSessionId(Invalid):
    code = "invalid_session_id"


def sign_out(ports: Ports, *, user_id: str, session_id: str, scope: str = "local") -> None:
    """End sessions of one account. Those that have ended, or never were, are no error.

    :param session_id: the session that asks
    :param scope: ``local`` this session, ``others`` all but this, ``global`` all
    """
    if scope not in SCOPES:
        raise InvalidScope("the scope is one of " + ", ".join(SCOPES))
    account_id = parse_id(user_id, AccountNotFound())
    asking = parse_id(session_id, InvalidSessionId("a session's id is a UUID"))
    with ports.unit_of_work() as uow:
        if scope == "local":
            _end_one(uow, account_id, asking, ports.now())
        else:
            # Locked, so that no session is opened meanwhile.
            account = uow.accounts.get(account_id)
            if scope == "global":
                end_sessions(uow, account, reason=LOGOUT, now=ports.now())
            else:
                _end_others(uow, account_id, asking, ports.now())
            uow.audit.add("sessions.ended", account_id=account_id, details={"scope": scope, "reason": LOGOUT})
        uow.commit()


def _end_one(uow: UnitOfWork, account_id: UUID, session_id: UUID, now: datetime) -> None:
    session = uow.sessions.find(session_id)
    if session is not None and session.account_id == account_id and session.revoked_at is None:
        session.revoke(LOGOUT, now)
        uow.audit.add("session.ended", account_id=account_id, session_id=session_id, details={"reason": LOGOUT})


def _end_others(uow: UnitOfWork, account_id: UUID, asking: UUID, now: datetime) -> None:
    for session in uow.sessions.live_of(account_id, now):
        if session.id != asking:
            session.revoke(LOGOUT, now)


def end_session(ports: Ports, *, user_id: str, session_id: str) -> None:
    """End one session of an account, as its owner asks for in the list of sessions.

    :raises SessionNotFound: the account has no such session; one that has ended already is no error
    """
    account_id = parse_id(user_id, SessionNotFound())
    wanted = parse_id(session_id, SessionNotFound())
    with ports.unit_of_work() as uow:
        session = uow.sessions.find(wanted)
        if session is None or session.account_id != account_id:
            raise SessionNotFound
        _end_one(uow, account_id, wanted, ports.now())
        uow.commit()
