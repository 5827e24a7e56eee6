"""JSON Web Signatures in their compact form (RFC 7515) by ES256 (RFC 7518, section 3.4).

Only the frame is ours: a third of what PyJWT takes for a token is to build the same header each time and to look for
what cannot be there. The signature is `cryptography`'s, and tokens are read by PyJWT.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from auth_svc.infrastructure.keys import ALGORITHM, COORDINATE

_SCHEME = ECDSA(SHA256())
_encode = json.JSONEncoder(separators=(",", ":")).encode


class JwsSigner:
    """Signs with one key.

    :param private: of the curve P-256
    :param kid: the key's id
    :param type: the header's ``typ``
    """

    def __init__(self, private: EllipticCurvePrivateKey, *, kid: str, type: str) -> None:
        self.kid = kid
        self._private = private
        self._header = _base64url(_encode({"alg": ALGORITHM, "kid": kid, "typ": type}).encode()) + b"."

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return the claims as a signed token."""
        signed = self._header + _base64url(_encode(claims).encode())
        r, s = decode_dss_signature(self._private.sign(signed, _SCHEME))
        signature = r.to_bytes(COORDINATE) + s.to_bytes(COORDINATE)
        return (signed + b"." + _base64url(signature)).decode()


def _base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
