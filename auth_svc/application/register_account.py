"""Somebody makes an account for themselves and is signed in."""

from __future__ import annotations

from auth_svc.application.choose_password import choose_password
from auth_svc.application.open_session import PASSWORD, SignedIn, open_session
from auth_svc.application.ports import Ports, SignAccessToken
from auth_svc.application.tell_owner import tell_owner
from auth_svc.domain.account import Account, proper_name
from auth_svc.domain.email import Email, EmailTaken


def register_account(ports: Ports, *, email: str, password: str, name: str) -> SignedIn | None:
    """Make an account and sign its owner in.

    With private registration the answer is None, whether or not the address was taken: the mailbox gets to know.
    """
    address, person = Email(email), proper_name(name)
    password_hash = choose_password(ports, password, email=address, name=person)
    sign = ports.tokens.signer()
    try:
        return _register(ports, address, person, password_hash, sign)
    except EmailTaken:
        # Before the answer, not after it: it takes as long as making an account does.
        tell_owner(ports, address)
        if ports.rules.private_registration:
            return None
        raise


def _register(ports: Ports, address: Email, person: str, password_hash: str, sign: SignAccessToken) -> SignedIn | None:
    with ports.unit_of_work() as uow:
        if ports.rules.private_registration and uow.accounts.find_by_email(address):
            # Looked for before anything is written, so that an address that is taken costs about as much as one that
            # is not.
            raise EmailTaken
        now = ports.now()
        account = Account.register(id=ports.new_id(), email=address, name=person, password_hash=password_hash, now=now)
        uow.accounts.add_if_free(account)
        account.request_mail("verification")
        if ports.rules.private_registration:
            uow.audit.add("account.registered", account_id=account.id)
            uow.commit()
            return None
        session, refresh_token = open_session(ports, uow, account, method=PASSWORD, now=now)
        access_token = sign(account, session, now)
        uow.audit.add("account.registered", account_id=account.id, actor_id=account.id, session_id=session.id)
        uow.commit()
    return SignedIn(account, access_token, refresh_token, ports.device_tokens.issue(account))
