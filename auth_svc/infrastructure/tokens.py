"""Access tokens: JSON Web Tokens as RFC 9068 profiles them, signed with ES256."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt

from auth_svc.application.ports import AccessToken, SignAccessToken
from auth_svc.domain.account import Account
from auth_svc.domain.session import Session
from auth_svc.infrastructure.keys import ALGORITHM, KeyRing

TOKEN_TYPE = "at+jwt"  # noqa: S105  (RFC 9068, section 2.1)


@dataclass(frozen=True)
class JwtTokens:
    """:param lifetime: of an access token; it never outlives its session"""

    keys: KeyRing
    issuer: str
    audience: str
    lifetime: timedelta
    new_id: Callable[[], UUID]

    def signer(self) -> SignAccessToken:
        kid, private = self.keys.active()

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
            value = jwt.encode(claims, private, algorithm=ALGORITHM, headers={"typ": TOKEN_TYPE, "kid": kid})
            return AccessToken(value, expires - issued)

        return sign

    def jwks(self) -> dict[str, Any]:
        return self.keys.jwks()
