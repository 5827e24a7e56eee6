"""auth_svc on the broker."""

from __future__ import annotations

from typing import Any

from auth_svc.application.get_account import get_account
from auth_svc.application.get_jwks import get_jwks
from auth_svc.application.refresh_session import refresh_session
from auth_svc.application.register_account import register_account
from auth_svc.application.reserve_account import reserve_account
from auth_svc.application.sign_in import sign_in
from auth_svc.application.sign_out import sign_out
from auth_svc.bootstrap import build_ports
from auth_svc.presentation.schemas import account_dump, reservation_dump, signed_in_dump, tokens_dump
from lib.access import anyone, owner, system
from lib.caller import Caller
from lib.database import Database
from lib.operations import Operations
from lib.provide import Provide
from lib.rpc import rpc


class AuthService:
    """Accounts, sign-in and sessions.

    Events (exchange ``auth_svc.events``): ``user.registered`` {id, email, name, status, email_verified},
    ``user.logged_in`` {id, session_id, method}, ``session.revoked`` {session_id, user_id, reason}.
    """

    name = "auth_svc"
    ports = Provide(build_ports, database=Database())
    caller = Caller(jwks=get_jwks)
    operations = Operations()

    @rpc(allow=anyone, sensitive_arguments=("password",))
    def register(self, email: str, password: str, name: str) -> dict[str, Any]:
        """Make an account and sign its owner in.

        :param email: at most 254 characters; kept as typed, taken in any spelling of upper and lower case
        :param password: 8 to 128 characters of any kind; neither a common one nor made of `name` and `email`
        :param name: 1 to 100 characters
        :returns: ``{"user": {"id", "email", "name", "email_verified", "created_at"}, "access_token",
            "refresh_token", "token_type": "Bearer", "expires_in": seconds}``
        :raises Fault: conflict/email_taken; invalid/invalid_email, invalid/invalid_name; invalid/weak_password with
            all reasons in ``details["errors"]``: ``[{"pointer": "/password", "code": "too_short" | "too_long" |
            "common" | "personal" | "unreadable", "detail"}]``
        """
        return signed_in_dump(register_account(self.ports, email=email, password=password, name=name))

    @rpc(allow=anyone, sensitive_arguments=("password",))
    def login(self, email: str, password: str) -> dict[str, Any]:
        """Sign in and open a new session.

        :param email: in any spelling of upper and lower case
        :param password: the whole password, composed or decomposed Unicode
        :returns: as of `register`
        :raises Fault: unauthenticated/invalid_credentials, whatever the reason is, after the same time
        """
        return signed_in_dump(sign_in(self.ports, email=email, password=password))

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

    @rpc(allow=owner("user_id"), idempotent=True)
    def logout(self, user_id: str, session_id: str, scope: str = "local") -> dict[str, Any]:
        """End sessions of an account; those that have ended already are no error.

        :param user_id: the account
        :param session_id: the session that asks: the access token's ``sid``
        :param scope: ``local`` this session, ``others`` all but this, ``global`` all
        :returns: ``{}``
        :raises Fault: invalid/invalid_scope, invalid/invalid_session_id; not_found/account_not_found if `user_id` is
            no id at all
        """
        sign_out(self.ports, user_id=user_id, session_id=session_id, scope=scope)
        return {}

    @rpc(allow=owner("user_id"), idempotent=True)
    def get_account(self, user_id: str) -> dict[str, Any]:
        """Show an account.

        :param user_id: its id
        :returns: ``{"id", "email", "name", "email_verified", "status": "active" | "invited" | "disabled",
            "roles": [string], "created_at"}``
        :raises Fault: not_found/account_not_found
        """
        return account_dump(get_account(self.ports, user_id=user_id))

    @rpc(allow=system, idempotent=True)
    def reserve_account(self, email: str, name: str, request_key: str) -> dict[str, Any]:
        """Make an invited account: the id and the address are taken, its owner has yet to claim it.

        :param email: as of `register`
        :param name: as of `register`
        :param request_key: 1 to 255 printable characters of the caller's choice; the same key gives the same account
        :returns: ``{"id", "email", "name", "status", "created": true if this very call made it}``
        :raises Fault: conflict/email_taken, conflict/request_key_reused (same key, other address),
            invalid/invalid_email, invalid/invalid_name, invalid/invalid_request_key
        """
        return reservation_dump(reserve_account(self.ports, email=email, name=name, request_key=request_key))

    @rpc(allow=anyone, idempotent=True)
    def get_jwks(self) -> dict[str, Any]:
        """Give the public keys that access tokens are signed with.

        :returns: ``{"keys": [{"kty", "crv", "x", "y", "kid", "use", "alg"}]}``, a JSON Web Key Set (RFC 7517)
        """
        return get_jwks(self.ports)
