"""Preferences and settings."""

from __future__ import annotations

from gateway.openapi import Routes

blueprint = Routes("preferences", __name__, url_prefix="/api/v1/users", description="Preferences and settings")
