"""The owner of an account proves it by password and gets a new session."""

from __future__ import annotations

from auth_svc.application.open_session import PASSWORD, SignedIn, open_session
from auth_svc.application.ports import Ports
from auth_svc.domain.account import Account, AccountNotFound, InvalidCredentials
from auth_svc.domain.email import Email, InvalidEmail
from auth_svc.domain.password import presented_password


def sign_in(ports: Ports, *, email: str, password: str) -> SignedIn:
    known = _find(ports, email)
    presented = presented_password(password)
    password_hash = known.password_hash if known and presented else None
    # Always one verification, whatever is wrong, and always the same error after it.
    matches = ports.hasher.verify(password_hash, presented or "")
    if not matches or known is None or presented is None or password_hash is None:
        raise InvalidCredentials
    upgraded = ports.hasher.hash(presented) if ports.hasher.is_outdated(password_hash) else None
    sign = ports.tokens.signer()
    with ports.unit_of_work() as uow:
        try:
            account = uow.accounts.get(known.id)
        except AccountNotFound as exc:
            raise InvalidCredentials from exc
        now = ports.now()
        session, refresh_token = open_session(
            ports, session_id=ports.new_id(), account_id=account.id, method=PASSWORD, now=now
        )
        account.log_in(session_id=session.id, method=PASSWORD, password_set_at=known.password_set_at)
        if upgraded:
            account.upgrade_hash(password_hash, upgraded)
        access_token = sign(account, session, now)
        uow.sessions.add(session)
        uow.commit()
    return SignedIn(account, access_token, refresh_token)


def _find(ports: Ports, email: str) -> Account | None:
    try:
        address = Email(email)
    except InvalidEmail:
        return None
    with ports.unit_of_work() as uow:
        return uow.accounts.find_by_email(address)
