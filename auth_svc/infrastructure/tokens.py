"""Access tokens: JSON Web Tokens as RFC 9068 profiles them, signed with ES256.

RFC 9068 wants a claim ``client_id``, too. It is left out: people sign in to the product itself, so that no OAuth client
asked for the token, and a name that is made up for the claim might some day be a real client's. The type (``at+jwt``),
the issuer and the audience tell these tokens from all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from auth_svc.application.ports import AccessToken, SignAccessToken
from auth_svc.domain.account import Account
from auth_svc.domain.session import Session
from auth_svc.infrastructure.jws import JwsSigner
from auth_svc.infrastructure.keys import REMEMBERED, KeyRing
from lib.tokens import AccessTokenVerifier, InvalidToken, KeySet

TOKEN_TYPE = "at+jwt"  # noqa: S105  (RFC 9068, section 2.1)


@dataclass
class JwtTokens:
    """:param lifetime: of an access token; it never outlives its session"""

    keys: KeyRing
    issuer: str
    audience: str
    lifetime: timedelta
    new_id: Callable[[], UUID]
    _verifier: AccessTokenVerifier = field(init=False, repr=False)
    _last_signer: JwsSigner | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._verifier = self._new_verifier()

    def signer(self) -> SignAccessToken:
        signed = self._signer().sign

        def sign(account: Account, session: Session, now: datetime) -> AccessToken:
            issued, expires = int(now.timestamp()), int(min(now + self.lifetime, session.expires_at).timestamp())
            claims = {
                "iss": self.issuer,
                "aud": self.audience,
                "sub": str(account.id),
                "sid": str(session.id),
                "jti": str(self.new_id()),
                "iat": issued,
                "auth_time": int(session.authenticated_at.timestamp()),
                "exp": expires,
                "roles": list(account.roles),
                "email_verified": account.email_verified,
                "amr": list(session.amr),
            }
            return AccessToken(signed(claims), expires - issued)

        return sign

    def jwks(self) -> dict[str, Any]:
        return self.keys.jwks()

    def claims(self, token: object) -> Mapping[str, Any] | None:
        if not isinstance(token, str):
            return None
        try:
            return self._verifier.verify(token)
        except InvalidToken:
            return None

    def forget_keys(self) -> None:
        self.keys.forget()
        self._verifier = self._new_verifier()

    def _signer(self) -> JwsSigner:
        kid, private = self.keys.active()
        if self._last_signer is None or self._last_signer.kid != kid:
            self._last_signer = JwsSigner(private, kid=kid, type=TOKEN_TYPE)
        return self._last_signer

    def _new_verifier(self) -> AccessTokenVerifier:
        verifier = AccessTokenVerifier(self.keys.jwks, issuer=self.issuer, audience=self.audience)
        # The keys are in the next room: no copy needs to be older than they are there.
        verifier.keys = KeySet(self.keys.jwks, cool_down=REMEMBERED, max_age=REMEMBERED)
        return verifier
