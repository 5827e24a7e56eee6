"""The same echo on our runtime."""

from __future__ import annotations

from lib.access import anyone
from lib.rpc import rpc


class EchoService:
    name = "echo_svc"

    @rpc(allow=anyone, idempotent=True)
    def echo(self, value=None):
        """Return `value`."""
        return value
