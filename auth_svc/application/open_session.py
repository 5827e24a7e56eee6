"""The step that every way of signing in ends with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from auth_svc.application.ports import AccessToken, Ports
from auth_svc.domain.account import Account
from auth_svc.domain.session import Session

PASSWORD = "pwd"  # noqa: S105  (a word of RFC 8176)


@dataclass(frozen=True)
class SignedIn:
    """What somebody gets who has just been recognized."""

    account: Account
    access_token: AccessToken
    refresh_token: str = field(repr=False)


def open_session(
    ports: Ports, *, session_id: UUID, account_id: UUID, method: str, now: datetime
) -> tuple[Session, str]:
    """Return a new session and its first refresh token."""
    refresh_token = ports.refresh_tokens.issue(session_id)
    session = Session.open(
        id=session_id,
        account_id=account_id,
        token_hash=ports.refresh_tokens.fingerprint(refresh_token),
        amr=(method,),
        now=now,
        lifetime=ports.refresh_policy.lifetime,
    )
    return session, refresh_token
