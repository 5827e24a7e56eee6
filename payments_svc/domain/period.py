"""Periods that callers name."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from payments_svc.domain.arguments import BadArgument

_SHAPE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d))?", re.ASCII)


class InvalidPeriod(BadArgument):
    code = "invalid_period"


def parse_moment(value: object, pointer: str) -> datetime | None:
    """Return the moment that `value` writes: an RFC 3339 time, or a date, which is its beginning in UTC."""
    if value is None:
        return None
    try:
        if not isinstance(value, str) or not _SHAPE.fullmatch(value):
            raise ValueError
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise InvalidPeriod("a time is written 2026-01-31T12:00:00Z, a day 2026-01-31", pointer) from exc
