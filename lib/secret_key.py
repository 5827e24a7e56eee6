"""Keys for single purposes, made from the operator's SECRET_KEY.

SECRET_KEY may hold several keys, separated by commas: the first is used for new things, all of them to read old ones.
So a key is rotated by adding a new one behind, moving it in front once all instances know it, and taking the old one
away in the end.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derived_keys(secret_key: str, purpose: str) -> Sequence[bytes]:
    """Return 32 bytes for each key in `secret_key`, the newest first; different for every purpose."""
    secrets = [each.strip() for each in secret_key.split(",") if each.strip()]
    if not secrets:
        raise ValueError("SECRET_KEY holds no key")
    return [
        HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(each.encode()) for each in secrets
    ]
