"""Message authentication codes: HMAC-SHA256 (RFC 2104) under a key that is used again and again."""

from __future__ import annotations

import hmac


class Mac:
    """A key, and what it makes of messages.

    The key's part of the work is done once. ``hmac.digest`` does it for each message, and has OpenSSL look up its
    algorithm each time, which costs more than the digest of a short message.
    """

    def __init__(self, key: bytes) -> None:
        self._begun = hmac.new(key, digestmod="sha256")

    def digest(self, message: bytes) -> bytes:
        """Return the 32 bytes."""
        mac = self._begun.copy()
        mac.update(message)
        return mac.digest()
