"""Passwords by RPC."""

from __future__ import annotations

from typing import Any

from auth_svc.application.change_password import change_password
from auth_svc.application.forgot_password import forgot_password
from auth_svc.application.ports import Ports
from auth_svc.application.reset_password import reset_password
from lib.access import anyone, owner
from lib.rpc import rpc


class PasswordRpc:
    """Part of `AuthService`."""

    ports: Ports

    @rpc(allow=anyone)
    def forgot_password(self, email: str) -> dict[str, Any]:
        """Have a mail sent that helps to set a new password, if somebody has this address.

        :param email: in any spelling of upper and lower case
        :returns: ``{}``, whatever is the case, after the same time
        """
        forgot_password(self.ports, email=email)
        return {}

    @rpc(allow=anyone, sensitive_arguments=("token", "new_password"))
    def reset_password(self, token: str, new_password: str) -> dict[str, Any]:
        """Set a new password by the token in a mail. All sessions end; nobody is signed in by this.

        :param token: the newest one, at most one hour old
        :param new_password: as of `register`
        :returns: ``{}``
        :raises Fault: invalid/invalid_or_expired_token, invalid/weak_password (the token stays good),
            unavailable/overloaded
        """
        reset_password(self.ports, token=token, new_password=new_password)
        return {}

    @rpc(allow=owner("user_id"), sensitive_arguments=("current_password", "new_password"))
    def change_password(
        self, user_id: str, current_password: str, new_password: str, session_id: str | None = None
    ) -> dict[str, Any]:
        """Set a new password. All sessions end, except for the one that asks.

        :param user_id: the account
        :param current_password: wrong ones count as failed sign-ins do
        :param new_password: as of `register`
        :param session_id: the session that asks: the access token's ``sid``
        :returns: ``{}``
        :raises Fault: forbidden/wrong_password, invalid/weak_password, invalid/password_unchanged,
            not_found/account_not_found, unavailable/overloaded
        """
        change_password(
            self.ports,
            user_id=user_id,
            session_id=session_id,
            current_password=current_password,
            new_password=new_password,
        )
        return {}
