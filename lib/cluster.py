"""The gateway's way to the services: Nameko's `ClusterRpcProxy`, made thread-safe and multiplexed.

Stock `ClusterRpcProxy` belongs to one thread, leaks per timeout, and is dead for ever after a call in flight lost its
broker. This one is made once per process (after fork) and shared by all threads; each HTTP request takes a cheap view
with its own context::

    cluster = Cluster(config, services=["users_svc"])
    cluster.start()
    cluster.view(context).users_svc.get_user(user_id="…")
    reply = cluster.view(context).users_svc.get_user.call_async(user_id="…")   # … and later reply.result()

``with Cluster(config) as rpc: rpc.users_svc.get_user(…)`` works as with the stock class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nameko.constants import AMQP_SSL_CONFIG_KEY, AMQP_URI_CONFIG_KEY, HEARTBEAT_CONFIG_KEY
from nameko.standalone.rpc import ClusterRpcProxy

from lib.context import CallContext
from lib.link import Link, Listener
from lib.rpc_client import RpcClient, ServiceView
from lib.wire import process_name

CONNECT_WITHIN = 5.0


class ClusterView:
    """All services, as one request sees them."""

    __slots__ = ("_client", "_context", "_timeout")

    def __init__(self, client: RpcClient, context: CallContext | None, timeout: float) -> None:
        self._client = client
        self._context = context
        self._timeout = timeout

    def __getattr__(self, service: str) -> ServiceView:
        if service.startswith("__"):
            raise AttributeError(service)
        return ServiceView(self._client, service, self._context, self._timeout)

    def __getitem__(self, service: str) -> ServiceView:
        return ServiceView(self._client, service, self._context, self._timeout)


class Cluster(ClusterRpcProxy):
    """One per process; see the module's text.

    :param config: Nameko's configuration
    :param name: what the broker's management UI shows: connections and the reply queue carry it
    :param services: whose instances are counted from the start; others are from their first call on
    :param timeout: seconds that a call may take unless its view says otherwise
    """

    def __init__(  # not the stock constructor: that one binds a listener that polls the caller's thread
        self, config: Mapping[str, Any], *, name: str = "gateway", services: Sequence[str] = (), timeout: float = 5.0
    ) -> None:
        self._timeout = timeout
        self._link = Link(
            config[AMQP_URI_CONFIG_KEY],
            name=process_name(name),
            heartbeat=config.get(HEARTBEAT_CONFIG_KEY, 10),
            ssl=config.get(AMQP_SSL_CONFIG_KEY),
        )
        self._client = RpcClient(config, self._link, name=name, services=services)
        self._proxy = ClusterView(self._client, None, timeout)

    def listen(self, listener: Listener) -> None:
        """Tell `listener` of the connection, too: what it declares and consumes shares it. Before `start`."""
        self._link.add(listener)

    def start(self) -> ClusterView:
        """Begin to connect; returns at once. Calls fail with `Unavailable` until the connection is there."""
        self._link.start()
        return self._proxy

    def stop(self) -> None:
        """Close the connection; calls in flight fail."""
        self._link.stop()

    def __enter__(self) -> ClusterView:
        proxy = self.start()
        self._link.wait_up(CONNECT_WITHIN)
        return proxy

    def view(self, context: CallContext, *, timeout: float | None = None) -> ClusterView:
        """Return the services as this request sees them: cheap, not to be shared between requests.

        :param context: says who acts, and carries the request's id
        :param timeout: seconds
        """
        return ClusterView(self._client, context, self._timeout if timeout is None else timeout)

    def wait_up(self, timeout: float) -> bool:
        """Wait for the first connection; False if there is none after `timeout` seconds."""
        return self._link.wait_up(timeout)

    @property
    def connected(self) -> bool:
        """True while there is a connection to the broker and it takes messages."""
        return self._link.connected and not self._link.blocked

    def consumers(self, service: str) -> int | None:
        """Return how many instances serve `service` now; None if that is not known yet."""
        return self._client.consumers(service)

    @property
    def in_flight(self) -> int:
        """How many calls are waiting for their answer."""
        return self._client.in_flight
