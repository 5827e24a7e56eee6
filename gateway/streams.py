"""Who listens to their notifications at this process, and what wakes them.

Every process hears of every new notification by an event, over the connection of the RPC calls, in a queue that goes
with it. The event only says whose inbox it is; a stream that is woken asks users_svc for what it has not sent yet. So
it does not matter if an event comes twice, too early or never (`gateway.feed` also asks now and then): the numbers of
the notifications decide what is sent.

There are only so many places, in all and for one account, because each open stream has a thread of the server.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import amqp
from amqp.exceptions import ChannelError
from prometheus_client import Counter, Gauge

from gateway.notification_messages import NOTIFICATION_CREATED, read_event
from lib import logs
from lib.errors import Unavailable
from lib.topology import event_exchange

log = logs.get("gateway.streams")

ISSUER = "users_svc"
PER_ACCOUNT = 5
#: that ask users_svc at once; a service that hangs must not be asked by all of them
ASKING = 8
RETRY_AFTER = 5
SUBSCRIBE_EVERY = 1.0

OPEN = Gauge("gateway_streams_open", "Clients that listen to their notifications", multiprocess_mode="livesum")
REFUSED = Counter("gateway_streams_refused_total", "Streams that were refused for being too many")
IGNORED = Counter("gateway_notification_events_ignored_total", "Events about notifications that could not be read")


class TooManyStreams(Unavailable):
    """Nothing was done; another process, or a moment later, may have a place."""

    code = "too_many_streams"


class Place:
    """That of one open stream, and the bell that wakes it."""

    def __init__(self, streams: Streams, account: str) -> None:
        self._streams = streams
        self.account = account
        #: whether it was given back
        self.left = False
        self._bell = threading.Event()

    def ring(self) -> None:
        """Wake the stream, or have its next `wait` return at once."""
        self._bell.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the bell; False if it did not ring."""
        rung = self._bell.wait(seconds)
        if rung:
            self._bell.clear()
        return rung

    def leave(self) -> bool:
        """Give the place back; False if it was given back before."""
        return self._streams.remove(self)

    def abandon(self) -> None:
        """Have the place taken back soon. Takes no lock."""
        if not self.left:
            self._streams.abandoned.append(self)


class Streams:
    """See the module's text. A `lib.link.Listener`: what is named ``link_…`` runs in the reader's thread.

    :param places: how many streams may be open at once
    :param clock: monotonic
    """

    def __init__(self, places: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.places = places
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, set[Place]] = {}
        self._count = 0
        #: whose streams were thrown away; a deque can be appended to without a lock
        self.abandoned: deque[Place] = deque()
        self.asking = threading.BoundedSemaphore(ASKING)
        #: set for good when the process is about to end
        self.closing = False
        self._channel: amqp.Channel | None = None
        self._queue = ""
        self._subscribed = self._announced = self._warned = False
        self._next_try = 0.0

    @property
    def count(self) -> int:
        """How many are open."""
        self._take_back()
        return self._count

    def enter(self, account: str) -> Place:
        """Return a place for a stream of this account; its `leave` gives it back."""
        self._take_back()
        place = Place(self, account)
        with self._lock:
            own = self._open.get(account, set())
            fits = self._count < self.places and len(own) < PER_ACCOUNT and not self.closing
            if fits:
                self._open.setdefault(account, own).add(place)
                self._count += 1
        if not fits:
            REFUSED.inc()
            raise TooManyStreams("too many streams are open; try again", retry_after=RETRY_AFTER)
        OPEN.inc()
        return place

    def remove(self, place: Place) -> bool:
        """Free a place; False if that was done before."""
        with self._lock:
            own = self._open.get(place.account, set())
            if place not in own:
                return False
            own.remove(place)
            place.left = True
            if not own:
                del self._open[place.account]
            self._count -= 1
        OPEN.dec()
        return True

    def _take_back(self) -> None:
        with contextlib.suppress(IndexError):  # That was all.
            while True:
                self.remove(self.abandoned.popleft())

    def wake(self, account: str | None = None) -> None:
        """Have the account's streams look for something new; None: everybody's."""
        with self._lock:
            owners = list(self._open.values()) if account is None else [self._open.get(account, set())]
            places = [place for own in owners for place in own]
        for place in places:
            place.ring()

    def close(self) -> None:
        """End all streams, and let nobody in any more."""
        self.closing = True
        self.wake()

    # --- what the link tells ---

    def link_up(self, connection: amqp.Connection) -> None:
        self._subscribed = self._announced = self._warned = False
        self._channel = connection.channel()
        self._queue = f"evt-{ISSUER}-{NOTIFICATION_CREATED}--gateway-{socket.gethostname()}-{secrets.token_hex(4)}"
        self._subscribe()

    def link_down(self) -> None:
        self._subscribed = False
        self._channel = None

    def link_returned(self, message: Any) -> None:
        """Nothing is sent from here."""

    def link_blocked(self) -> None:
        """Reading goes on."""

    def link_tick(self, connection: amqp.Connection) -> None:  # noqa: ARG002  (a listener is told)
        if not self._subscribed and self._clock() >= self._next_try:
            self._subscribe()
        if self._subscribed and not self._announced:
            # What happened before there was a queue, nobody has told us. Not before: now calls can be made.
            self._announced = True
            self.wake()

    def _subscribe(self) -> None:
        """Declare the queue and consume; not the exchange, which is the issuer's alone."""
        channel = self._channel
        if channel is None:
            return
        self._next_try = self._clock() + SUBSCRIBE_EVERY
        try:
            channel.queue_declare(
                self._queue, exclusive=True, auto_delete=True, durable=False, arguments={"x-queue-type": "classic"}
            )
            channel.queue_bind(self._queue, event_exchange(ISSUER), NOTIFICATION_CREATED)
            channel.basic_consume(self._queue, no_ack=True, callback=self._on_event)
        except ChannelError as exc:
            # The issuer has never run here. The broker has closed the channel, and py-amqp has opened it anew.
            if not self._warned:
                log.warning("new notifications cannot be followed yet; trying again", error=type(exc).__name__)
            self._warned = True
        else:
            self._subscribed = True

    def _on_event(self, message: Any) -> None:
        try:
            account = read_event(message.body)
        except Exception as exc:
            # Whatever it is: it must not take the connection down.
            IGNORED.inc()
            log.warning("an event about notifications cannot be read", error=type(exc).__name__)
        else:
            self.wake(account)
