"""Live notifications."""

from __future__ import annotations

from gateway.openapi import Routes

blueprint = Routes("stream", __name__, url_prefix="/api/v1/users", description="Live notifications")
