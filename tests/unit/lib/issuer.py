"""An issuer of access tokens, and of what only looks like one."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from lib.tokens import Jwks

ISSUER, AUDIENCE = "https://issuer.example", "leveret"
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
HEADER = {"alg": "ES256", "kid": "k1", "typ": "at+jwt"}


def public(key: ec.EllipticCurvePrivateKey, kid: str, **more: Any) -> dict[str, Any]:
    jwk = json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(key.public_key()))
    return {**jwk, "kid": kid, "alg": "ES256", "use": "sig", **more}


def jwks(**keys: ec.EllipticCurvePrivateKey) -> Jwks:
    return {"keys": [public(key, kid) for kid, key in keys.items()]}


def claims(**changes: Any) -> dict[str, Any]:
    """Return good claims; a change to `...` leaves the claim out."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "a1",
        "sid": "s1",
        "jti": "j1",
        "iat": now,
        "exp": now + 900,
        "roles": ["user"],
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def token(key: ec.EllipticCurvePrivateKey = KEY, header: dict[str, Any] | None = None, **changes: Any) -> str:
    headers = {"kid": "k1", "typ": "at+jwt", **(header or {})}
    return jwt.encode(claims(**changes), key, algorithm="ES256", headers=headers)


def b64(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: bytes, payload: bytes, key: ec.EllipticCurvePrivateKey = KEY) -> str:
    """Sign any bytes: what the issuer itself would never write, under a signature that is good."""
    text = f"{b64(header)}.{b64(payload)}"
    return f"{text}.{b64(jwt.get_algorithm_by_name('ES256').sign(text.encode(), key))}"


def with_header(**changes: Any) -> str:
    """Return a signed token with another header; a change to `...` leaves the name out."""
    header = {name: value for name, value in {**HEADER, **changes}.items() if value is not ...}
    return signed(json.dumps(header).encode(), json.dumps(claims()).encode())


def with_claims(text: str | bytes) -> str:
    """Return a signed token whose claims are any text."""
    return signed(json.dumps(HEADER).encode(), text if isinstance(text, bytes) else text.encode())


def doubled(name: str, *values: Any) -> str:
    """Return good claims as text, with `name` once per value."""
    rest = json.dumps(claims(**{name: ...}))[1:-1]
    return "{" + ", ".join([*(f"{json.dumps(name)}: {json.dumps(value)}" for value in values), rest]) + "}"


def token_of(**changes: Any) -> str:
    """Return a signed token of good claims with changes that `jwt.encode` might not make."""
    return with_claims(json.dumps(claims(**changes)))


def with_parts(change: Callable[[list[str]], Any]) -> str:
    """Return a good token after `change` of its list of three parts."""
    parts = token().split(".")
    change(parts)
    return ".".join(parts)


def padded(parts: list[str]) -> None:
    raw = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
    # Blanks at the end of the claims, until there is padding.
    parts[1] = base64.urlsafe_b64encode(raw + b" " * (1 if len(raw) % 3 == 0 else 0)).decode()


def other_bits_at_the_end(parts: list[str]) -> None:
    """The last character of a text in base64 has bits that mean nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    parts[2] = parts[2][:-1] + alphabet[alphabet.index(parts[2][-1]) ^ 1]


def der(signature: str) -> bytes:
    """Return a signature in the form of certificates."""
    raw = base64.urlsafe_b64decode(signature + "==")
    return encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))


class Issuer:
    """Hands out a document, counts how often it is asked, and fails on demand."""

    def __init__(self, document: Jwks | None = None) -> None:
        self.document = jwks(k1=KEY) if document is None else document
        self.asked = 0
        self.failure: Exception | None = None

    def __call__(self) -> Jwks:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return self.document
