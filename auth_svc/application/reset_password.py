"""Somebody who reads the account's mail sets a new password."""

from __future__ import annotations

from auth_svc.application.choose_password import choose_password
from auth_svc.application.confirm_password import confirming
from auth_svc.application.end_sessions import end_sessions, withdraw_changes
from auth_svc.application.one_time_token import find_token
from auth_svc.application.ports import Ports
from auth_svc.domain.one_time_token import InvalidToken
from auth_svc.domain.session import PASSWORD_RESET


def reset_password(ports: Ports, *, token: str, new_password: str) -> None:
    """Set the password and end all sessions. Nobody is signed in by it.

    On an account whose address was not verified this is the first proof of the mailbox: what a stranger has set up
    before, password and sessions, is gone with it.

    :raises InvalidToken: unknown, used, too old, or for an address that the account has left
    :raises WeakPassword: the token stays good for another try
    """
    with ports.unit_of_work() as uow:
        known, found = find_token(ports, uow, token, "password_reset")
        found.use(ports.now(), target=known.email.key)
        # Only looked at, to spare the hash: nothing is saved here.
    password_hash = choose_password(ports, new_password, email=known.email, name=known.name)
    with ports.unit_of_work() as uow:
        account, found = find_token(ports, uow, token, "password_reset")
        now = ports.now()
        found.use(now, target=account.email.key)
        if not account.is_active:
            raise InvalidToken
        account.set_password(password_hash, method="reset", now=now)
        account.verify_email()
        end_sessions(uow, account, reason=PASSWORD_RESET, now=now)
        withdraw_changes(uow, account, now)
        for key in (account.email.key, confirming(account)):
            uow.login_attempts.clear(ports.login_keys.of_address(key))
        account.request_mail("password_changed")
        uow.audit.add("password.reset", account_id=account.id, actor_id=account.id)
        uow.commit()
