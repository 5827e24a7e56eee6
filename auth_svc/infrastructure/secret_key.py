"""Keys for single purposes, made from the operator's SECRET_KEY.

SECRET_KEY may hold several keys, separated by commas: the first is used for new things, all of them to read old ones.
So a key is rotated by adding a new one behind, moving it in front once all instances know it, and taking the old one
away in the end.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SIGNING_KEYS = "leveret auth signing keys v1"
REFRESH_TOKENS = "leveret auth refresh tokens v1"
ONE_TIME_TOKENS = "leveret auth one-time tokens v1"
DEVICE_TOKENS = "leveret auth device tokens v1"
LOGIN_KEYS = "leveret auth login keys v1"
SUBJECT_KEYS = "leveret auth subject keys v1"


def derived_keys(secret_key: str, purpose: str) -> Sequence[bytes]:
    """Return 32 bytes for each key in `secret_key`, the newest first; different for every purpose."""
    secrets = [each.strip() for each in secret_key.split(",") if each.strip()]
    if not secrets:
        raise ValueError("SECRET_KEY holds no key")
    return [
        HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(each.encode()) for each in secrets
    ]


def seal_with(secret_key: str, purpose: str) -> MultiFernet:
    """Return what encrypts with the newest key and decrypts with any."""
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in derived_keys(secret_key, purpose)])
