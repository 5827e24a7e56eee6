"""Refresh tokens, chained by HMAC.

``lrt_`` + base64url of: session id (16 bytes) · secret (32) · seal (18). The secret of the first token is random; each
further one is an HMAC-SHA256 of the server's key over session, presented token and generation, so that rotating the
same token twice gives the same successor without storing any token. The seal is an HMAC, too: it tells a token that we
made long ago (and that comes back: a theft) from one that somebody made up.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator, Sequence
from uuid import UUID

from lib.mac import Mac

PREFIX = "lrt_"
ID, SECRET, SEAL = 16, 32, 18
#: 66 bytes are 88 characters without padding or spare bits, so one token has one spelling
SHAPE = re.compile(PREFIX + r"([A-Za-z0-9_-]{88})")


class HmacRefreshTokens:
    """:param keys: the server's keys, the newest first"""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._macs = tuple(map(Mac, keys))

    def issue(self, session_id: UUID) -> str:
        return self._token(self._macs[0], session_id, secrets.token_bytes(SECRET))

    def session_of(self, token: object) -> UUID | None:
        raw = _decoded(token)
        return UUID(bytes=raw[:ID]) if raw else None

    def fingerprint(self, token: str) -> bytes:
        return hashlib.sha256(token.encode()).digest()

    def successors(self, session_id: UUID, token: str, generation: int) -> Iterator[str]:
        message = b"successor" + session_id.bytes + generation.to_bytes(8, "big") + token.encode()
        for mac in self._macs:
            yield self._token(mac, session_id, mac.digest(message))

    def is_ours(self, session_id: UUID, token: str) -> bool:
        raw = _decoded(token)
        if raw is None or raw[:ID] != session_id.bytes:
            return False
        secret, seal = raw[ID:-SEAL], raw[-SEAL:]
        return any(hmac.compare_digest(seal, _seal(mac, session_id, secret)) for mac in self._macs)

    def _token(self, mac: Mac, session_id: UUID, secret: bytes) -> str:
        raw = session_id.bytes + secret + _seal(mac, session_id, secret)
        return PREFIX + base64.urlsafe_b64encode(raw).decode()


def _seal(mac: Mac, session_id: UUID, secret: bytes) -> bytes:
    return mac.digest(b"seal" + session_id.bytes + secret)[:SEAL]


def _decoded(token: object) -> bytes | None:
    match = SHAPE.fullmatch(token) if isinstance(token, str) else None
    return base64.urlsafe_b64decode(match[1]) if match else None
