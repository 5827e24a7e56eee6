"""The step that every way of signing in ends with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from auth_svc.application.ports import AccessToken, Ports
from auth_svc.application.repositories import UnitOfWork
from auth_svc.domain.account import Account
from auth_svc.domain.session import Session

#: words of RFC 8176, which has none for a link in a mail
PASSWORD, MAIL = "pwd", "mail"


@dataclass(frozen=True)
class SignedIn:
    """What somebody gets who has just been recognized.

    :param device_token: what the client is to keep to be known again
    """

    account: Account
    access_token: AccessToken
    refresh_token: str = field(repr=False)
    device_token: str | None = field(default=None, repr=False)


def open_session(ports: Ports, uow: UnitOfWork, account: Account, *, method: str, now: datetime) -> tuple[Session, str]:
    """Add a new session to the transaction; return it and its first refresh token.

    :param account: locked, or new: nobody else opens or ends a session of it at the same time
    """
    session_id = ports.new_session_id(account.not_before)
    refresh_token = ports.refresh_tokens.issue(session_id)
    origin = ports.origin()
    session = Session.open(
        id=session_id,
        account_id=account.id,
        token_hash=ports.refresh_tokens.fingerprint(refresh_token),
        amr=(method,),
        now=now,
        lifetime=ports.refresh_policy.lifetime,
        ip=origin.ip,
        user_agent=origin.user_agent,
    )
    uow.sessions.add(session)
    return session, refresh_token
