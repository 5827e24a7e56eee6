"""An answer that takes its time, and has a place until it is closed: a stream of notifications, an export."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from typing import Self

from gateway.streams import Place
from lib import context
from lib.context import CallContext


class Placed(ABC):
    """An iterable of chunks for the server.

    :param place: given back when the answer is closed
    :param call: the request's context, in which the answer is given and its end is logged
    :param clock: monotonic
    """

    def __init__(self, place: Place, call: CallContext, clock: Callable[[], float] = time.monotonic) -> None:
        self._place = place
        self._call = call
        self._clock = clock
        self._began = clock()
        self._chunks: Generator[bytes] | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._chunks is None:
            self._chunks = self._run()
        return next(self._chunks)

    def close(self) -> None:
        """Give the place back; called by the server when the client has it all, or has gone."""
        if self._chunks is not None:
            # It knows this object, and this object knows it: let go, or the garbage collector would have to find them.
            self._chunks.close()
        if self._place.leave():
            context.enter(self._call)
            self._ended(round(self._clock() - self._began, 1))
            context.enter(None)

    def __del__(self) -> None:
        # An answer that was thrown away before anybody sent it must not keep its place for ever. Not `leave`: the
        # garbage collector comes at any moment, also to a thread that holds the lock.
        self._place.abandon()

    @abstractmethod
    def _run(self) -> Generator[bytes]:
        """Give the chunks."""

    @abstractmethod
    def _ended(self, seconds: float) -> None:
        """Log and count the end; called once, inside the request's context, if the place was still held."""
