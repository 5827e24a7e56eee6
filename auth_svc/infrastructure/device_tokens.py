"""Marks of known devices, and the keys under which attempts to sign in are counted.

A device token is ``ldt_`` + base64url of: account id (16 bytes) · device id (16) · when the password was set, in
microseconds since 1970 (8) · seal (20). Nothing is stored: the seal is an HMAC over all before it. A new password makes
strangers of all devices.
"""

from __future__ import annotations

import base64
import hmac
import re
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from auth_svc.domain.account import Account
from auth_svc.domain.device import Device
from lib.ids import new_id
from lib.mac import Mac

PREFIX = "ldt_"
#: 60 bytes are 80 characters without padding or spare bits, so one token has one spelling
SHAPE = re.compile(PREFIX + r"([A-Za-z0-9_-]{80})")
PARTS = struct.Struct(">16s16sq")
SEAL = 20
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
#: of an account whose password was never set
NEVER = -(2**63)


class HmacDeviceTokens:
    """:param keys: the server's keys, the newest first"""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._macs = tuple(map(Mac, keys))

    def issue(self, account: Account) -> str:
        since = NEVER if account.password_set_at is None else (account.password_set_at - EPOCH) // MICROSECOND
        parts = PARTS.pack(account.id.bytes, new_id().bytes, since)
        return PREFIX + base64.urlsafe_b64encode(parts + _seal(self._macs[0], parts)).decode()

    def open(self, token: object) -> Device | None:
        match = SHAPE.fullmatch(token) if isinstance(token, str) else None
        if match is None:
            return None
        raw = base64.urlsafe_b64decode(match[1])
        parts, seal = raw[: PARTS.size], raw[PARTS.size :]
        if not any(hmac.compare_digest(seal, _seal(mac, parts)) for mac in self._macs):
            return None
        account, device, since = PARTS.unpack(parts)
        return Device(
            id=UUID(bytes=device),
            account_id=UUID(bytes=account),
            password_set_at=None if since == NEVER else EPOCH + since * MICROSECOND,
        )


def _seal(mac: Mac, parts: bytes) -> bytes:
    return mac.digest(b"device" + parts)[:SEAL]


class HmacLoginKeys:
    """:param keys: the server's keys, the newest first; counts begin anew when it changes"""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._mac = Mac(keys[0])

    def of_address(self, email_key: str) -> bytes:
        return self._mac.digest(b"address" + email_key.encode("utf-8", "replace"))

    def of_device(self, device_id: UUID) -> bytes:
        return self._mac.digest(b"device" + device_id.bytes)
