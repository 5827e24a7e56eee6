"""Signing keys: made, sealed, opened, remembered for a while."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, cast

from cryptography.fernet import InvalidToken, MultiFernet
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from sqlalchemy.exc import SQLAlchemyError

from auth_svc.domain.signing_key import SealedKeyError, SigningKey

ALGORITHM = "ES256"
#: Seconds for which a process uses the keys that it has read. Few: whoever asks for them has met one that is new, and
#: what signs has to hear of a key that was withdrawn.
REMEMBERED = 1.0
COORDINATE = 32
#: what is published of a key; the other members of a JSON Web Key can be private
PUBLIC_MEMBERS = ("kty", "crv", "x", "y")


class Es256KeyMaker:
    """:param seal: encrypts the private half"""

    def __init__(self, seal: MultiFernet) -> None:
        self._seal = seal

    def make(self, now: datetime) -> SigningKey:
        private = generate_private_key(SECP256R1())
        point = private.public_key().public_numbers()
        public = {"crv": "P-256", "kty": "EC", "x": _coordinate(point.x), "y": _coordinate(point.y)}
        plain = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return SigningKey(
            kid=_thumbprint(public),
            algorithm=ALGORITHM,
            public_jwk=public,
            sealed_private=self._seal.encrypt(plain),
            state="active",
            created_at=now,
        )

    def reseal(self, sealed_private: bytes) -> bytes:
        try:
            return self._seal.rotate(sealed_private)
        except InvalidToken:
            raise SealedKeyError("SECRET_KEY does not open a signing key") from None


class KeyRing:
    """The published keys, as this process last read them.

    :param load: reads them, making the first ones if need be
    :param seal: decrypts private halves
    :param clock: seconds that only grow
    """

    def __init__(
        self, load: Callable[[], Sequence[SigningKey]], seal: MultiFernet, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._load = load
        self._seal = seal
        self._clock = clock
        self._keys: Sequence[SigningKey] = ()
        self._read_at = -float("inf")
        self._opened: tuple[str, EllipticCurvePrivateKey] | None = None

    def active(self) -> tuple[str, EllipticCurvePrivateKey]:
        """Return the id and the private half of the key that signs."""
        key = next(each for each in self._current() if each.state == "active")
        opened = self._opened
        if opened is None or opened[0] != key.kid:
            opened = self._opened = (key.kid, self._open(key))
        return opened

    def jwks(self) -> dict[str, Any]:
        """Return the public halves; nothing else is ever in there."""
        return {
            "keys": [
                {
                    **{name: each.public_jwk[name] for name in PUBLIC_MEMBERS},
                    "kid": each.kid,
                    "use": "sig",
                    "alg": each.algorithm,
                }
                for each in self._current()
            ]
        }

    def forget(self) -> None:
        """Read the keys anew the next time."""
        self._read_at = -float("inf")

    def _current(self) -> Sequence[SigningKey]:
        now = self._clock()
        if not self._keys or now - self._read_at > REMEMBERED:
            # Noted first, so that of those who ask while the answer is on its way nobody asks again.
            self._read_at = now
            try:
                self._keys = self._load()
            except SQLAlchemyError:
                # The database is away for a moment; what was read before still holds.
                if not self._keys:
                    raise
        return self._keys

    def _open(self, key: SigningKey) -> EllipticCurvePrivateKey:
        try:
            plain = self._seal.decrypt(key.sealed_private)
        except InvalidToken:
            raise SealedKeyError(f"SECRET_KEY does not open signing key {key.kid}") from None
        return cast(EllipticCurvePrivateKey, load_der_private_key(plain, password=None))


def _coordinate(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(COORDINATE, "big")).decode().rstrip("=")


def _thumbprint(public: dict[str, str]) -> str:
    """Return the key's RFC 7638 thumbprint."""
    canonical = json.dumps(public, separators=(",", ":"), sort_keys=True).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).decode().rstrip("=")
