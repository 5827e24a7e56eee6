"""A service's connection for everything that it sends: replies, events, calls to other services."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import amqp
from nameko.constants import AMQP_SSL_CONFIG_KEY, AMQP_URI_CONFIG_KEY, HEARTBEAT_CONFIG_KEY
from nameko.extensions import SharedExtension

from lib import topology
from lib.link import Link
from lib.rpc_client import RpcClient, ServiceView
from lib.wire import process_name

log = logging.getLogger(__name__)


class Broker(SharedExtension):
    """One per container. Consuming has a connection of its own (`lib.queue_consumer`): RabbitMQ may stop reading from
    a connection that publishes, and acknowledgements must not be stuck behind that."""

    def __init__(self) -> None:
        self._link: Link | None = None
        self._client: RpcClient | None = None
        self._handlers: list[topology.HandlerQueue] = []

    @property
    def link(self) -> Link:
        if self._link is None:
            config = self.container.config
            self._link = Link(
                config[AMQP_URI_CONFIG_KEY],
                name=process_name(self.container.service_name),
                heartbeat=config.get(HEARTBEAT_CONFIG_KEY, 10),
                ssl=config.get(AMQP_SSL_CONFIG_KEY),
            )
            self._link.add(self)
        return self._link

    def declare(self, handler: topology.HandlerQueue) -> None:
        """Have the handler's queues declared on every connection.

        A broker that has lost its data gets them back, but not what happened meanwhile: `resend-events` does that.
        """
        self._handlers.append(handler)

    def link_up(self, connection: amqp.Connection) -> None:
        try:
            with connection.channel() as channel:
                topology.declare(channel, self.container.service_name, self._handlers, self.container.config)
        except amqp.PreconditionFailed as exc:
            self._end(topology.TopologyMismatch(f"{exc.reply_text}: delete or rename the queue in the broker"))
            raise

    def declare_again(self) -> None:
        """Have the queues back that somebody has deleted, now and not at the next connection."""
        try:
            topology.declare_service(self.container.service_cls, self.container.config)
        except topology.TopologyMismatch as exc:
            self._end(exc)
        except (OSError, amqp.AMQPError) as exc:
            log.warning("the queues could not be declared: %s", exc)

    def _end(self, error: Exception) -> None:
        """End the container: a service that tried again for ever would run calls and answer none."""

        def fail() -> None:
            raise error

        self.container.spawn_managed_thread(fail, identifier="topology")

    def link_down(self) -> None:
        """Nothing of ours was on its way."""

    def link_returned(self, message: Any) -> None:
        """An event that nobody subscribes to is nobody's loss."""

    def link_blocked(self) -> None:
        """Senders find out for themselves."""

    def link_tick(self, connection: amqp.Connection) -> None:
        """Nothing to do."""

    @property
    def rpc_client(self) -> RpcClient:
        """For calls to other services; made on first use, before `start`."""
        if self._client is None:
            self._client = RpcClient(self.container.config, self.link, name=self.container.service_name)
        return self._client

    def start(self) -> None:
        # Without a broker the link says so in the log, and declares once there is one.
        with suppress(OSError, amqp.AMQPError):
            topology.declare_service(self.container.service_cls, self.container.config)
        self.link.start()

    def stop(self) -> None:
        self.link.stop()

    def kill(self) -> None:
        self.link.stop(0.1)

    def view(self, service: str, *, timeout: float, as_system: bool) -> ServiceView:
        """Return a client for another service, whose instances are counted from the start."""
        self.rpc_client.watch(service)
        return ServiceView(self.rpc_client, service, None, timeout, as_system)


def timeout_of(config: Any) -> float:
    """Return how many seconds a call to another service may take."""
    return float(config["RPC_TIMEOUT"])
