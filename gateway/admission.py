"""How many requests are worked on at once, and what happens to the others.

GATEWAY_THREADS requests are worked on at a time. The server has `SPARE_THREADS` more, for those who wait: for their
turn, which ends in 503 after `TURN_WITHIN` seconds, or for a body that arrives slowly. So neither a service that hangs
nor clients that send one byte a minute keep the others, or the health checks, from being answered.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from flask import g

from lib.errors import Unavailable

SPARE_THREADS = 100
TURN_WITHIN = 2.0


class Overloaded(Unavailable):
    """Nothing was done."""

    code = "overloaded"


class Turns:
    """A semaphore that hands places over in the order of asking.

    The standard library's lets newcomers in before those who wait, some of whom then wait for very long.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[threading.Lock] = deque()
        self._lock = threading.Lock()

    def acquire(self, timeout: float) -> bool:
        """Wait for a place; False if there was none for `timeout` seconds."""
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return True
            if timeout <= 0:
                return False
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=timeout):
            return True
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return False
        # It was handed over this very moment.
        return True

    def release(self) -> None:
        """Give the place to who has waited longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


class Admission:
    """Counts the requests of one process.

    :param working: how many are worked on at once
    :param reading: how many bodies are waited for at once
    """

    def __init__(self, working: int, reading: int = SPARE_THREADS) -> None:
        self._working = Turns(working)
        self._reading = Turns(reading)

    def enter(self) -> None:
        """Wait for this request's turn."""
        if not self._working.acquire(TURN_WITHIN):
            raise Overloaded("too many requests are being worked on; try again", retry_after=1)
        g.admitted = True

    def leave(self) -> None:
        """Give the place to the next, if this request had one."""
        if g.pop("admitted", False):
            self._working.release()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Leave while the request's body is read, and come back."""
        if not self._reading.acquire(0):
            raise Overloaded("too many bodies are on their way; try again", retry_after=1)
        self.leave()
        try:
            yield
        finally:
            self._reading.release()
            self.enter()
