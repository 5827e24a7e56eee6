"""The owner of an account, signed in, chooses another password."""

from __future__ import annotations

from auth_svc.application.choose_password import choose_password
from auth_svc.application.confirm_password import confirm_password
from auth_svc.application.end_sessions import withdraw_changes
from auth_svc.application.parse_id import parse_id
from auth_svc.application.ports import Ports
from auth_svc.domain.account import AccountNotFound
from auth_svc.domain.password import PasswordUnchanged, WrongPassword, presented_password
from auth_svc.domain.session import PASSWORD_CHANGE


def change_password(
    ports: Ports, *, user_id: str, session_id: str | None, current_password: str, new_password: str
) -> None:
    """Set the new password and end all sessions but the one that asks.

    :raises WrongPassword: the current one is another
    :raises WeakPassword, PasswordUnchanged: the new one will not do
    """
    account_id = parse_id(user_id, AccountNotFound())
    asking = None if session_id is None else parse_id(session_id, AccountNotFound())
    known = confirm_password(
        ports, account_id=account_id, current_password=current_password, purpose="password.changed"
    )
    if presented_password(new_password) == presented_password(current_password):
        raise PasswordUnchanged
    password_hash = choose_password(ports, new_password, email=known.email, name=known.name)
    with ports.unit_of_work() as uow:
        account = uow.accounts.get(account_id)
        if account.password_set_at != known.password_set_at or not account.is_active:
            # A parallel change was faster: what was shown is not the current password any more.
            raise WrongPassword
        now = ports.now()
        account.set_password(password_hash, method="change", now=now)
        for session in uow.sessions.live_of(account_id, now):
            if session.id != asking:
                session.revoke(PASSWORD_CHANGE, now)
        withdraw_changes(uow, account, now)
        account.request_mail("password_changed")
        uow.audit.add("password.changed", account_id=account_id)
        uow.commit()
