"""Tokens and codes for mails, made from the server's key and the event that asked for the mail.

A mail that is sent again after a crash holds the same token as the first one, so both work; and nothing that is stored,
queued or dumped gives a token away without SECRET_KEY. A token is ``lot_`` and 256 bits.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from uuid import UUID

from auth_svc.domain.one_time_token import Purpose
from lib.mac import Mac

PREFIX = "lot_"
DIGITS = 6
LONGEST = 200


class HmacOneTimeTokens:
    """:param keys: the server's keys, the newest first"""

    def __init__(self, keys: Sequence[bytes]) -> None:
        # A withdrawn key only spoils what is on its way: only hashes of codes are compared under it, for a day.
        self._mac = Mac(keys[0])

    def token(self, event_id: str, account_id: UUID, purpose: Purpose) -> str:
        digest = self._digest("token", event_id, account_id, purpose)
        return PREFIX + base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def code(self, event_id: str, account_id: UUID, purpose: Purpose) -> str:
        number = int.from_bytes(self._digest("code", event_id, account_id, purpose))
        return f"{number % 10**DIGITS:0{DIGITS}}"

    def token_hash(self, token: object) -> bytes:
        text = token if isinstance(token, str) and len(token) <= LONGEST else ""
        return hashlib.sha256(text.encode("utf-8", "replace")).digest()

    def code_hash(self, account_id: UUID, purpose: Purpose, code: object) -> bytes:
        text = "".join(code.split()) if isinstance(code, str) and len(code) <= LONGEST else ""
        return self._digest("code hash", text, account_id, purpose)

    def _digest(self, use: str, text: str, account_id: UUID, purpose: Purpose) -> bytes:
        message = b"\0".join((use.encode(), text.encode("utf-8", "replace"), account_id.bytes, purpose.encode()))
        return self._mac.digest(message)
