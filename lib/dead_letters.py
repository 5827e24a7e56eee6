"""Events that were given up: look at them, and send them back to their handler once the cause is mended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import amqp
from kombu import serialization
from nameko.constants import AMQP_SSL_CONFIG_KEY, AMQP_URI_CONFIG_KEY

from lib import topology
from lib.events import ATTEMPT, ERROR, ERROR_TYPE, FAILED_AT, QUEUE
from lib.logs import redact
from lib.wire import connect


@contextmanager
def _channel(config: Mapping[str, Any], service: str) -> Iterator[amqp.Channel]:
    with connect(
        config[AMQP_URI_CONFIG_KEY],
        name=f"{service} dead letters",
        heartbeat=10,
        ssl=config.get(AMQP_SSL_CONFIG_KEY),
        confirm_publish=True,
    ) as connection:
        yield connection.channel()


def _messages(channel: amqp.Channel, service: str) -> Iterator[amqp.Message]:
    """Take every message that is in the queue now; those that are not settled go back when the channel closes."""
    queue = topology.dead_queue(service)
    waiting = channel.queue_declare(queue, passive=True).message_count
    for _ in range(waiting):
        message = channel.basic_get(queue)
        if message is None:
            return
        yield message


def headers_of(message: amqp.Message) -> dict[str, Any]:
    return dict(message.properties.get("application_headers") or {})


def queue_of(message: amqp.Message) -> str | None:
    """Return the handler's queue that the event belongs to.

    Our own header says it; for a message that the broker parked (delivery limit) the broker's does.
    """
    headers = headers_of(message)
    deaths = headers.get("x-death") or [{}]
    queue: str | None = headers.get(QUEUE) or headers.get("x-first-death-queue") or deaths[0].get("queue")
    return queue


def _body(message: amqp.Message) -> Any:
    try:
        return serialization.loads(
            message.body,
            message.properties.get("content_type"),
            message.properties.get("content_encoding"),
            accept=serialization.prepare_accept_content(["json"]),
        )
    except Exception:
        return None


def describe(message: amqp.Message) -> dict[str, Any]:
    """Return what a person wants to know about a parked event, without its data."""
    headers, body = headers_of(message), _body(message)
    envelope = body if isinstance(body, dict) else {}
    return {
        "id": envelope.get("id"),
        "type": envelope.get("type"),
        "subject": envelope.get("subject"),
        "occurred_at": envelope.get("occurred_at"),
        "correlation_id": envelope.get("correlation_id"),
        "queue": queue_of(message),
        "attempts": headers.get(ATTEMPT),
        "error_type": headers.get(ERROR_TYPE) or headers.get("x-first-death-reason"),
        "error": headers.get(ERROR),
        "failed_at": headers.get(FAILED_AT),
    }


def list_parked(config: Mapping[str, Any], service: str) -> list[dict[str, Any]]:
    """Return a description of every parked event of the service; changes nothing."""
    with _channel(config, service) as channel:
        return [describe(message) for message in _messages(channel, service)]


def show(config: Mapping[str, Any], service: str, event_id: str) -> dict[str, Any] | None:
    """Return one parked event with its redacted body; None if it is not there."""
    with _channel(config, service) as channel:
        for message in _messages(channel, service):
            if describe(message)["id"] == event_id:
                return {**describe(message), "body": redact(_body(message))}
    return None


def replay(config: Mapping[str, Any], service: str, event_id: str | None = None) -> int:
    """Send parked events back to their handlers' queues, all of them or one, and return how many.

    The copy is confirmed before the parked one goes; a handler that has seen the event skips it (inbox).
    """
    sent = 0
    with _channel(config, service) as channel:
        for message in _messages(channel, service):
            queue = queue_of(message)
            if queue is None or (event_id is not None and describe(message)["id"] != event_id):
                continue
            headers = {
                name: value
                for name, value in headers_of(message).items()
                if not name.startswith("x-") and name not in (ATTEMPT, ERROR, ERROR_TYPE, FAILED_AT)
            }
            properties = {
                name: message.properties[name]
                for name in ("content_type", "content_encoding", "message_id")
                if name in message.properties
            }
            channel.basic_publish_confirm(
                amqp.Message(message.body, delivery_mode=2, application_headers=headers, **properties),
                exchange=topology.redeliver_exchange(service),
                routing_key=queue,
                mandatory=True,
            )
            channel.basic_ack(message.delivery_tag)
            sent += 1
    return sent
