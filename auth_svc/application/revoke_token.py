"""A client program has no more use for a token, and its session ends (RFC 7009)."""

from __future__ import annotations

import hmac
from uuid import UUID

from auth_svc.application.authenticate_client import authenticate_client
from auth_svc.application.ports import Ports
from auth_svc.domain.session import CLIENT, Session


def revoke_token(
    ports: Ports,
    *,
    client_id: str,
    client_secret: str,
    token: str,
    token_type_hint: str | None = None,  # noqa: ARG001  (a token of ours shows its type, so the hint helps nobody)
) -> None:
    """End the session that an access token or a refresh token belongs to: with it, all of its tokens die.

    Tokens are given to people who sign in, and to no client, so every registered client may revoke every token that it
    was handed. A refresh token may be an older one of its session: whoever hands that in has missed the newer one, or
    has found a stolen one. Anything else is no error and has no effect, as the client wanted it not to work.

    :raises InvalidClient: it may not do this
    """
    client = authenticate_client(ports, client_id=client_id, client_secret=client_secret)
    claimed = ports.refresh_tokens.session_of(token)
    session_id = _session_of_access_token(ports, token) if claimed is None else claimed
    if session_id is None:
        return
    with ports.unit_of_work() as uow:
        now = ports.now()
        session = uow.sessions.find(session_id)
        if session is None or not session.is_live(now, ports.refresh_policy.idle):
            return
        if claimed is not None and not _was_given(ports, session, token):
            return
        session.revoke(CLIENT, now)
        uow.audit.add(
            "session.ended",
            account_id=session.account_id,
            session_id=session.id,
            details={"reason": CLIENT, "client_id": client.id},
        )
        uow.commit()


def _session_of_access_token(ports: Ports, token: str) -> UUID | None:
    claims = ports.tokens.claims(token)
    return None if claims is None else UUID(claims["sid"])


def _was_given(ports: Ports, session: Session, token: str) -> bool:
    """True if the session has, or had, this refresh token: its id alone, which is no secret, ends nothing."""
    is_newest = hmac.compare_digest(ports.refresh_tokens.fingerprint(token), session.token_hash)
    # The newest one may have been made by a SECRET_KEY that is not there any more.
    return is_newest or ports.refresh_tokens.is_ours(session.id, token)
