"""Identifiers and the clock, so that nobody else reads them from the machine."""

from __future__ import annotations

import os
import time

# Eventlet leaves this one as it is: threads outside of its hub make ids, too, and no greenlet ever waits within.
from _thread import RLock
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_VERSION, _VARIANT = 7 << 76, 0b10 << 62
_COUNTER, _HALF, _RANDOM = 2**12 - 1, 2**11 - 1, 2**62 - 1
MOST_AHEAD = 5
"""Milliseconds that an id's time may be ahead of the clock; set back by more, the clock is followed."""


class IdMaker:
    """Makes UUIDv7 with a counter in ``rand_a`` (RFC 9562, section 6.2, method 1); for any threads and greenlets.

    Each millisecond's counter begins at random in its lower half, so there is room for 2,048 more; what comes then
    takes the next millisecond. The other 62 bits are the kernel's for each id, so that no id tells another, and neither
    a fork nor two processes can make the same.

    :param clock: returns nanoseconds since 1970
    """

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self._millisecond, self._count = 0, 0
        self.unlock()

    def unlock(self) -> None:
        """Take another lock: after a fork, the thread that had the old one may be gone."""
        self._lock = RLock()

    def __call__(self) -> UUID:
        chance = int.from_bytes(os.urandom(10), "big")
        with self._lock:
            now = self._clock() // 1_000_000
            if not 0 <= self._millisecond - now < MOST_AHEAD:
                self._millisecond, self._count = now, chance >> 62 & _HALF
            elif self._count < _COUNTER:
                self._count += 1
            else:
                self._millisecond, self._count = self._millisecond + 1, chance >> 62 & _HALF
            place = self._millisecond << 80 | self._count << 64
        return UUID(int=place | _VERSION | _VARIANT | chance & _RANDOM)


_make = IdMaker()
os.register_at_fork(after_in_child=_make.unlock)


def new_id() -> UUID:
    """Return a UUIDv7 (RFC 9562): unique, and sorted by the time of its making.

    What a process makes is in order unless its clock is set back, and at most `MOST_AHEAD` milliseconds ahead of it.
    """
    return _make()


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
    """Return when a UUIDv7 was made, to the millisecond; it may be up to `MOST_AHEAD` ahead."""
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
