"""Who follows and blocks whom."""

from __future__ import annotations

from gateway.openapi import Routes

blueprint = Routes("connections", __name__, url_prefix="/api/v1/users", description="Who follows and blocks whom")
