"""What this service makes of the operator's SECRET_KEY (`lib.secret_key`), each for one purpose."""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet, MultiFernet

from lib.secret_key import derived_keys

__all__ = [
    "DEVICE_TOKENS",
    "LOGIN_KEYS",
    "ONE_TIME_TOKENS",
    "REFRESH_TOKENS",
    "SIGNING_KEYS",
    "SUBJECT_KEYS",
    "derived_keys",
    "seal_with",
]

SIGNING_KEYS = "leveret auth signing keys v1"
REFRESH_TOKENS = "leveret auth refresh tokens v1"
ONE_TIME_TOKENS = "leveret auth one-time tokens v1"
DEVICE_TOKENS = "leveret auth device tokens v1"
LOGIN_KEYS = "leveret auth login keys v1"
SUBJECT_KEYS = "leveret auth subject keys v1"


def seal_with(secret_key: str, purpose: str) -> MultiFernet:
    """Return what encrypts with the newest key and decrypts with any."""
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in derived_keys(secret_key, purpose)])
