"""Password hashes by Argon2id."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

Offload = Callable[..., Any]

#: Of a hash that is checked, whoever made it (KiB, passes, lanes): one that costs more is nobody's. A single row that
#: came in from elsewhere must not take the memory and the time of all.
COSTLIEST = (262_144, 10, 16)


class Argon2Hasher:
    """OWASP's first choice: 19 MiB, two passes, one lane. argon2-cffi's own default costs several times as much.

    :param offload: ``offload(function, *arguments)`` computes somewhere else than on the event loop
    :param memory: KiB
    """

    def __init__(self, offload: Offload, *, memory: int = 19_456, passes: int = 2, lanes: int = 1) -> None:
        self._offload = offload
        self._argon2 = argon2.PasswordHasher(
            time_cost=passes, memory_cost=memory, parallelism=lanes, hash_len=32, salt_len=16, type=argon2.Type.ID
        )
        # Nobody's hash: it costs the same to check as a hash made now, and no password matches it.
        self._nobodys = (
            f"$argon2id$v={argon2.low_level.ARGON2_VERSION}$m={memory},t={passes},p={lanes}${_random(16)}${_random(32)}"
        )
        self._todays = _parameters(self._nobodys)

    def hash(self, password: str) -> str:
        return str(self._offload(self._argon2.hash, password))

    def verify(self, password_hash: str | None, password: str) -> bool:
        checked = password_hash if password_hash is not None and _is_affordable(password_hash) else self._nobodys
        return bool(self._offload(_matches, self._argon2, checked, password))

    def is_outdated(self, password_hash: str) -> bool:
        return _parameters(password_hash) != self._todays


def _is_affordable(password_hash: str) -> bool:
    try:
        found = _parameters(password_hash)
    except InvalidHashError:
        # What cannot be read matches nothing, and takes as long as any other.
        return False
    return all(
        cost <= most
        for cost, most in zip((found.memory_cost, found.time_cost, found.parallelism), COSTLIEST, strict=True)
    )


def _parameters(password_hash: str) -> argon2.Parameters:
    """Return what the hash was made with.

    :raises InvalidHashError: it cannot be read
    """
    # Of salt and digest only the lengths tell something, so almost all hashes are of one shape.
    parts = password_hash.split("$")
    return _parameters_of("$".join((*parts[:-2], *("A" * len(each) for each in parts[-2:]))))


@lru_cache(64)
def _parameters_of(shape: str) -> argon2.Parameters:
    return argon2.extract_parameters(shape)


def _matches(hasher: argon2.PasswordHasher, password_hash: str, password: str) -> bool:
    """Return the answer as a value, because this runs in a foreign thread."""
    try:
        return hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _random(size: int) -> str:
    return base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")
