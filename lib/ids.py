"""Identifiers and the clock, so that nobody else reads them from the machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import uuid6

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def new_id() -> UUID:
    """Return a UUIDv7 (RFC 9562): unique, and sorted by the time of its making."""
    return UUID(int=uuid6.uuid7().int)


def new_id_after(moment: datetime | None) -> UUID:
    """Return a UUIDv7 whose time is later than `moment`, even if this machine's clock is behind."""
    made = new_id()
    if moment is None or milliseconds_of(made) > _milliseconds(moment):
        return made
    return UUID(int=(_milliseconds(moment) + 1) << 80 | made.int & ((1 << 80) - 1))


def milliseconds_of(id: UUID) -> int:
    """Return when a UUIDv7 was made, in milliseconds since 1970; 0 for an id of another kind."""
    return id.int >> 80 if id.version == 7 else 0


def moment_of(id: UUID) -> datetime:
    """Return when a UUIDv7 was made, to the millisecond. Ids of a burst run a little ahead of the clock."""
    return EPOCH + milliseconds_of(id) * _MILLISECOND


def lowest_id_at(moment: datetime) -> UUID:
    """Return the smallest of all UUIDv7 that can be made at `moment`, or of all ids if that was before 1970."""
    return UUID(int=max(0, _milliseconds(moment)) << 80)


def _milliseconds(moment: datetime) -> int:
    # Whole numbers: a float has lost the microseconds of a moment like ours.
    return (moment - EPOCH) // _MILLISECOND


def utc_now() -> datetime:
    """Return the time now, with its zone (UTC)."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """Return ``2026-01-31T12:00:00.123456Z`` for an aware datetime."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
