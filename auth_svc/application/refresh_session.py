"""A client changes its refresh token for a new pair of tokens."""

from __future__ import annotations

from uuid import UUID

from auth_svc.application.open_session import SignedIn
from auth_svc.application.ports import Ports
from auth_svc.domain.session import REUSED, RefreshInvalid, RefreshReused
from lib.errors import Unauthenticated


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
        ended_before = session.revoked_at is not None
        try:
            successor = session.rotate(refresh_token, ports.refresh_tokens, now=now, policy=ports.refresh_policy)
        except RefreshReused:
            if ended_before:
                raise
        else:
            if not account.is_active:
                raise RefreshInvalid
            access_token = sign(account, session, now)
            uow.commit()
            return SignedIn(account, access_token, successor)
    raise _reused(ports, account.id, session_id)


def _reused(ports: Ports, account_id: UUID, session_id: UUID) -> Unauthenticated:
    """End the session, tell its owner, and return the refusal.

    Once more from the start, because accounts are locked before sessions.
    """
    with ports.unit_of_work() as uow:
        account = uow.accounts.get(account_id)
        session = uow.sessions.find(session_id)
        if session is None or session.revoked_reason not in (None, REUSED):
            # It ended otherwise meanwhile.
            return RefreshInvalid()
        if session.revoked_at is None:
            # The refusal is a change, too: the session is dead from now on.
            session.revoke(REUSED, ports.now())
            account.request_mail("session_ended", session_id)
            uow.audit.add("session.refresh_reused", account_id=account_id, outcome="failure", session_id=session_id)
            uow.commit()
    return RefreshReused()
