"""Counting against limits: in Redis, for all processes together, in windows that move.

While Redis is away each process counts for itself, and lets pass its share only: the limit divided by the number of
processes, at least one. What it has let pass before counts, so that who has used up a share gets none anew by that. No
request waits longer than `REDIS_TIMEOUT` for a Redis that is away: the first one that does has the others count here
for `RETRY_EVERY`.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis
from limits import RateLimitItem
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter
from prometheus_client import Counter
from redis.backoff import NoBackoff
from redis.retry import Retry

from lib import logs

log = logs.get("gateway.counters")

REDIS_TIMEOUT = 0.05
#: redis-py would try three times more, with pauses of up to ten seconds
REDIS_OPTIONS: dict[str, Any] = {
    "socket_connect_timeout": REDIS_TIMEOUT,
    "socket_timeout": REDIS_TIMEOUT,
    "retry": Retry(NoBackoff(), 0),
}
RETRY_EVERY = 1.0
PREFIX = "leveret"
#: addresses and routes that one process remembers; of more, those seen longest ago are forgotten
MOST_KEYS = 20_000

ALONE = Counter("http_server_rate_limit_alone_total", "Times that a limit was counted without Redis, by one process")


@dataclass(frozen=True, slots=True)
class Window:
    """What a limit says now.

    :param passed: it lets this one pass
    :param remaining: how many more it lets pass now
    :param seconds: until the oldest of those that count does not count any more
    """

    passed: bool
    remaining: int
    seconds: int


class OwnWindows:
    """What this process has let pass. Thread-safe; by the monotonic clock, which nobody sets back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._passed: OrderedDict[tuple[str, ...], deque[float]] = OrderedDict()

    def note(self, key: tuple[str, ...], most: int, within: float) -> None:
        """Count one that has passed elsewhere."""
        with self._lock:
            self._window(key, most, within).append(self._clock())

    def hit(self, key: tuple[str, ...], most: int, within: float) -> Window:
        """Count one, if there is room for it."""
        with self._lock:
            window = self._window(key, most, within)
            passed = len(window) < most
            if passed:
                window.append(self._clock())
            return self._state(window, passed, most, within)

    def look(self, key: tuple[str, ...], most: int, within: float) -> Window:
        """Count nothing."""
        with self._lock:
            window = self._window(key, most, within)
            return self._state(window, len(window) < most, most, within)

    def __len__(self) -> int:
        return len(self._passed)

    def _window(self, key: tuple[str, ...], most: int, within: float) -> deque[float]:
        window = self._passed.get(key)
        if window is None:
            # More than a full window says no more than a full one.
            window = self._passed[key] = deque(maxlen=most)
            if len(self._passed) > MOST_KEYS:
                self._passed.popitem(last=False)
        else:
            self._passed.move_to_end(key)
        begins = self._clock() - within
        while window and window[0] <= begins:
            window.popleft()
        return window

    def _state(self, window: deque[float], passed: bool, most: int, within: float) -> Window:
        oldest = window[0] if window else self._clock()
        return Window(passed, most - len(window), _whole(oldest + within - self._clock(), within))


class Counters:
    """One per process, shared by its threads.

    :param uri: of Redis, as the library `limits` writes it; ``memory://`` counts in this process only
    :param processes: how many of them share the limits
    """

    def __init__(self, uri: str, *, processes: int, clock: Callable[[], float] = time.monotonic) -> None:
        address = f"redis+{uri}" if uri.startswith("unix:") else uri
        options = dict(REDIS_OPTIONS) if "redis" in address else {}
        # Nothing is sent before the first request counts.
        self._shared = MovingWindowRateLimiter(storage_from_string(address, **options))
        self._own = OwnWindows(clock)
        self._processes = processes
        self._clock = clock
        self._away = False
        self._next_try = 0.0

    def hit(self, limit: RateLimitItem, *key: str) -> Window:
        """Count one, if there is room for it."""

        def ask() -> Window:
            window = self._window(limit, key, self._shared.hit(limit, PREFIX, *key))
            if window.passed:
                self._own.note(*self._here(limit, key))
            return window

        window = self._asked(ask)
        return self._own.hit(*self._here(limit, key)) if window is None else window

    def look(self, limit: RateLimitItem, *key: str) -> Window:
        """Count nothing; ``passed`` says whether one more would pass."""
        window = self._asked(lambda: self._window(limit, key, None))
        return self._own.look(*self._here(limit, key)) if window is None else window

    def _window(self, limit: RateLimitItem, key: tuple[str, ...], passed: bool | None) -> Window:
        stats = self._shared.get_window_stats(limit, PREFIX, *key)
        remaining = max(0, stats.remaining)
        seconds = _whole(stats.reset_time - time.time(), limit.get_expiry())
        return Window(remaining > 0 if passed is None else passed, remaining, seconds)

    def _asked(self, ask: Callable[[], Window]) -> Window | None:
        """Return Redis's answer, or None if there is none."""
        if self._away:
            if self._clock() < self._next_try:
                ALONE.inc()
                return None
            # This one tries; the others do not wait for it.
            self._next_try = self._clock() + RETRY_EVERY
        try:
            window = ask()
        except redis.RedisError as exc:
            self._next_try = self._clock() + RETRY_EVERY
            if not self._away:
                log.warning("no Redis: limits are counted by each process, strictly", error=type(exc).__name__)
            self._away = True
            ALONE.inc()
            return None
        if self._away:
            self._away = False
            log.info("Redis is back: limits are counted for all processes together")
        return window

    def _here(self, limit: RateLimitItem, key: tuple[str, ...]) -> tuple[tuple[str, ...], int, int]:
        """Return this process's own key, its share of the limit and the window's seconds."""
        return (*key, str(limit)), max(1, limit.amount // self._processes), limit.get_expiry()


def _whole(seconds: float, most: float) -> int:
    return min(math.ceil(most), max(1, math.ceil(seconds)))
