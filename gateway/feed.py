"""What one open stream sends, from its first line to its last.

A thread of the server iterates over it and sends each chunk at once. Between two chunks it sleeps until its place's
bell rings, but never for longer than `TICK`: then it looks whether it may go on, and hands the server an empty chunk,
which sends nothing and fails if the client is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

from nameko.exceptions import RpcTimeout, UnknownService
from prometheus_client import Counter

from gateway.lifetime import Lifetime
from gateway.notification_messages import HEARTBEAT, ending, message, opening
from gateway.placed import Placed
from gateway.state import Gateway
from gateway.streams import Place
from lib import context, logs
from lib.context import CallContext
from lib.errors import DomainError
from lib.faults import Fault

log = logs.get("gateway.feed")

#: seconds, as all times here
TICK = 0.5
HEARTBEAT_EVERY = 15.0
#: without an event: it may have been lost
ASK_EVERY = 30.0
RETRY_EVERY = 1.0
ASK_WITHIN = 2.0
PAGE = 100
#: kinds of refusals that another try would meet again
FINAL = frozenset({"malformed", "invalid", "unauthenticated", "forbidden", "not_found"})

ENDED = Counter("gateway_streams_ended_total", "Streams that have ended", ["reason"])


class Feed(Placed):
    """An iterable of chunks that has a place until it is closed.

    :param call: the request's context, which the calls to users_svc are made with
    :param position: the number of the last notification that the client has
    :param news: the answer of users_svc's ``notifications_after`` that was given first
    :param clock: monotonic
    """

    def __init__(
        self,
        own: Gateway,
        place: Place,
        call: CallContext,
        *,
        position: int,
        news: Mapping[str, Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(place, call, clock)
        self._own = own
        self._position = position
        self._spoke = self._ask_at = self._began
        self._life = Lifetime(own, call, clock)
        self._sent = 0
        self._reason = "client_gone"
        self._news: list[Mapping[str, Any]] = []
        self._take(news)

    def _ended(self, seconds: float) -> None:
        ENDED.labels(self._reason).inc()
        log.info("a stream has ended", reason=self._reason, seconds=seconds, sent=self._sent)

    def _run(self) -> Generator[bytes]:
        context.enter(self._call)
        yield opening(self._position)
        while (reason := self._over()) is None:
            if self._news:
                yield self._messages()
            elif self._clock() >= self._ask_at:
                self._ask()
            else:
                if self._place.wait(TICK):
                    self._ask_at = self._clock()
                yield self._sign_of_life()
        self._reason = reason
        yield ending(reason)

    def _over(self) -> str | None:
        """Return why the stream must end now, if it must."""
        # Or what an answer of users_svc has said.
        return self._life.over() or (None if self._reason == "client_gone" else self._reason)

    def _messages(self) -> bytes:
        news, self._news = self._news, []
        self._position = news[-1]["number"]
        self._sent += len(news)
        self._spoke = self._clock()
        return b"".join(map(message, news))

    def _sign_of_life(self) -> bytes:
        now = self._clock()
        if now - self._spoke < HEARTBEAT_EVERY:
            return b""
        self._spoke = now
        return HEARTBEAT

    def _take(self, news: Mapping[str, Any]) -> None:
        self._news = news["data"]
        # A full page may have another one behind it.
        self._ask_at = self._clock() + (ASK_EVERY if len(self._news) < PAGE else 0)

    def _ask(self) -> None:
        """Ask for what is new; what cannot be answered now is asked again."""
        self._ask_at = self._clock() + RETRY_EVERY
        # As long as nobody knows who is revoked, nobody is told anything.
        if not self._own.revocations.ready or not self._own.streams.asking.acquire(timeout=TICK):
            return
        try:
            users = self._own.cluster.view(self._call, timeout=ASK_WITHIN).users_svc
            self._take(users.notifications_after(user_id=self._call.actor.id, number=self._position, limit=PAGE))
        except (DomainError, Fault) as exc:
            if exc.kind in FINAL:
                self._reason = "refused"
                log.warning("a stream is refused what is new", code=exc.code)
        except (RpcTimeout, UnknownService) as exc:
            log.debug("a stream cannot ask for what is new", error=type(exc).__name__)
        except Exception as exc:
            # A mistake of ours. Asked again and again it would be made again and again.
            self._reason = "failed"
            log.error("a stream has failed", error=type(exc).__name__, exc_info=exc)
        finally:
            self._own.streams.asking.release()
