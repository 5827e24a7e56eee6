"""Consuming that ends well: running work is acknowledged before the connection closes.

Stock Nameko closes the consuming connection as soon as its consumers are cancelled, while workers still run: what they
acknowledge then is lost, and the broker hands the finished messages out again. Here the connection stays until the
last message that was delivered is settled. It is also back sooner after an outage, says clearly when a queue has other
arguments than this version declares, and gives what cannot be decoded to its provider instead of dropping it.
"""

from __future__ import annotations

import logging
import random
import time
from contextlib import contextmanager
from functools import partial
from typing import Any

import amqp
from eventlet import sleep
from eventlet.event import Event
from kombu import Connection
from kombu.exceptions import DecodeError, OperationalError
from kombu.transport import pyamqp
from nameko.constants import AMQP_SSL_CONFIG_KEY, HEARTBEAT_CONFIG_KEY, LOGIN_METHOD_CONFIG_KEY
from nameko.extensions import ProviderCollector
from nameko.messaging import QueueConsumer as NamekoQueueConsumer
from nameko.messaging import QueueConsumerStopped

from lib import wire
from lib.broker import Broker
from lib.caller import caller_of
from lib.rpc_bodies import decoded
from lib.topology import TopologyMismatch
from lib.wire import CONNECT_TIMEOUT, IO_TIMEOUT, process_name

log = logging.getLogger(__name__)

#: bytes; the gateway takes 1 MiB, and JSON may grow when it is encoded anew
LARGEST_BODY = 4 * 1024 * 1024
TICK = 0.2
#: seconds that a starting service may take to be able to serve; then it serves what it can
ABLE_WITHIN = 5.0


class Received(pyamqp.Message):
    """A message as it came: kombu would unpack a compressed one before anybody has looked at it.

    500 bytes may unpack to gigabytes, and what cannot be unpacked kombu acknowledges and forgets. Nothing of ours and
    nothing of Nameko's compresses unless it is told to, so such a message is refused.
    """

    def __init__(self, raw: Any, channel: Any = None, **options: Any) -> None:
        headers = raw.properties.get("application_headers") or {}
        compression = headers.pop("compression", None)
        super().__init__(raw, channel=channel, **options)
        self.unreadable: Exception | None = raw.properties.get(wire.UNREADABLE)
        if compression is not None:
            self.headers["compression"] = compression
            self.unreadable = DecodeError("a compressed body")

    def _decode(self) -> Any:
        return decoded(self.body, self.content_type, self.content_encoding, accept=self.accept)


