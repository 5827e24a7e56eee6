"""What client programs may ask about tokens, and do to them."""

from __future__ import annotations

from typing import Any

from auth_svc.application.introspect_token import introspect_token
from auth_svc.application.ports import Ports
from auth_svc.application.revoke_token import revoke_token
from lib.access import anyone
from lib.rpc import rpc

SECRET_ARGUMENTS = ("client_secret", "token")


class OAuthRpc:
    """Introspection and revocation. Clients are made by command: ``python -m lib.cli auth_svc clients create NAME``."""

    ports: Ports

    @rpc(allow=anyone, idempotent=True, sensitive_arguments=SECRET_ARGUMENTS)
    def introspect_token(
        self, client_id: str, client_secret: str, token: str, token_type_hint: str | None = None
    ) -> dict[str, Any]:
        """Tell whether a token is good (RFC 7662). Changes nothing: a refresh token stays unused.

        :param client_id: who asks: a registered client
        :param client_secret: … and the proof of it
        :param token: an access token or a refresh token; any other text is just not good
        :param token_type_hint: ``access_token`` or ``refresh_token``; not needed, and ignored if it is anything else
        :returns: ``{"active": False}`` and nothing else whatever is wrong with the token. A good access token:
            ``{"active": True, "token_type": "Bearer", "exp", "iat", "sub", "aud", "iss", "jti", "sid", "roles", "amr",
            "auth_time", "email_verified"}``; the newest refresh token of a live session: ``{"active": True,
            "token_type": "refresh_token", "sub", "sid", "exp"}``. Times are seconds since 1970
        :raises Fault: unauthenticated/invalid_client (unknown, wrong secret, or revoked)
        """
        return introspect_token(
            self.ports,
            client_id=client_id,
            client_secret=client_secret,
            token=token,
            token_type_hint=token_type_hint,
        )

    @rpc(allow=anyone, idempotent=True, sensitive_arguments=SECRET_ARGUMENTS)
    def revoke_token(
        self, client_id: str, client_secret: str, token: str, token_type_hint: str | None = None
    ) -> dict[str, Any]:
        """End the session that a token belongs to (RFC 7009), and with it all of its tokens.

        Every registered client may revoke every token. A token that is unknown, malformed or dead is no error.

        :param client_id: as of `introspect_token`
        :param client_secret: as of `introspect_token`
        :param token: an access token or a refresh token
        :param token_type_hint: as of `introspect_token`
        :returns: ``{}``
        :raises Fault: unauthenticated/invalid_client (unknown, wrong secret, or revoked)
        """
        revoke_token(
            self.ports,
            client_id=client_id,
            client_secret=client_secret,
            token=token,
            token_type_hint=token_type_hint,
        )
        return {}
