"""E-mail addresses by RPC: verified, changed, and the worker that sends the mails."""

from __future__ import annotations

from typing import Any

from auth_svc.application.change_email import change_email, confirm_email_change, revert_email_change
from auth_svc.application.ports import Ports
from auth_svc.application.send_mail import send_mail
from auth_svc.application.verify_email import request_email_verification, verify_email, verify_email_by_code
from lib.access import anyone, owner
from lib.events import event_handler
from lib.rpc import rpc


class EmailRpc:
    """Part of `AuthService`."""

    ports: Ports

    @rpc(allow=owner("user_id"))
    def request_email_verification(self, user_id: str) -> dict[str, Any]:
        """Have another mail sent that asks to verify the account's address. At most some in an hour are sent.

        :param user_id: the account
        :returns: ``{}``, also if the address is verified already
        :raises Fault: not_found/account_not_found
        """
        request_email_verification(self.ports, user_id=user_id)
        return {}

    @rpc(allow=anyone, idempotent=True, sensitive_arguments=("token",))
    def verify_email(self, token: str) -> dict[str, Any]:
        """Verify an account's address by the token in the mail's link.

        :param token: the newest one; it may be used again, which changes nothing
        :returns: ``{"status": "verified" | "already_verified"}``
        :raises Fault: invalid/invalid_or_expired_token
        """
        return {"status": verify_email(self.ports, token=token)}

    @rpc(allow=owner("user_id"), sensitive_arguments=("code",))
    def verify_email_by_code(self, user_id: str, code: str) -> dict[str, Any]:
        """Verify the own account's address by the six digits in the mail.

        :param user_id: the account
        :param code: blanks in it do not matter; five wrong ones make it invalid
        :returns: ``{"status": "verified" | "already_verified"}``
        :raises Fault: invalid/invalid_code, not_found/account_not_found
        """
        return {"status": verify_email_by_code(self.ports, user_id=user_id, code=code)}

    @rpc(allow=owner("user_id"), sensitive_arguments=("current_password",))
    def change_email(self, user_id: str, new_email: str, current_password: str) -> dict[str, Any]:
        """Have a link sent to a new address; the account moves when it is used. The old one gets a way back.

        :param user_id: the account
        :param new_email: as of `register`; whether it is taken does not show
        :param current_password: of the account
        :returns: ``{}``
        :raises Fault: forbidden/wrong_password, invalid/invalid_email, invalid/email_unchanged,
            not_found/account_not_found, unavailable/overloaded
        """
        change_email(self.ports, user_id=user_id, new_email=new_email, current_password=current_password)
        return {}

    @rpc(allow=anyone, sensitive_arguments=("token",))
    def confirm_email_change(self, token: str) -> dict[str, Any]:
        """Move an account to its new address.

        :param token: from the mail to the new address
        :returns: ``{"email"}``, the account's address from now on
        :raises Fault: invalid/invalid_or_expired_token, conflict/email_taken
        """
        return {"email": confirm_email_change(self.ports, token=token).email.typed}

    @rpc(allow=anyone, sensitive_arguments=("token",))
    def revert_email_change(self, token: str) -> dict[str, Any]:
        """Move an account back to its old address; all sessions and the password end.

        :param token: from the notice to the old address; seven days long
        :returns: ``{"email"}``, the account's address from now on
        :raises Fault: invalid/invalid_or_expired_token, conflict/email_taken
        """
        return {"email": revert_email_change(self.ports, token=token).email.typed}

    @event_handler("auth_svc", "mail.requested")
    def on_mail_requested(self, event: dict[str, Any]) -> None:
        """Send a mail that this service has asked for."""
        data = event["data"]
        send_mail(
            self.ports,
            event_id=event["id"],
            account_id=data["account_id"],
            kind=data["kind"],
            reference=data["reference"],
        )
