"""Which queues and exchanges there are, declared before anything is published.

RabbitMQ drops an event for which no queue is bound. So every handler's durable queue is declared by the migration step
(``python -m lib.cli <svc> migrate``), before any relay starts, and again whenever a service connects.

Per service ``users_svc``, with a handler ``on_registered`` of ``auth_svc``'s ``user.registered``:

========================================================  ========================================================
``rpc-users_svc``                                         requests (Nameko's name)
``evt-auth_svc-user.registered--users_svc.on_registered`` events for one handler (Nameko's name)
``retry-users_svc-5s``                                    events that failed, waiting 5 s
``redeliver-users_svc``                                   exchange: from there back to the handler's queue
``dead-users_svc``                                        events given up, for a person to look at and replay
========================================================  ========================================================

No message goes through the default exchange: it would need the right to write to every queue.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import amqp
from nameko.constants import AMQP_SSL_CONFIG_KEY, AMQP_URI_CONFIG_KEY
from nameko.containers import get_service_name
from nameko.events import SERVICE_POOL, EventHandler
from nameko.exceptions import ConfigurationError
from nameko.extensions import ENTRYPOINT_EXTENSIONS_ATTR
from nameko.rpc import RPC_QUEUE_TEMPLATE, get_rpc_exchange

from lib.config import delays
from lib.wire import connect


class TopologyMismatch(ConfigurationError):
    """A queue stands in the broker with other arguments than this version declares."""


@dataclass(frozen=True)
class HandlerQueue:
    """The queue of one event handler."""

    service: str
    source: str
    event_type: str
    method: str

    @property
    def name(self) -> str:
        return f"evt-{self.source}-{self.event_type}--{self.service}.{self.method}"


def event_exchange(service: str) -> str:
    return f"{service}.events"


def redeliver_exchange(service: str) -> str:
    return f"redeliver-{service}"


def dead_queue(service: str) -> str:
    """The queue and its exchange."""
    return f"dead-{service}"


def retry_queue(service: str, delay: float) -> str:
    """The queue and its exchange."""
    return f"retry-{service}-{delay:g}s"


def retry_delays(config: Mapping[str, Any]) -> tuple[float, ...]:
    return delays("EVENT_RETRY_DELAYS", config.get("EVENT_RETRY_DELAYS", "1,5,30"))


def handler_arguments(service: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a handler's queue.

    A quorum queue counts deliveries: a message that takes its process down again and again (so that nobody can count
    for it) is parked by the broker itself.
    """
    arguments: dict[str, Any] = {**_safely(config), "x-dead-letter-exchange": dead_queue(service)}
    if _queue_type(config) == "quorum":
        arguments["x-delivery-limit"] = int(config.get("EVENT_DELIVERY_LIMIT", 5))
    return arguments


def _queue_type(config: Mapping[str, Any]) -> str:
    return str(config.get("EVENT_QUEUE_TYPE", "quorum"))


def _safely(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a queue whose messages move on by dead-lettering.

    A quorum queue can keep such a message until the next queue has confirmed it; a classic queue cannot.
    """
    if _queue_type(config) != "quorum":
        return {"x-queue-type": _queue_type(config)}
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


def dead_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a dead-letter queue."""
    arguments: dict[str, Any] = {"x-queue-type": _queue_type(config)}
    if _queue_type(config) == "quorum":
        # Looking at a message counts as a delivery, and RabbitMQ 4 drops a message after twenty unless told otherwise.
        arguments["x-delivery-limit"] = 1_000_000_000
    return arguments


def handlers_of(service_class: type) -> list[HandlerQueue]:
    """Return the queues of the class's event handlers."""
    service = get_service_name(service_class)
    found = []
    for method, function in inspect.getmembers(service_class, inspect.isfunction):
        for entrypoint in getattr(function, ENTRYPOINT_EXTENSIONS_ATTR, ()):
            if isinstance(entrypoint, EventHandler) and entrypoint.handler_type is SERVICE_POOL:
                found.append(HandlerQueue(service, entrypoint.source_service, entrypoint.event_type, method))
    return found


def declare(
    channel: amqp.Channel, service: str, handlers: Iterable[HandlerQueue], config: Mapping[str, Any]
) -> list[str]:
    """Declare everything that `service` needs, and return the queues' names. Repeating it changes nothing."""
    handlers = list(handlers)
    rpc_exchange = get_rpc_exchange(config).name
    for exchange in (rpc_exchange, event_exchange(service), *(event_exchange(each.source) for each in handlers)):
        channel.exchange_declare(exchange, "topic", durable=True, auto_delete=False)
    names = [RPC_QUEUE_TEMPLATE.format(service)]
    channel.queue_declare(names[0], durable=True, auto_delete=False)
    channel.queue_bind(names[0], rpc_exchange, f"{service}.*")
    if not handlers:
        return names
    channel.exchange_declare(redeliver_exchange(service), "direct", durable=True, auto_delete=False)
    for queue in (dead_queue(service), *(retry_queue(service, each) for each in retry_delays(config))):
        channel.exchange_declare(queue, "fanout", durable=True, auto_delete=False)
    for delay in retry_delays(config):
        queue = retry_queue(service, delay)
        channel.queue_declare(
            queue,
            durable=True,
            auto_delete=False,
            arguments={
                **_safely(config),
                "x-message-ttl": int(delay * 1000),
                "x-dead-letter-exchange": redeliver_exchange(service),
            },
        )
        channel.queue_bind(queue, queue)
        names.append(queue)
    channel.queue_declare(dead_queue(service), durable=True, auto_delete=False, arguments=dead_arguments(config))
    channel.queue_bind(dead_queue(service), dead_queue(service))
    for handler in handlers:
        channel.queue_declare(
            handler.name, durable=True, auto_delete=False, arguments=handler_arguments(service, config)
        )
        channel.queue_bind(handler.name, event_exchange(handler.source), handler.event_type)
        channel.queue_bind(handler.name, redeliver_exchange(service), handler.name)
        names.append(handler.name)
    return [*names, dead_queue(service)]


def declare_service(service_class: type, config: Mapping[str, Any]) -> list[str]:
    """Declare a service's queues over a connection of its own; for the migration step, and before a start.

    :raises TopologyMismatch: nothing but somebody's decision mends that
    """
    service = get_service_name(service_class)
    with connect(
        config[AMQP_URI_CONFIG_KEY],
        name=f"{service} topology",
        heartbeat=10,
        ssl=config.get(AMQP_SSL_CONFIG_KEY),
    ) as connection:
        try:
            return declare(connection.channel(), service, handlers_of(service_class), config)
        except amqp.PreconditionFailed as exc:
            raise TopologyMismatch(f"{exc.reply_text}: delete or rename the queue in the broker") from exc
