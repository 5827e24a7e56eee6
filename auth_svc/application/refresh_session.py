"""A client changes its refresh token for a new pair of tokens."""

from __future__ import annotations

from auth_svc.application.open_session import SignedIn
from auth_svc.application.ports import Ports
from auth_svc.domain.session import RefreshInvalid, RefreshReused


def refresh_session(ports: Ports, *, refresh_token: str) -> SignedIn:
    session_id = ports.refresh_tokens.session_of(refresh_token)
    if session_id is None:
        raise RefreshInvalid
    sign = ports.tokens.signer()
    with ports.unit_of_work() as uow:
        session = uow.sessions.find(session_id)
        account = uow.accounts.find(session.account_id) if session else None
        if session is None or account is None:
            raise RefreshInvalid
        now = ports.now()
        try:
            successor = session.rotate(refresh_token, ports.refresh_tokens, now=now, policy=ports.refresh_policy)
        except RefreshReused:
            # The refusal is a change, too: the session is dead from now on.
            uow.commit()
            raise
        if not account.is_active:
            raise RefreshInvalid
        access_token = sign(account, session, now)
        uow.commit()
    return SignedIn(account, access_token, successor)
