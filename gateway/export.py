"""What an export sends, from its first row to the line that says how it has ended.

The server ends an answer in the same way whatever happened to the one who writes it, so a client cannot tell by HTTP
whether it has everything. The last line says so: `end` and how many rows there were, or `error` and why. What has
neither is not complete.

A page that cannot be read now is read again, for as long as a restart of payments_svc takes. Nothing of a page is sent
before all of it is here, and a cursor names the next one, so no row comes twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Protocol

from nameko.exceptions import RpcTimeout, UnknownService
from prometheus_client import Counter

from gateway.errors import STATUS
from gateway.feed import FINAL
from gateway.lifetime import Lifetime
from gateway.placed import Placed
from gateway.state import Gateway
from gateway.streams import Place
from lib import context, logs
from lib.context import CallContext
from lib.errors import DomainError
from lib.faults import Fault

log = logs.get("gateway.export")

#: seconds, as all times here: how often one that waits looks whether it may go on
TICK = 0.5
#: between two tries: the first pause and the longest, each twice the one before
PAUSE, LONGEST_PAUSE = 0.25, 2.0
SHORTEST_CALL = 0.1

ENDED = Counter("gateway_exports_ended_total", "Exports that have ended", ["outcome"])


class Lines(Protocol):
    """How an export is written down."""

    def rows(self, rows: Sequence[Mapping[str, Any]], *, first: bool) -> bytes:
        """Return rows; `first`: they are those of the first page."""
        ...

    def end(self, rows: int) -> bytes:
        """Return the last line of a complete export."""
        ...

    def error(self, code: str) -> bytes:
        """Return the last line of one that is not complete."""
        ...


class Broken(Exception):
    """It cannot go on; `code` tells the client why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Export(Placed):
    """An iterable of chunks that has a place until it is closed; one page at a time is in memory.

    :param call: the request's context, which pages are asked for with
    :param first: the first page
    :param ask: returns a page by the services and the cursor
    :param clock: monotonic
    """

    def __init__(
        self,
        own: Gateway,
        place: Place,
        call: CallContext,
        *,
        first: Mapping[str, Any],
        ask: Callable[[Any, str], Mapping[str, Any]],
        lines: Lines,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(place, call, clock)
        self._own = own
        self._page = first
        self._ask = ask
        self._lines = lines
        self._life = Lifetime(own, call, clock)
        self._sent = 0
        self._outcome = "client_gone"
        self._code: str | None = None

    def _ended(self, seconds: float) -> None:
        ENDED.labels(self._outcome).inc()
        log.info("an export has ended", outcome=self._outcome, code=self._code, rows=self._sent, seconds=seconds)

    def _run(self) -> Generator[bytes]:
        context.enter(self._call)
        code = None
        try:
            yield from self._rows()
        except Broken as exc:
            code = exc.code
        except Exception as exc:
            # A mistake of ours, which another try would make again.
            log.error("an export has failed", error=type(exc).__name__, exc_info=exc)
            code = "internal_error"
        self._outcome, self._code = ("complete" if code is None else "broken"), code
        yield self._lines.end(self._sent) if code is None else self._lines.error(code)

    def _rows(self) -> Generator[bytes]:
        yield self._written(first=True)
        while (cursor := self._page["next_cursor"]) is not None:
            yield from self._turn(cursor)
            yield self._written(first=False)

    def _written(self, *, first: bool) -> bytes:
        rows = self._page["data"]
        chunk = self._lines.rows(rows, first=first)
        self._sent += len(rows)
        return chunk

    def _turn(self, cursor: str) -> Generator[bytes]:
        """Read the next page, as often as it takes; what is given meanwhile is empty.

        :raises Broken: it is refused, it does not come, or its reader may not have it any more
        """
        give_up, pause = self._clock() + self._own.settings.export_wait, PAUSE
        while True:
            self._check()
            try:
                # As long as nobody knows who is revoked, nobody is told anything.
                self._own.revocations.demand()
                within = max(SHORTEST_CALL, min(self._own.settings.rpc_timeout, give_up - self._clock()))
                self._page = self._ask(self._own.cluster.view(self._call, timeout=within), cursor)
                return
            except (DomainError, Fault) as exc:
                code = exc.code if STATUS.get(exc.kind, 500) != 500 else "internal_error"
                if exc.kind in FINAL:
                    raise Broken(code) from exc
            except RpcTimeout:
                code = "timeout"
            except UnknownService:
                code = "service_unavailable"
            if self._clock() + pause >= give_up:
                log.warning("an export cannot go on", code=code, rows=self._sent)
                raise Broken(code)
            yield from self._wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _wait(self, seconds: float) -> Generator[bytes]:
        """Sleep; each empty chunk sends nothing, and fails if the client is gone."""
        until = self._clock() + seconds
        while (left := until - self._clock()) > 0:
            # The bell that ends streams rings here, too; other news are none of this one's.
            self._place.wait(min(TICK, left))
            self._check()
            yield b""

    def _check(self) -> None:
        reason = self._life.over()
        if reason is not None:
            raise Broken(reason)
