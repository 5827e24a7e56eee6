"""Sessions end because their owner wants it."""

from __future__ import annotations

from auth_svc.application.parse_id import parse_id
from auth_svc.application.ports import Ports
from auth_svc.domain.account import AccountNotFound
from auth_svc.domain.session import LOGOUT
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
        now = ports.now()
        if scope == "local":
            asked = uow.sessions.find(asking)
            chosen = [asked] if asked and asked.account_id == account_id else []
        else:
            chosen = [each for each in uow.sessions.live_of(account_id, now) if scope == "global" or each.id != asking]
        for session in chosen:
            session.revoke(LOGOUT, now)
        uow.commit()
