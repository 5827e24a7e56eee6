"""Access tokens that are refused before they expire: those of sessions that were ended and of accounts that were shut.

Each process has a copy of its own: a question costs two look-ups, no lock, no call. Events keep it up to date; they
come in over the connection of the RPC calls, into a queue that goes with it. What happened while there was no
connection is in the snapshot, which is asked for after every connect, when the queue is bound already: nothing falls
between the two, and as entries are only ever added it does not matter which of them is first. Without a snapshot since
the last connect nobody can tell good tokens from revoked ones: the answer is 503, never 401.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

import amqp
from amqp.exceptions import ChannelError
from prometheus_client import Counter, Gauge

from gateway.revocation_messages import SESSION_REVOKED, USER_DISABLED, read_event, read_page
from lib import logs
from lib.errors import Unavailable
from lib.ids import milliseconds_of
from lib.tokens import InvalidToken
from lib.topology import event_exchange

log = logs.get("gateway.revocations")

Snapshot = Mapping[str, Any]

ISSUER = "auth_svc"
#: seconds that an entry is kept longer than any token lives
SPARE = 60.0
REFRESH_EVERY = 300.0
RETRY_EVERY = 0.25
SUBSCRIBE_EVERY = 1.0
#: entries that one tick of the connection forgets, so that it does not stop for many thousands at once
FORGET_AT_ONCE = 1000

HELD = Gauge("gateway_revocations_held", "Sessions and accounts whose tokens are refused", multiprocess_mode="livemax")
SNAPSHOT_AT = Gauge(
    "gateway_revocations_snapshot_timestamp_seconds",
    "When the oldest snapshot of all processes was taken; 0 while one of them has none and answers 503",
    multiprocess_mode="livemin",
)
IGNORED = Counter("gateway_revocation_events_ignored_total", "Events about revocations that could not be read")


class RevocationsUnavailable(Unavailable):
    """It is not known now which tokens are revoked: 503, never 401."""

    code = "revocations_unavailable"


class Revocations:
    """See the module's text. A `lib.link.Listener`: what is named ``link_…`` runs in the reader's thread.

    :param fetch: returns a page of the snapshot by its cursor, the first one by None; may raise
    :param keep: seconds that an entry stays from when it was heard of
    :param clock: monotonic. Never the wall clock: a jump of it would forget entries whose tokens come back to life
        when it jumps back
    """

    def __init__(
        self, fetch: Callable[[str | None], Snapshot], *, keep: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._keep = keep
        self._clock = clock
        #: session → when to forget it
        self._sessions: dict[str, float] = {}
        #: account → the last moment (ms) whose sessions are over, and when to forget it
        self._accounts: dict[str, tuple[int, float]] = {}
        #: all of it in the order of forgetting: when, whether it is a session, its id
        self._order: deque[tuple[float, bool, str]] = deque()
        #: for writers; readers need none
        self._lock = threading.Lock()
        #: changes with every connect and disconnect
        self._connects = 0
        self._channel: amqp.Channel | None = None
        self._queue = ""
        self._subscribed = self._announced = False
        self._next_try = 0.0
        self._failing = False
        self._shown = 0
        #: there is a snapshot since the last connect
        self.ready = False
        #: set when a snapshot is wanted
        self.wanted = threading.Event()
        SNAPSHOT_AT.set(0)

    # --- asking ---

    def demand(self) -> None:
        """Raise `RevocationsUnavailable` while nobody's token can be judged."""
        if not self.ready:
            raise RevocationsUnavailable("it is not known yet which sessions have ended; try again", retry_after=1)

    def check(self, subject: str, session: str) -> None:
        """Raise `InvalidToken` for a token of a session that is over."""
        if session in self._sessions:
            raise InvalidToken("the access token has been revoked", reason="revoked")
        account = self._accounts.get(subject)
        if account is not None and _made_at(session) <= account[0]:
            raise InvalidToken("the access token has been revoked", reason="revoked")

    @property
    def held(self) -> int:
        """How many sessions and accounts are refused now."""
        return len(self._sessions) + len(self._accounts)

    # --- learning ---

    def load(self) -> bool:
        """Add the snapshot, page by page; False if that failed and is worth another try."""
        connect = self._connects
        if not self._subscribed:
            # The next connect asks for it.
            return True
        try:
            cursor: str | None = None
            while True:
                page = self._fetch(cursor)
                self._add(*read_page(page))
                if page["next_cursor"] is None:
                    break
                if page["next_cursor"] == cursor:
                    raise ValueError("the snapshot does not end")
                cursor = page["next_cursor"]
        except Exception as exc:
            # Whatever it is: a keeper that has died would leave the process deaf for ever.
            if not self._failing:
                log.warning("no snapshot of what is revoked; trying again", error=type(exc).__name__)
            self._failing = True
            return False
        self._failing = False
        with self._lock:
            if connect != self._connects:
                # The connection that brought it is over: events may have been missed since.
                return False
            first, self.ready = not self.ready, True
            SNAPSHOT_AT.set_to_current_time()
        if first:
            log.info("snapshot of what is revoked is here", entries=self.held)
        return True

    def _add(self, sessions: list[str], accounts: Mapping[str, int]) -> None:
        with self._lock:
            until = self._clock() + self._keep
            for session in sessions:
                if session not in self._sessions:
                    self._sessions[session] = until
                    self._order.append((until, True, session))
            for account, not_before in accounts.items():
                known = self._accounts.get(account)
                if known is None or not_before > known[0]:
                    # In place: between removing and adding it would not be there for somebody who asks.
                    self._accounts[account] = (not_before, until)
                    self._order.append((until, False, account))
            self._forget(2 * (len(sessions) + len(accounts)))

    def _forget(self, most: int) -> None:
        now = self._clock()
        while most > 0 and self._order and self._order[0][0] <= now:
            most -= 1
            until, is_session, key = self._order.popleft()
            if is_session:
                self._sessions.pop(key, None)
            elif key in self._accounts and self._accounts[key][1] <= until:
                del self._accounts[key]
        if self.held != self._shown:
            self._shown = self.held
            HELD.set(self._shown)

    # --- what the link tells ---

    def link_up(self, connection: amqp.Connection) -> None:
        self._disconnected()
        self._channel = connection.channel()
        self._queue = f"evt-{ISSUER}-{SESSION_REVOKED}--gateway-{socket.gethostname()}-{secrets.token_hex(4)}"
        self._subscribe()

    def link_down(self) -> None:
        self._disconnected()

    def link_returned(self, message: Any) -> None:
        """Nothing is sent from here."""

    def link_blocked(self) -> None:
        """Reading goes on."""

    def link_tick(self, connection: amqp.Connection) -> None:  # noqa: ARG002  (a listener is told)
        if not self._subscribed and self._clock() >= self._next_try:
            self._subscribe()
        if self._subscribed and not self._announced:
            # Not before: now calls can be made.
            self._announced = True
            self.wanted.set()
        with self._lock:
            self._forget(FORGET_AT_ONCE)

    def _disconnected(self) -> None:
        with self._lock:
            self._connects += 1
            self.ready = self._subscribed = self._announced = False
            SNAPSHOT_AT.set(0)
        self._channel = None

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
            for key in (SESSION_REVOKED, USER_DISABLED):
                channel.queue_bind(self._queue, event_exchange(ISSUER), key)
            channel.basic_consume(self._queue, no_ack=True, callback=self._on_event)
        except ChannelError as exc:
            # The issuer has never run here. The broker has closed the channel, and py-amqp has opened it anew.
            log.warning("revocations cannot be followed yet; trying again", error=type(exc).__name__)
        else:
            self._subscribed = True

    def _on_event(self, message: Any) -> None:
        try:
            told = read_event(message.body)
        except Exception as exc:
            IGNORED.inc()
            log.warning("an event about revocations cannot be read", error=type(exc).__name__)
        else:
            self._add(*told)


class RevocationKeeper(threading.Thread):
    """Loads the snapshot whenever one is wanted, and now and then anyway: an event may have been ignored."""

    def __init__(self, revocations: Revocations) -> None:
        super().__init__(name="revocation-keeper", daemon=True)
        self._revocations = revocations
        self._stopping = threading.Event()

    def run(self) -> None:
        wanted = self._revocations.wanted
        while True:
            wanted.wait(REFRESH_EVERY)
            if self._stopping.is_set():
                return
            wanted.clear()
            if not self._revocations.load():
                wanted.set()
                self._stopping.wait(RETRY_EVERY)

    def stop(self) -> None:
        self._stopping.set()
        self._revocations.wanted.set()


@lru_cache(maxsize=4096)
def _made_at(session: str) -> int:
    """Return when a session was made, in ms; the beginning of time for what is no id of ours."""
    try:
        return milliseconds_of(UUID(session))
    except ValueError:
        return 0
