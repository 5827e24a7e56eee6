"""Marks of known devices, and the keys under which attempts to sign in are counted.

A device token is ``ldt_`` + base64url of: account id (16 bytes) · device id (16) · seal (25). Nothing is stored: the
seal is an HMAC over both and over when the password was set, so that a new password makes strangers of all devices.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Sequence
from uuid import UUID

from auth_svc.domain.account import Account
from lib.ids import new_id

PREFIX = "ldt_"
ID, SEAL = 16, 25
#: 57 bytes are 76 characters without padding or spare bits, so one token has one spelling
SHAPE = re.compile(PREFIX + r"([A-Za-z0-9_-]{76})")


class HmacDeviceTokens:
    """:param keys: the server's keys, the newest first"""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def issue(self, account: Account) -> str:
        device = new_id()
        raw = account.id.bytes + device.bytes + _seal(self._keys[0], account, device)
        return PREFIX + base64.urlsafe_b64encode(raw).decode()

    def device_of(self, account: Account, token: object) -> UUID | None:
        match = SHAPE.fullmatch(token) if isinstance(token, str) else None
        if match is None:
            return None
        raw = base64.urlsafe_b64decode(match[1])
        owner, device, seal = raw[:ID], UUID(bytes=raw[ID : 2 * ID]), raw[2 * ID :]
        if owner != account.id.bytes:
            return None
        known = any(hmac.compare_digest(seal, _seal(key, account, device)) for key in self._keys)
        return device if known else None


def _seal(key: bytes, account: Account, device: UUID) -> bytes:
    since = "" if account.password_set_at is None else str(account.password_set_at.timestamp())
    return hmac.digest(key, b"device" + account.id.bytes + device.bytes + since.encode(), "sha256")[:SEAL]


class HmacLoginKeys:
    """:param keys: the server's keys, the newest first; counts begin anew when it changes"""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._key = keys[0]

    def of_address(self, email_key: str) -> bytes:
        return hmac.digest(self._key, b"address" + email_key.encode("utf-8", "replace"), "sha256")

    def of_device(self, device_id: UUID) -> bytes:
        return hmac.digest(self._key, b"device" + device_id.bytes, "sha256")