class QueueConsumer(NamekoQueueConsumer):
    """One per container, shared by its RPC queue and its event handlers."""

    broker = Broker()

    def __init__(self) -> None:
        super().__init__()
        self._unsettled: set[tuple[int, int]] = set()
        self._pending_remove_providers: dict[Any, Event] = {}
        self._draining = False
        self._on_line = False

    @property
    def consuming(self) -> bool:
        """True while the broker may deliver."""
        return self._on_line and not self._draining

    # --- connecting ---

    @property
    def connection(self) -> Connection:
        config = self.container.config
        name = process_name(f"{self.container.service_name} (consuming)")
        return Connection(
            self.amqp_uri,
            heartbeat=config.get(HEARTBEAT_CONFIG_KEY, 10),
            ssl=config.get(AMQP_SSL_CONFIG_KEY),
            login_method=config.get(LOGIN_METHOD_CONFIG_KEY),
            transport_options={
                "connect_timeout": CONNECT_TIMEOUT,
                "write_timeout": CONNECT_TIMEOUT,
                "client_properties": {"connection_name": name},
            },
        )

    @contextmanager
    def establish_connection(self) -> Any:
        """Connect, or fail at once: `run` decides when to try again (kombu's back-off grows to 30 s)."""
        with self.create_connection() as connection:
            # Not `connect`: that one pauses two seconds and tries a second time.
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
            established = connection.connection
            wire.tune(established)
            # Kombu sets no limit: it would wait for the answer of a peer that has gone silent without end.
            established.transport.sock.settimeout(IO_TIMEOUT)
            try:
                yield connection
            except connection.connection_errors:
                # Nobody is there for the good-bye that kombu would say now.
                established.collect()
                raise

    def run(self) -> None:
        """Consume until stopped; ends with an exception only for what no retry can mend."""
        self._wait_until_able()
        errors = self.connection.connection_errors + self.connection.channel_errors + (OperationalError,)
        while not self.should_stop:
            try:
                for _ in self.consume(limit=None, safety_interval=TICK):
                    pass
            except errors as exc:
                if not self._draining:
                    log.warning("consuming: no broker (%s: %s); trying again", type(exc).__name__, exc)
                self._lost()
                sleep(random.uniform(0.2, 1.0))  # noqa: S311  (not for secrets)
        self._on_line = False

    def _wait_until_able(self) -> None:
        """Take nothing before it can be served: what waits in the queue may go to another instance."""
        caller, give_up = caller_of(self.container), time.monotonic() + ABLE_WITHIN
        while not (self.should_stop or self._draining) and time.monotonic() < give_up:
            if self.broker.link.connected and (caller is None or caller.ready):
                return
            sleep(0.02)

    def stop(self) -> None:
        if not self._consumers_ready.ready():
            # Stock Nameko throws an exception into the greenlet, which counts as the container's failure.
            self.should_stop = True
            self._consumers_ready.send_exception(QueueConsumerStopped())
        self.wait_for_providers()
        if self._gt is not None:
            self._gt.wait()

    def _lost(self) -> None:
        """The connection is gone: the broker has everything back that was not settled."""
        self._on_line = False
        self._unsettled.clear()
        self._consumers.clear()
        if self._draining:
            self._cancel_consumers_if_requested()
            self.should_stop = True

    def get_consumers(self, consumer_cls: Any, channel: Any) -> Any:
        self._unsettled.clear()
        self._consumers = {}
        channel.Message = Received
        for provider in self._providers:
            try:
                consumer = consumer_cls(
                    queues=[provider.queue], on_message=partial(self._received, provider), accept=self.accept
                )
            except amqp.PreconditionFailed as exc:
                raise TopologyMismatch(
                    f"queue {provider.queue.name} exists with other arguments ({exc.reply_text}): "
                    "delete or rename it in the broker"
                ) from exc
            consumer.qos(prefetch_count=self.prefetch_count)
            self._consumers[provider] = consumer
        return list(self._consumers.values())

    def on_consume_ready(self, connection: Any, channel: Any, consumers: Any, **kwargs: Any) -> None:
        self._on_line = True
        super().on_consume_ready(connection, channel, consumers, **kwargs)

    # --- every delivered message is settled once ---

    def _received(self, provider: Any, message: Any) -> None:
        self._unsettled.add(_key(message))
        try:
            if message.unreadable is not None:
                raise message.unreadable
            if len(message.body) > LARGEST_BODY:
                raise DecodeError(f"a body of {len(message.body)} bytes")
            body = message.decode()
        except Exception as exc:
            self.container.spawn_managed_thread(partial(provider.handle_undecodable, message, exc))
        else:
            self.container.spawn_message(provider, body, message)

    def keeps(self, message: Any) -> bool:
        """True while a message that was delivered may stay in its handler's hands.

        Its channel is gone when the broker has it back already. Whether all consumers have begun is another matter
        (`consuming`): the first one's messages come while the others still begin.
        """
        return not self._draining and _is_open(message.channel)

    def ack_message(self, message: Any) -> None:
        self._settle(message, message.ack)

    def requeue_message(self, message: Any) -> None:
        self._settle(message, message.requeue)

    def _settle(self, message: Any, act: Any) -> None:
        try:
            if _is_open(message.channel):
                act()
        except (OperationalError, OSError, amqp.AMQPError) as exc:
            # The broker still has the message and will hand it out again.
            log.warning("a message could not be settled: %s", exc)
        finally:
            self._unsettled.discard(_key(message))

    # --- the end ---

    def unregister_provider(self, provider: Any) -> None:
        """Stop delivering to `provider`, and return when everything that was delivered is settled."""
        self._draining = True
        if self._consumers_ready.ready() and self._gt is not None and not self._gt.dead:
            removed = Event()
            # A consumer can only be cancelled by the consuming greenlet.
            self._pending_remove_providers[provider] = removed
            removed.wait()
        ProviderCollector.unregister_provider(self, provider)
        # Nameko stops the dependencies next; a worker that is still to start would find them gone.
        while self._unsettled:
            sleep(0.02)

    def _cancel_consumers_if_requested(self) -> None:
        while self._pending_remove_providers:
            provider, removed = self._pending_remove_providers.popitem()
            consumer = self._consumers.pop(provider, None)
            try:
                if consumer is not None:
                    # What goes wrong here ends the connection (`run`), and with it all the other consumers.
                    consumer.cancel()
            finally:
                removed.send()

    def on_iteration(self) -> None:
        self._cancel_consumers_if_requested()
        if self._draining:
            # Whoever left while its consumer was just beginning asked nobody to cancel it.
            for provider in self._consumers.keys() - self._providers:
                self._consumers.pop(provider).cancel()
        if not self._consumers and not self._unsettled:
            self.should_stop = True


def _is_open(channel: Any) -> bool:
    return channel is not None and bool(channel.connection)


def _key(message: Any) -> tuple[int, int]:
    """Tell messages apart: delivery tags start anew with each channel."""
    return id(message.channel), message.delivery_tag
