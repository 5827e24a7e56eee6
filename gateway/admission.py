"""How many requests are worked on at once, and what happens to the others.

GATEWAY_THREADS requests are worked on at a time. The server has `SPARE_THREADS` more, for those who wait: for their
turn, which ends in 503 after `TURN_WITHIN` seconds, or for a body that arrives slowly. So neither a service that hangs
nor clients that send one byte a minute keep the others, or the health checks, from being answered.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import g

from lib.errors import Unavailable

SPARE_THREADS = 100
TURN_WITHIN = 1.0


class Overloaded(Unavailable):
    """Nothing was done."""

    code = "overloaded"


class Admission:
    """Counts the requests of one process.

    :param working: how many are worked on at once
    :param reading: how many bodies are waited for at once
    """

    def __init__(self, working: int, reading: int = SPARE_THREADS) -> None:
        self._working = threading.BoundedSemaphore(working)
        self._reading = threading.BoundedSemaphore(reading)

    def enter(self) -> None:
        """Wait for this request's turn."""
        if not self._working.acquire(timeout=TURN_WITHIN):
            raise Overloaded("too many requests are being worked on; try again", retry_after=1)
        g.admitted = True

    def leave(self) -> None:
        """Give the place to the next, if this request had one."""
        if g.pop("admitted", False):
            self._working.release()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Leave while the request's body is read, and come back."""
        if not self._reading.acquire(blocking=False):
            raise Overloaded("too many bodies are on their way; try again", retry_after=1)
        self.leave()
        try:
            yield
        finally:
            self._reading.release()
            self.enter()
