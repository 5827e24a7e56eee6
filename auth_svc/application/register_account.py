"""Somebody makes an account for themselves and is signed in."""

from __future__ import annotations

from auth_svc.application.open_session import PASSWORD, SignedIn, open_session
from auth_svc.application.ports import Ports
from auth_svc.domain.account import Account, proper_name
from auth_svc.domain.email import Email, EmailTaken
from auth_svc.domain.password import new_password


def register_account(ports: Ports, *, email: str, password: str, name: str) -> SignedIn:
    address, person = Email(email), proper_name(name)
    accepted = new_password(password, email=address, name=person, common=ports.common_passwords)
    password_hash = ports.hasher.hash(accepted)
    sign = ports.tokens.signer()
    with ports.unit_of_work() as uow:
        if uow.accounts.find_by_email(address):
            raise EmailTaken
        now = ports.now()
        account = Account.register(id=ports.new_id(), email=address, name=person, password_hash=password_hash, now=now)
        session, refresh_token = open_session(
            ports, session_id=ports.new_id(), account_id=account.id, method=PASSWORD, now=now
        )
        access_token = sign(account, session, now)
        uow.accounts.add(account)
        uow.sessions.add(session)
        uow.commit()
    return SignedIn(account, access_token, refresh_token)
