"""Messages that no decent client would send, and a caller that sends them."""

from __future__ import annotations

import json
import re
import secrets
import struct
from pathlib import Path
from typing import Any

import amqp
import requests

from tests.integration.lib.conftest import PROBE, Probe
from tests.support.waiting import eventually

CALL = {"args": [1], "kwargs": {}}
HUGE = json.dumps({"args": ["x" * 15 * 1024 * 1024], "kwargs": {}})
JSON = {"content_type": "application/json", "content_encoding": "utf-8"}
DEAD = "dead-probe_svc"


class Trap:
    """Pickled, this is a program: whoever reads it makes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


class Broken(amqp.Message):
    """A message whose properties are bytes that RabbitMQ passes on and py-amqp cannot read."""

    raw = b""

    def _serialize_properties(self) -> bytes:
        return self.raw


def broken(body: bytes, properties: bytes) -> amqp.Message:
    message = Broken(body)
    message.raw = properties
    return message


def _string(value: bytes) -> bytes:
    return struct.pack("B", len(value)) + value


def broken_properties(*, header: bytes = b"", reply_to: bytes = b"nobody", correlation_id: bytes = b"1") -> bytes:
    """Return the properties' bytes, as AMQP 0-9-1 says, with a raw header entry."""
    has = 0x8000 | 0x4000 | 0x2000 | 0x0400 | 0x0200
    strings = _string(b"application/json") + _string(b"utf-8")
    return (
        struct.pack(">H", has)
        + strings
        + struct.pack(">I", len(header))
        + header
        + _string(correlation_id)
        + _string(reply_to)
    )


def _deep(levels: int) -> bytes:
    inner = b""
    for _ in range(levels):
        inner = b"\x01aF" + struct.pack(">I", len(inner)) + inner
    return inner


BROKEN = {
    "reply_to that is no UTF-8": broken_properties(reply_to=b"\xff\xfe"),
    "correlation_id that is no UTF-8": broken_properties(correlation_id=b"\xff"),
    "a header's name that is no UTF-8": broken_properties(header=_string(b"\xff") + b"t\x01"),
    "a time after the year 9999": broken_properties(header=b"\x01aT" + struct.pack(">Q", 10**15)),
    "headers nested 5000 deep": broken_properties(header=_deep(5000)),
}
#: what py-amqp reads, and cannot send on: it is no help that it was read
UNSENDABLE = {
    "headers nested 600 deep": broken_properties(header=_deep(600)),
    # Read as numbers of one byte, they would be sent as numbers of four, and be too long for a frame.
    "60,000 small numbers": broken_properties(header=b"\x01aA" + struct.pack(">I", 120_000) + b"b\x07" * 60_000),
}


def deep_trace(reply_to: str, correlation_id: str) -> bytes:
    """Return a request's properties with a trace that is a table nested 600 deep."""
    name = _string(b"nameko.traceparent")
    return broken_properties(
        header=name + _deep(600)[2:], reply_to=reply_to.encode(), correlation_id=correlation_id.encode()
    )


class Watched:
    """The probe, with its counters, and a caller that can say anything."""

    def __init__(self, probe: Probe, port: int, channel: amqp.Channel) -> None:
        self.probe = probe
        self._port = port
        self._channel = channel
        self._queue = channel.queue_declare("", exclusive=True).queue
        channel.queue_bind(self._queue, "nameko-rpc", self._queue)

    def rejected(self) -> dict[str, float]:
        """Return the counter ``service_rejected_messages_total`` by reason."""
        text = requests.get(f"http://127.0.0.1:{self._port}/metrics", timeout=5).text
        found = re.findall(r'service_rejected_messages_total\{reason="(\w+)",service="probe_svc"\} (\S+)', text)
        return {reason: float(value) for reason, value in found}

    def send(self, method: str, body: Any = CALL, **properties: Any) -> str:
        """Publish a request that asks for an answer, unless `properties` say otherwise; returns its correlation id."""
        properties = {**JSON, "reply_to": self._queue, "correlation_id": secrets.token_hex(8), **properties}
        payload = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        present = {name: value for name, value in properties.items() if value is not None}
        self._channel.basic_publish_confirm(amqp.Message(payload, **present), "nameko-rpc", f"probe_svc.{method}")
        return str(properties["correlation_id"] or "")

    def send_with_deep_trace(self, method: str, body: Any) -> str:
        correlation_id = secrets.token_hex(8)
        properties = deep_trace(self._queue, correlation_id)
        self.publish("nameko-rpc", f"probe_svc.{method}", broken(json.dumps(body).encode(), properties))
        return correlation_id

    def answer(self, correlation_id: str) -> dict[str, Any]:
        """Return the body of the next reply, which must be to this call."""
        message = eventually(lambda: self._channel.basic_get(self._queue, no_ack=True), within=10)
        assert message.properties.get("correlation_id", "") == correlation_id
        body: dict[str, Any] = json.loads(message.body)
        return body

    def publish(self, exchange: str, routing_key: str, message: amqp.Message) -> None:
        self._channel.basic_publish_confirm(message, exchange, routing_key)

    def assert_well(self) -> None:
        """Assert that the process lives, takes calls and handles events."""
        assert self.answer(self.send("echo", {"args": ["well"], "kwargs": {}}))["result"] == "well"
        event_id = self.probe.emit("thing.happened")
        eventually(lambda: len(self.probe.effects(f"%on_thing {event_id}")) == 2)
        assert self.probe.stack.running(PROBE)

    def parked(self) -> amqp.Message:
        """Take the next message out of the dead-letter queue."""
        return eventually(lambda: self._channel.basic_get(DEAD, no_ack=True), within=10)
