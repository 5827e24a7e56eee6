"""Tokens for the links that end mails of one type, made from the server's key; nothing is stored.

A token is ``lut_`` + base64url of: the person's id (16 bytes) · seal (32) · the type's name. The seal is an HMAC over
the other two, so a token gives no right but to end these mails.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from uuid import UUID

from lib.mac import Mac

PURPOSE = "leveret users unsubscribe tokens v1"
PREFIX = "lut_"
ID, SEAL, LONGEST_NAME = 16, 32, 64
_SHAPE = re.compile(PREFIX + r"([A-Za-z0-9_-]{65,150})")
_NAME = re.compile(rb"[a-z_]{1,%d}" % LONGEST_NAME)


class HmacUnsubscribeTokens:
    """:param keys: the server's keys for this, the newest first"""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._macs = tuple(map(Mac, keys))

    def token(self, user_id: UUID, type_name: str) -> str:
        name = type_name.encode()
        raw = user_id.bytes + _seal(self._macs[0], user_id, name) + name
        return PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def read(self, token: object) -> tuple[UUID, str] | None:
        match = _SHAPE.fullmatch(token) if isinstance(token, str) else None
        raw = _decoded(match[1]) if match else b""
        owner, seal, name = raw[:ID], raw[ID : ID + SEAL], raw[ID + SEAL :]
        if not _NAME.fullmatch(name):
            return None
        user_id = UUID(bytes=owner)
        # Every key is tried, so that the time tells nothing about which one fits.
        known = [hmac.compare_digest(seal, _seal(mac, user_id, name)) for mac in self._macs]
        return (user_id, name.decode()) if any(known) else None


def _decoded(text: str) -> bytes:
    """Return what the text stands for; nothing if another text stands for the same, so a token has one spelling."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return b""
    return raw if base64.urlsafe_b64encode(raw).decode().rstrip("=") == text else b""


def _seal(mac: Mac, user_id: UUID, name: bytes) -> bytes:
    return mac.digest(b"unsubscribe" + user_id.bytes + name)
