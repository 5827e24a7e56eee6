"""One AMQP connection with one reader, safe for many writers.

Stock Nameko borrows a connection from kombu's pool for each message and waits for the broker's confirm with no time
limit; a broker that stops reading (memory or disk alarm) then hangs the caller for ever. A `Link` has a thread (in a
service: a greenlet) that does nothing but read, with heartbeats; whoever has something to send writes it under a lock.
Confirms, returned messages, replies and the broker's "blocked" notice all come in through the reader, so that no
sender ever waits for a socket longer than `IO_TIMEOUT`. The link heals itself: a broken connection is replaced within
`LONGEST_PAUSE`, and everybody who waited for something on the old one is told at once.

Works in monkey-patched (services) and in plain processes (gateway, command line): it uses `threading` and `select`.
"""

from __future__ import annotations

import logging
import random
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

import amqp
from amqp import spec
from amqp.exceptions import AMQPError

from lib import wire
from lib.confirmation import BrokerUnavailable, Confirmation, PublishUnconfirmed, Unroutable
from lib.wire import IO_TIMEOUT

log = logging.getLogger(__name__)

TICK = 0.25
#: bytes; one frame holds all of a message's properties, and RabbitMQ takes frames up to 128 KiB
LONGEST_PROPERTIES = 120 * 1024
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


class Listener(Protocol):
    """What a link tells; every method runs in the reader's thread and must not wait."""

    def link_up(self, connection: amqp.Connection) -> None:
        """A new connection is there; declare and consume here (waiting for the broker's answers is fine)."""

    def link_down(self) -> None:
        """The connection is gone, and with it all that was on its way."""

    def link_returned(self, message: Any) -> None:
        """A mandatory message had no queue to go to."""

    def link_blocked(self) -> None:
        """The broker takes no messages for now (memory or disk alarm)."""

    def link_tick(self, connection: amqp.Connection) -> None:
        """Called about every `TICK` seconds."""


