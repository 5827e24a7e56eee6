"""Programs that may ask about tokens and revoke them (RFC 7662, RFC 7009)."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self
from uuid import UUID

from auth_svc.domain.text import UnreadableError, nfc
from lib.errors import Invalid, NotFound, Unauthenticated

ID_PREFIX, SECRET_PREFIX = "lcl_", "lcs_"
#: 32 random bytes in base64url
SECRET_SHAPE = re.compile(SECRET_PREFIX + r"[A-Za-z0-9_-]{43}")
ID_SHAPE = re.compile(ID_PREFIX + r"[0-9a-f]{32}")
MAX_NAME = 100
#: what an unknown client's secret is compared with: the hash of nothing that anybody knows
NOBODYS_HASH = bytes(hashlib.sha256().digest_size)


class InvalidClient(Unauthenticated):
    """Unknown, wrong secret, or revoked."""

    code = "invalid_client"

    def __init__(self) -> None:
        super().__init__("unknown client, or wrong secret")


class InvalidClientName(Invalid):
    code = "invalid_client_name"

    def __init__(self) -> None:
        super().__init__(f"a client's name has 1 to {MAX_NAME} printable characters")


class ClientNotFound(NotFound):
    code = "client_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such client")


@dataclass(eq=False, kw_only=True)
class OAuthClient:
    """:param secret_hash: SHA-256 of a secret of 256 random bits, which needs no slow hash"""

    id: str
    name: str
    secret_hash: bytes = field(repr=False)
    created_at: datetime
    revoked_at: datetime | None = None

    @classmethod
    def register(cls, *, id: UUID, name: str, secret: str, now: datetime) -> Self:
        """:param secret: as `SECRET_SHAPE` has it, from a good source of randomness"""
        if SECRET_SHAPE.fullmatch(secret) is None:
            raise ValueError("a client's secret is 32 random bytes")
        return cls(id=ID_PREFIX + id.hex, name=_checked_name(name), secret_hash=_hash(secret), created_at=now)

    def revoke(self, now: datetime) -> bool:
        """Refuse the client from now on; False if it was revoked before."""
        if self.revoked_at is not None:
            return False
        self.revoked_at = now
        return True


def is_client_id(text: object) -> bool:
    """True if a client may have this id: there is no use in looking for another one."""
    return isinstance(text, str) and ID_SHAPE.fullmatch(text) is not None


def authenticated(client: OAuthClient | None, secret: object) -> OAuthClient:
    """Return the client if the secret is its own; raise `InvalidClient` after the same work if there is none."""
    expected = NOBODYS_HASH if client is None else client.secret_hash
    matches = hmac.compare_digest(_hash(secret), expected)
    if client is None or not matches or client.revoked_at is not None:
        raise InvalidClient
    return client


def _hash(secret: object) -> bytes:
    # JSON can hold half of a surrogate pair, which is no secret of ours and has to be hashed all the same.
    text = secret if isinstance(secret, str) else ""
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def _checked_name(name: object) -> str:
    try:
        text = nfc(name, at_most=MAX_NAME).strip()
    except UnreadableError as exc:
        raise InvalidClientName from exc
    if not 0 < len(text) <= MAX_NAME or not text.isprintable():
        raise InvalidClientName
    return text
