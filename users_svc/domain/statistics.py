"""How many people came, day by day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from lib.errors import Invalid


class InvalidDay(Invalid):
    code = "invalid_day"


@dataclass(frozen=True)
class DayStatistics:
    """The counts of one UTC day. ``registrations`` counts the accounts made on it, the invited ones too."""

    day: date
    registrations: int = 0


def parse_day(value: object) -> date:
    """Return the day that ``YYYY-MM-DD`` names."""
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        day = None
    # fromisoformat() also reads week dates and missing dashes.
    if day is None or day.isoformat() != value:
        raise InvalidDay("a day looks like 2026-01-31")
    return day


def day_of(moment: datetime) -> date:
    """Return the UTC day of an aware datetime."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone has no UTC day")
    return moment.astimezone(UTC).date()
