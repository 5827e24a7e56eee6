"""Doubles for what `lib` talks to: a clock, a link, a broker's connection, a message."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import amqp
from amqp.exceptions import NotFound
from kombu import serialization

from lib.confirmation import BrokerUnavailable, Confirmation, PublishUnconfirmed, Unroutable


class Clock:
    """Stands where a module has `time`; nobody really waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall = 1_800_000_000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic

    def time(self) -> float:
        return self.wall

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


class FakeLink:
    """A link whose messages go into a list, and whose confirmations a test settles.

    :param outcomes: of the confirmed messages in turn: "ack", "late", "nack", "returned", "silence" or "away"
    """

    def __init__(self, *outcomes: str) -> None:
        self.connected = True
        self.blocked = False
        self.failure: Exception | None = None
        self.sent: list[dict[str, Any]] = []
        self.confirmations: list[Confirmation] = []
        self.listeners: list[Any] = []
        self._outcomes = list(outcomes)

    def add(self, listener: Any) -> None:
        self.listeners.append(listener)

    def publish(self, **message: Any) -> None:
        if self.failure is not None:
            raise self.failure
        self.sent.append(message)

    def publish_confirmed(self, **message: Any) -> Confirmation:
        outcome = self._outcomes.pop(0) if self._outcomes else "ack"
        if outcome == "away":
            raise BrokerUnavailable("away")
        self.publish(**message)
        confirmation = Confirmation()
        self.confirmations.append(confirmation)
        if outcome == "ack":
            confirmation.settle()
        elif outcome == "nack":
            confirmation.settle(PublishUnconfirmed("refused"))
        elif outcome == "returned":
            confirmation.settle(Unroutable("no queue"))
        elif outcome == "late":
            threading.Timer(0.1, confirmation.settle).start()
        return confirmation


class Channel:
    """Records what is declared, and knows the consumers and messages of a few queues."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.open = True
        self.acknowledged: list[int] = []
        self.events: dict[str, set[Any]] = {"basic_return": set(), "basic_ack": set(), "basic_nack": set()}
        self.sent: list[tuple[Any, Any]] = []
        self.failure: BaseException | None = None

    def _record(self, method: str, *args: Any, **kwargs: Any) -> None:
        self.connection.calls.append((method, args, kwargs))

    def exchange_declare(self, *args: Any, **kwargs: Any) -> None:
        self._record("exchange_declare", *args, **kwargs)

    def queue_bind(self, *args: Any, **kwargs: Any) -> None:
        self._record("queue_bind", *args, **kwargs)

    def queue_declare(self, queue: str, *, passive: bool = False, **kwargs: Any) -> Any:
        if passive and queue not in self.connection.consumers:
            # As py-amqp does: the broker closes the channel, and the client opens it again.
            raise NotFound("no queue", (50, 10))
        self._record("queue_declare", queue, passive=passive, **kwargs)
        return SimpleNamespace(
            queue=queue,
            message_count=len(self.connection.messages),
            consumer_count=self.connection.consumers.get(queue, 0),
        )

    def basic_consume(self, queue: str, *, callback: Any, **kwargs: Any) -> None:
        self._record("basic_consume", queue, **kwargs)
        self.connection.deliver = callback

    def basic_get(self, queue: str) -> amqp.Message | None:
        return self.connection.messages.pop(0) if self.connection.messages else None

    def basic_publish_confirm(self, message: amqp.Message, **where: Any) -> None:
        if self.failure is not None:
            raise self.failure
        self._record("publish", message, **where)

    def basic_ack(self, tag: int) -> None:
        self.acknowledged.append(tag)
        self._record("ack", tag)

    def confirm_select(self) -> None:
        self._record("confirm_select")

    def send_method(self, sig: Any, format: str, args: Any, content: amqp.Message) -> None:
        if self.failure is not None:
            raise self.failure
        self.sent.append((args, content))

    def close(self) -> None:
        self.open = False

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Connection:
    """Stands where an `amqp.Connection` is."""

    def __init__(self, **consumers: int) -> None:
        #: consumers by queue; ``Connection(users_svc=1)`` has one on ``rpc-users_svc``
        self.consumers = {f"rpc-{service}": count for service, count in consumers.items()}
        self.messages: list[amqp.Message] = []
        self.channels: list[Channel] = []
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.deliver: Any = None
        self.collected = False
        self._transport = None
        self.waits: list[float] = []
        self.transport = SimpleNamespace(sock=SimpleNamespace(settimeout=self.waits.append))

    def channel(self) -> Channel:
        self.channels.append(Channel(self))
        return self.channels[-1]

    def collect(self) -> None:
        self.collected = True

    def named(self, method: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        """Return the arguments of every call of `method`."""
        return [(args, kwargs) for name, args, kwargs in self.calls if name == method]

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc_info: object) -> None:
        return None


def message(body: Any, *, tag: int = 1, headers: dict[str, Any] | None = None, **properties: Any) -> amqp.Message:
    """Return a received JSON message as py-amqp hands it over."""
    content_type, encoding, payload = serialization.dumps(body, "json")
    properties = {"content_type": content_type, "content_encoding": encoding, **properties}
    if headers is not None:
        properties["application_headers"] = headers
    made = amqp.Message(payload, **properties)
    made.delivery_info = {"delivery_tag": tag}
    return made
