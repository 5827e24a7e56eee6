"""The owner of an invited address takes the account over."""

from __future__ import annotations

from auth_svc.application.choose_password import choose_password
from auth_svc.application.one_time_token import find_token
from auth_svc.application.open_session import MAIL, SignedIn, open_session
from auth_svc.application.ports import Ports


def claim_account(ports: Ports, *, token: str, password: str) -> SignedIn:
    """Set the account's first password and sign its owner in.

    :raises InvalidToken: unknown, used, too old, or replaced by a newer one
    :raises NotClaimable: the account is not invited (any more)
    :raises WeakPassword: the token stays good for another try
    """
    with ports.unit_of_work() as uow:
        known, found = find_token(ports, uow, token, "claim")
        found.use(ports.now(), target=known.email.key)
        # Only looked at, to spare the hash: nothing is saved here.
    password_hash = choose_password(ports, password, email=known.email, name=known.name)
    sign = ports.tokens.signer()
    with ports.unit_of_work() as uow:
        account, found = find_token(ports, uow, token, "claim")
        now = ports.now()
        found.use(now, target=account.email.key)
        account.claim(password_hash=password_hash, now=now)
        session, refresh_token = open_session(ports, uow, account, method=MAIL, now=now)
        access_token = sign(account, session, now)
        uow.audit.add("account.claimed", account_id=account.id, actor_id=account.id, session_id=session.id)
        uow.commit()
    return SignedIn(account, access_token, refresh_token, ports.device_tokens.issue(account))
