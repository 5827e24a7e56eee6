"""A client program asks whether a token is good (RFC 7662)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from auth_svc.application.authenticate_client import authenticate_client
from auth_svc.application.ports import Ports
from auth_svc.application.repositories import UnitOfWork
from auth_svc.domain.session import Session

#: what an access token says and an introspection repeats, as far as it is there
CLAIMS = (
    "exp", "iat", "nbf", "sub", "aud", "iss", "jti", "client_id", "sid", "roles", "amr", "auth_time", "email_verified",
)  # fmt: skip


def introspect_token(
    ports: Ports,
    *,
    client_id: str,
    client_secret: str,
    token: str,
    token_type_hint: str | None = None,  # noqa: ARG001  (a token of ours shows its type, so the hint helps nobody)
) -> dict[str, Any]:
    """Return what RFC 7662, section 2.2, says; for everything that is not good, whatever the reason, that alone.

    Good are access tokens that are valid, whose session has not ended and whose account is active; and of such a
    session the newest refresh token, which stays unused. Two members are left out on purpose: `scope`, as there are
    none, and `username`, as a name or an address is more than a program needs to know (RFC 7662, section 5).

    :raises InvalidClient: it may not ask
    """
    authenticate_client(ports, client_id=client_id, client_secret=client_secret)
    session_id = ports.refresh_tokens.session_of(token)
    found = _access_token(ports, token) if session_id is None else _refresh_token(ports, token, session_id)
    return {"active": False} if found is None else {"active": True, **found}


def _access_token(ports: Ports, token: str) -> Mapping[str, Any] | None:
    claims = ports.tokens.claims(token)
    # A verifier is lenient by some seconds, for other clocks; this is the clock that the token was made by.
    if claims is None or claims["exp"] <= ports.now().timestamp():
        return None
    with ports.unit_of_work() as uow:
        if _live_session(ports, uow, UUID(claims["sid"])) is None:
            return None
    return {"token_type": "Bearer", **{name: claims[name] for name in CLAIMS if name in claims}}


def _refresh_token(ports: Ports, token: str, session_id: UUID) -> Mapping[str, Any] | None:
    with ports.unit_of_work() as uow:
        session = _live_session(ports, uow, session_id)
    if session is None or not hmac.compare_digest(ports.refresh_tokens.fingerprint(token), session.token_hash):
        return None
    ends = min(session.expires_at, session.last_used_at + ports.refresh_policy.idle)
    return {
        "token_type": "refresh_token",
        "sub": str(session.account_id),
        "sid": str(session.id),
        "exp": int(ends.timestamp()),
    }


def _live_session(ports: Ports, uow: UnitOfWork, session_id: UUID) -> Session | None:
    session = uow.sessions.find(session_id)
    if session is None or not session.is_live(ports.now(), ports.refresh_policy.idle):
        return None
    account = uow.accounts.find(session.account_id)
    return session if account is not None and account.is_active else None