class Link:
    """See the module's text.

    :param uri: of the broker
    :param name: for the management UI and the log
    :param heartbeat: seconds; a silent peer is given up after twice that
    :param ssl: as for `wire.connect`
    """

    def __init__(self, uri: str, *, name: str, heartbeat: float = 10, ssl: Any = None) -> None:
        self._uri = uri
        self._ssl = ssl
        self.name = name
        self._heartbeat = heartbeat
        self._listeners: list[Listener] = []
        self._write_lock = threading.Lock()
        self._connection: amqp.Connection | None = None
        self._plain: amqp.Channel | None = None
        self._confirming: amqp.Channel | None = None
        self._next_tag = 0
        self._unconfirmed: dict[int, Confirmation] = {}
        #: confirmed messages that must reach a queue, by their id
        self._returnable: dict[str, int] = {}
        self._up = threading.Event()
        self._stopping = False
        self._blocked = False
        self._thread: threading.Thread | None = None

    # --- life ---

    def add(self, listener: Listener) -> None:
        """Register a listener; before `start`."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Begin to connect, in the background."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"link {self.name}", daemon=True)
            self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Close the connection and end the reader."""
        self._stopping = True
        connection = self._connection
        if connection is not None:
            wire.flush(connection)
            self._shut(connection)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def wait_up(self, timeout: float) -> bool:
        """Wait for the first connection; False if there is none after `timeout` seconds."""
        return self._up.wait(timeout)

    @property
    def connected(self) -> bool:
        return self._up.is_set()

    @property
    def blocked(self) -> bool:
        return self._blocked

    # --- writing ---

    def publish(
        self,
        *,
        exchange: str,
        routing_key: str,
        body: str | bytes,
        properties: Mapping[str, Any],
        mandatory: bool = False,
        timeout: float = IO_TIMEOUT,
    ) -> None:
        """Send a message and do not wait for the broker's word.

        :param timeout: seconds to wait for other writers
        :raises BrokerUnavailable: it was not sent
        """
        self._send(False, exchange, routing_key, body, properties, mandatory, timeout)

    def publish_confirmed(
        self,
        *,
        exchange: str,
        routing_key: str,
        body: str | bytes,
        properties: Mapping[str, Any],
        mandatory: bool = False,
        timeout: float = IO_TIMEOUT,
    ) -> Confirmation:
        """Send a message; the returned confirmation tells when the broker has it safe.

        :raises BrokerUnavailable: it was not sent
        """
        confirmation = self._send(True, exchange, routing_key, body, properties, mandatory, timeout)
        assert confirmation is not None  # noqa: S101  (for the type checker)
        return confirmation

    def _send(
        self,
        confirm: bool,
        exchange: str,
        routing_key: str,
        body: str | bytes,
        properties: Mapping[str, Any],
        mandatory: bool,
        timeout: float,
    ) -> Confirmation | None:
        message = amqp.Message(body, **properties)
        mark = ""
        if confirm:
            if mandatory:
                # By this it is known again when it comes back.
                message.properties["message_id"] = mark = secrets.token_hex(8)
            # Events carry headers of strangers. What cannot be sent costs its sender an exception here, and below
            # everybody the connection.
            if isinstance(body, str):
                # What py-amqp would add when it writes the frames.
                message.properties.setdefault("content_encoding", "utf-8")
            written = message._serialize_properties()
            if len(written) > LONGEST_PROPERTIES:
                raise ValueError("the message's properties are too long")
            # Not written a second time.
            message._serialize_properties = lambda: written
        if not self._write_lock.acquire(timeout=max(0.0, timeout)):
            raise BrokerUnavailable("the connection to the broker is stalled", retry_after=1)
        try:
            channel = self._confirming if confirm else self._plain
            connection = self._connection
            if connection is None or channel is None:
                raise BrokerUnavailable("there is no connection to the broker", retry_after=1)
            if self._blocked:
                raise BrokerUnavailable("the broker takes no messages for now", retry_after=5)
            confirmation = Confirmation(mark) if confirm else None
            if confirmation is not None:
                # Registered before it is sent: the answer may be faster than we are.
                self._next_tag += 1
                self._unconfirmed[self._next_tag] = confirmation
                if mark:
                    self._returnable[mark] = self._next_tag
            try:
                # Not basic_publish: that one reads from the socket, which is the reader's alone.
                channel.send_method(spec.Basic.Publish, "Bssbb", (0, exchange, routing_key, mandatory, False), message)
            except BaseException as exc:
                if confirmation is not None:
                    self._unconfirmed.pop(self._next_tag, None)
                # Whether the broker has a part of it, and counts it, is not known: only a new connection is sure.
                self._plain = self._confirming = None
                self._shut(connection)
                # The last two are what py-amqp raises when the reader has just closed the connection.
                if isinstance(exc, OSError | AMQPError | AttributeError | TypeError):
                    raise BrokerUnavailable("the connection to the broker broke", retry_after=1) from exc
                raise
            return confirmation
        finally:
            self._write_lock.release()

    # --- reading ---

    def _run(self) -> None:
        pause = SHORTEST_PAUSE
        while not self._stopping:
            try:
                connection = wire.connect(
                    self._uri,
                    name=self.name,
                    heartbeat=self._heartbeat,
                    ssl=self._ssl,
                    on_blocked=self._on_blocked,
                    on_unblocked=self._on_unblocked,
                )
                self._open(connection)
            except Exception as exc:
                # Whatever it is: without its reader the process would be deaf for ever.
                log.warning("%s: no broker (%s: %s); trying again", self.name, type(exc).__name__, exc)
                self._close()
                # Jitter, so that a whole fleet does not come back in step.
                time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = SHORTEST_PAUSE
            try:
                self._read(connection)
            except (OSError, AMQPError, AttributeError, TypeError) as exc:
                if not self._stopping:
                    log.warning("%s: connection lost (%s: %s)", self.name, type(exc).__name__, exc)
            except Exception:
                # An encrypted connection that we have closed ourselves says ValueError.
                if not self._stopping:
                    log.exception("%s: reader failed; reconnecting", self.name)
            finally:
                self._close()

    def _open(self, connection: amqp.Connection) -> None:
        # Known from here on, so that it is closed whatever goes wrong.
        self._connection = connection
        plain, confirming = connection.channel(), connection.channel()
        for channel in (plain, confirming):
            channel.events["basic_return"].add(self._on_return)
        confirming.confirm_select()
        confirming.events["basic_ack"].add(self._on_ack)
        confirming.events["basic_nack"].add(self._on_nack)
        for listener in self._listeners:
            listener.link_up(connection)
        wire.hurry(connection)
        with self._write_lock:
            self._plain, self._confirming = plain, confirming
            self._next_tag, self._blocked = 0, False
        self._up.set()
        log.info("%s: connected", self.name)

    def _read(self, connection: amqp.Connection) -> None:
        readable = wire.waiter(connection.transport.sock)
        next_tick = time.monotonic()
        while not self._stopping:
            now = time.monotonic()
            if now >= next_tick:
                next_tick = now + TICK
                connection.heartbeat_tick()
                for listener in self._listeners:
                    listener.link_tick(connection)
            if wire.pending(connection) or readable(max(0.0, next_tick - time.monotonic())):
                wire.read_message(connection)

    def _close(self) -> None:
        connection = self._connection
        was_up = self._up.is_set()
        self._up.clear()
        with self._write_lock:
            self._connection = self._plain = self._confirming = None
            self._blocked = False
            lost, self._unconfirmed, self._returnable = list(self._unconfirmed.values()), {}, {}
        for confirmation in lost:
            confirmation.settle(PublishUnconfirmed("the broker went away before it confirmed", retry_after=1))
        if connection is not None:
            try:
                connection.collect()
            except Exception as exc:
                log.debug("%s: closing: %s", self.name, exc)
        if was_up:
            for listener in self._listeners:
                listener.link_down()

    @staticmethod
    def _shut(connection: amqp.Connection) -> None:
        """Make the reader notice that this connection is over."""
        transport = connection._transport
        if transport is not None and transport.sock is not None:
            try:
                transport.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    def _on_ack(self, tag: int, multiple: bool) -> None:
        self._settle(tag, multiple, None)

    def _on_nack(self, tag: int, multiple: bool, *_requeue: Any) -> None:
        self._settle(tag, multiple, PublishUnconfirmed("the broker refused the message", retry_after=1))

    def _settle(self, tag: int, multiple: bool, error: Exception | None) -> None:
        tags = [each for each in list(self._unconfirmed) if each <= tag] if multiple else [tag]
        for each in tags:
            confirmation = self._unconfirmed.pop(each, None)
            if confirmation is not None:
                self._returnable.pop(confirmation.mark, None)
                confirmation.settle(error)

    def _on_return(self, _exc: Exception, _exchange: str, routing_key: str, message: Any) -> None:
        # The broker confirms what it returns, too, right after this.
        tag = self._returnable.pop(message.properties.get("message_id"), None)
        if tag is not None:
            self._settle(tag, False, Unroutable(f"no queue takes {routing_key}", retry_after=1))
        for listener in self._listeners:
            listener.link_returned(message)

    def _on_blocked(self, _reason: str) -> None:
        log.warning("%s: the broker takes no messages (memory or disk alarm)", self.name)
        self._blocked = True
        for listener in self._listeners:
            listener.link_blocked()

    def _on_unblocked(self) -> None:
        log.info("%s: the broker takes messages again", self.name)
        self._blocked = False
