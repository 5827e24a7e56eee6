"""Registration, sign-in and accounts by RPC."""

from __future__ import annotations

from typing import Any

from auth_svc.application.claim_account import claim_account
from auth_svc.application.get_account import get_account
from auth_svc.application.get_jwks import get_jwks
from auth_svc.application.note_reading import note_reading
from auth_svc.application.ports import Ports
from auth_svc.application.refresh_session import refresh_session
from auth_svc.application.register_account import register_account
from auth_svc.application.reserve_account import reserve_account
from auth_svc.application.sign_in import sign_in
from auth_svc.presentation.schemas import account_dump, reservation_dump, signed_in_dump, tokens_dump
from lib import context
from lib.access import any_of, anyone, owner, roles, system
from lib.rpc import rpc


class AccountRpc:
    """Part of `AuthService`."""

    ports: Ports

    @rpc(allow=anyone, sensitive_arguments=("password",))
    def register(self, email: str, password: str, name: str) -> dict[str, Any]:
        """Make an account and sign its owner in; a mail to the address asks to verify it.

        :param email: at most 254 characters; kept as typed, taken in any spelling of upper and lower case
        :param password: 8 to 128 characters of any kind; neither a common or leaked one nor made of `name` and `email`
        :param name: 1 to 100 characters
        :returns: ``{"user": {"id", "email", "name", "email_verified", "created_at"}, "access_token",
            "refresh_token", "token_type": "Bearer", "expires_in": seconds, "device_token"}``; with
            PRIVATE_REGISTRATION always ``{"accepted": true}``, and the mailbox gets to know whether it was taken
        :raises Fault: conflict/email_taken (an invited owner gets a new mail to claim the account);
            invalid/invalid_email, invalid/invalid_name; invalid/weak_password with all reasons in
            ``details["errors"]``: ``[{"pointer": "/password", "code": "too_short" | "too_long" | "common" |
            "personal" | "breached" | "unreadable", "detail"}]``; unavailable/overloaded
        """
        signed_in = register_account(self.ports, email=email, password=password, name=name)
        return {"accepted": True} if signed_in is None else signed_in_dump(signed_in)

    @rpc(allow=anyone, sensitive_arguments=("password", "device_token"))
    def login(
        self, email: str, password: str, device_token: str | None = None, known_device_only: bool = False
    ) -> dict[str, Any]:
        """Sign in and open a new session.

        :param email: in any spelling of upper and lower case
        :param password: the whole password, composed or decomposed Unicode
        :param device_token: from an earlier `register` or `login` on this device: others' failures do not lock it out
        :param known_device_only: for a gateway that sees too many failures: who shows no valid `device_token` is
            refused unseen
        :returns: as of `register`
        :raises Fault: unauthenticated/invalid_credentials, whatever the reason is, after the same time;
            limited/rate_limited with ``retry_after`` seconds, with `known_device_only` alone;
            unavailable/overloaded with ``retry_after`` seconds: too many are waiting already
        """
        signed_in = sign_in(
            self.ports,
            email=email,
            password=password,
            device_token=device_token,
            known_device_only=known_device_only,
        )
        return signed_in_dump(signed_in)

    @rpc(allow=anyone, idempotent=True, sensitive_arguments=("refresh_token",))
    def refresh(self, refresh_token: str) -> dict[str, Any]:
        """Change a refresh token for a new pair of tokens.

        A token works once. Within REFRESH_GRACE seconds it gives the same successor again, as long as that is unused.

        :param refresh_token: the newest one of its session
        :returns: ``{"access_token", "refresh_token", "token_type": "Bearer", "expires_in": seconds}``
        :raises Fault: unauthenticated/refresh_invalid (unknown, or the session was signed out),
            unauthenticated/refresh_reused (used before: the whole session has ended),
            unauthenticated/session_expired
        """
        return tokens_dump(refresh_session(self.ports, refresh_token=refresh_token))

    @rpc(allow=anyone, sensitive_arguments=("token", "password"))
    def claim_account(self, token: str, password: str) -> dict[str, Any]:
        """Take over an invited account: set its first password and sign in.

        :param token: from the mail to the invited address
        :param password: as of `register`
        :returns: as of `register`
        :raises Fault: invalid/invalid_or_expired_token, conflict/not_claimable, invalid/weak_password (the token stays
            good), unavailable/overloaded
        """
        return signed_in_dump(claim_account(self.ports, token=token, password=password))

    @rpc(allow=any_of(owner("user_id"), roles("admin")), idempotent=True)
    def get_account(self, user_id: str, reason: str | None = None) -> dict[str, Any]:
        """Show an account.

        :param user_id: its id
        :param reason: of an administrator, 1 to 500 characters for the audit trail
        :returns: ``{"id", "email", "name", "email_verified", "status": "active" | "invited" | "disabled",
            "roles": [string], "created_at"}``; for others than its owner also ``"disabled_reason"``
        :raises Fault: not_found/account_not_found
        """
        account = get_account(self.ports, user_id=user_id)
        note_reading(self.ports, "account.read", account_id=user_id, reason=reason)
        return account_dump(account, for_staff=context.current().actor.id != user_id)

    @rpc(allow=system, idempotent=True)
    def reserve_account(self, email: str, name: str, request_key: str) -> dict[str, Any]:
        """Make an invited account: the id and the address are taken, its owner gets a mail to claim it.

        :param email: as of `register`
        :param name: as of `register`
        :param request_key: 1 to 255 printable characters of the caller's choice; the same key gives the same account
        :returns: ``{"id", "email", "name", "status", "created": true if this very call made it}``; with
            PRIVATE_REGISTRATION always ``{"accepted": true}``, and the mailbox gets to know whether it was taken
        :raises Fault: conflict/email_taken, conflict/request_key_reused (same key, other address),
            invalid/invalid_email, invalid/invalid_name, invalid/invalid_request_key
        """
        reservation = reserve_account(self.ports, email=email, name=name, request_key=request_key)
        return {"accepted": True} if reservation is None else reservation_dump(reservation)

    @rpc(allow=anyone, idempotent=True)
    def get_jwks(self) -> dict[str, Any]:
        """Give the public keys that access tokens are signed with.

        :returns: ``{"keys": [{"kty", "crv", "x", "y", "kid", "use", "alg"}]}``, a JSON Web Key Set (RFC 7517)
        """
        return get_jwks(self.ports)
