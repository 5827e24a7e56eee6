"""Identifiers and the clock, so that nobody else reads them from the machine."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import uuid6


def new_id() -> UUID:
    """Return a UUIDv7 (RFC 9562): unique, and sorted by the time of its making."""
    return UUID(int=uuid6.uuid7().int)


def utc_now() -> datetime:
    """Return the time now, with its zone (UTC)."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """Return ``2026-01-31T12:00:00.123456Z`` for an aware datetime."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
