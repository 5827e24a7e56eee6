"""RPC calls over one `Link`: many at a time, each with a deadline, each with its own answer.

Wire-compatible with stock Nameko: requests go to the exchange ``nameko-rpc`` with the key ``<service>.<method>``,
replies come back by correlation id. What differs from stock:

- the deadline is a wall of real time, and nothing stays behind after it: a late reply finds nobody and is dropped;
- a request carries its deadline (a header, and the message's TTL) and is transient: nobody runs it for a caller who
  has gone;
- requests are not confirmed: the reply is the confirmation, and the broker returns what has no queue (``mandatory``);
- the connection's end fails every call in flight at once, with `CallInterrupted`: it may have happened;
- a durable queue does not tell whether anybody serves it, so the number of consumers is asked for about twice a second.
"""

from __future__ import annotations

import itertools
import secrets
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import amqp
from amqp.exceptions import ChannelError
from kombu.exceptions import DecodeError
from nameko.constants import DEFAULT_SERIALIZER, HEADER_PREFIX, SERIALIZER_CONFIG_KEY
from nameko.exceptions import RpcTimeout, deserialize
from nameko.rpc import get_rpc_exchange

from lib import faults  # noqa: F401  (registers Fault for deserialize)
from lib.context import CallContext, current
from lib.errors import OutcomeUnknown, Unavailable
from lib.link import Link
from lib.rpc_bodies import Bodies

POLL_EVERY = 0.5
SWEEP_EVERY = 5.0
TRANSIENT = 1


class ServiceUnavailable(Unavailable):
    """Nobody serves these calls now; nothing was done."""

    code = "service_unavailable"


class CallInterrupted(OutcomeUnknown):
    """The connection broke while the call was on its way."""

    code = "call_interrupted"


class PendingCall:
    """A call on its way; `result` waits for its answer (Nameko's name for this is RpcReply)."""

    __slots__ = ("_client", "_correlation_id", "_lock", "body", "deadline", "error", "service", "timeout")

    def __init__(self, client: RpcClient, correlation_id: str, service: str, timeout: float) -> None:
        self._client = client
        self._correlation_id = correlation_id
        self.timeout = timeout
        self.deadline = time.monotonic() + timeout
        # The cheapest thing that another thread can end a wait with.
        self._lock = threading.Lock()
        self._lock.acquire()
        self.service = service
        self.body: Mapping[str, Any] | None = None
        self.error: Exception | None = None

    def settle(self, body: Mapping[str, Any] | None = None, error: Exception | None = None) -> None:
        """Called once, by whoever took this call out of the client's table."""
        self.body, self.error = body, error
        self._lock.release()

    def result(self) -> Any:
        """Return the method's result.

        :raises RpcTimeout: no answer until the deadline; it may have happened
        :raises lib.faults.Fault: the service refused
        :raises ServiceUnavailable, CallInterrupted: see there
        """
        if self.body is None and self.error is None:
            answered = self._lock.acquire(timeout=max(0.0, self.deadline - time.monotonic()))
            if not answered and self._client.forget(self._correlation_id):
                self.error = RpcTimeout(self.timeout)
            elif not answered:
                self._lock.acquire()  # Being settled this very moment.
        if self.error is not None:
            raise self.error
        assert self.body is not None  # noqa: S101  (for the type checker)
        if self.body.get("error"):
            raise deserialize(self.body["error"])
        return self.body.get("result")


class RpcClient:
    """Makes calls over a link; thread-safe, and safe for greenlets.

    :param config: Nameko's configuration (``rpc_exchange``, ``serializer``)
    :param link: not started yet
    :param name: ends up in the reply queue's name: ``rpc.reply-<name>-<host>-<random>``
    :param services: whose consumers to count from the start
    """

    def __init__(self, config: Mapping[str, Any], link: Link, *, name: str, services: Sequence[str] = ()) -> None:
        self._link = link
        self._name = name
        self._exchange = get_rpc_exchange(config).name
        self._bodies = Bodies(config.get(SERIALIZER_CONFIG_KEY, DEFAULT_SERIALIZER))
        self._pending: dict[str, PendingCall] = {}
        self._consumers: dict[str, int | None] = dict.fromkeys(services)
        self._reply_to = ""
        self._prefix, self._numbers = secrets.token_hex(12), itertools.count()
        self._asking: amqp.Channel | None = None
        self._next_poll = self._next_sweep = 0.0
        link.add(self)

    def watch(self, service: str) -> None:
        """Count the instances of `service` from now on, so that the first call knows already."""
        self._consumers.setdefault(service, None)

    # --- calling ---

    def call(
        self,
        service: str,
        method: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        context: CallContext,
        timeout: float,
        as_system: bool = False,
    ) -> PendingCall:
        """Send a request and return the call.

        :param timeout: seconds from now until nobody waits any more
        """
        count = self._consumers.setdefault(service, None)
        if count == 0 and self._link.connected:
            raise ServiceUnavailable(f"{service} is not running", retry_after=1)
        correlation_id = f"{self._prefix}{next(self._numbers):x}"
        content_type, encoding, body = self._bodies.encoded({"args": args, "kwargs": kwargs})
        headers = {
            f"{HEADER_PREFIX}.{name}": value
            for name, value in context.headers(timeout=timeout, as_system=as_system).items()
        }
        call = self._pending[correlation_id] = PendingCall(self, correlation_id, service, timeout)
        reply_to = self._reply_to
        try:
            self._link.publish(
                exchange=self._exchange,
                routing_key=f"{service}.{method}",
                body=body,
                mandatory=True,
                timeout=timeout,
                properties={
                    "content_type": content_type,
                    "content_encoding": encoding,
                    "reply_to": reply_to,
                    "correlation_id": correlation_id,
                    "delivery_mode": TRANSIENT,
                    "expiration": str(max(1, int(timeout * 1000))),
                    "application_headers": headers,
                },
            )
        except BaseException:
            self.forget(correlation_id)
            raise
        if reply_to != self._reply_to and self.forget(correlation_id):
            # Sent over a new connection, with the queue of the old one: the answer would find nobody.
            raise CallInterrupted("the connection to the broker was lost; it may have happened", retry_after=1)
        return call

    def forget(self, correlation_id: str) -> bool:
        """Stop waiting for a call; False if its answer is just being handed over."""
        return self._pending.pop(correlation_id, None) is not None

    def consumers(self, service: str) -> int | None:
        """Return how many instances serve `service` now; None if that is not known yet."""
        return self._consumers.setdefault(service, None) if self._link.connected else None

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    # --- what the link tells, in the reader's thread ---

    def link_up(self, connection: amqp.Connection) -> None:
        channel = connection.channel()
        token = secrets.token_hex(4)
        queue = f"rpc.reply-{self._name}-{socket.gethostname()}-{token}"
        self._reply_to = token
        channel.exchange_declare(self._exchange, "topic", durable=True, auto_delete=False)
        # Gone with the connection: its calls are failed at that moment, so no late reply is worth keeping.
        channel.queue_declare(
            queue, exclusive=True, auto_delete=True, durable=False, arguments={"x-queue-type": "classic"}
        )
        channel.queue_bind(queue, self._exchange, token)
        channel.basic_consume(queue, no_ack=True, callback=self._on_reply)
        self._asking, self._next_poll = None, 0.0
        self._poll(connection)

    def link_down(self) -> None:
        self._asking = None
        for service in list(self._consumers):
            self._consumers[service] = None
        self._fail_all("the connection to the broker was lost; it may have happened", retry_after=1)

    def link_blocked(self) -> None:
        self._fail_all("the broker takes no messages for now; it may have happened", retry_after=5)

    def link_returned(self, message: Any) -> None:
        call = self._pending.pop(message.properties.get("correlation_id", ""), None)
        if call is not None:
            self._consumers[call.service] = 0
            call.settle(error=ServiceUnavailable(f"{call.service} is not running", retry_after=1))

    def link_tick(self, connection: amqp.Connection) -> None:
        if time.monotonic() >= self._next_sweep:
            self._sweep()
        if time.monotonic() >= self._next_poll and not self._link.blocked:
            self._poll(connection)

    def _fail_all(self, reason: str, *, retry_after: int) -> None:
        for correlation_id in list(self._pending):
            call = self._pending.pop(correlation_id, None)
            if call is not None:
                call.settle(error=CallInterrupted(reason, retry_after=retry_after))

    def _sweep(self) -> None:
        """Forget calls that are over and whose result nobody has asked for."""
        now = time.monotonic()
        self._next_sweep = now + SWEEP_EVERY
        for correlation_id, call in list(self._pending.items()):
            if call.deadline + SWEEP_EVERY < now and self.forget(correlation_id):
                call.settle(error=RpcTimeout(call.timeout))

    def _on_reply(self, message: amqp.Message) -> None:
        call = self._pending.pop(message.properties.get("correlation_id", ""), None)
        if call is None:
            return
        try:
            body = self._bodies.decoded(message)
            if not isinstance(body, dict):
                raise DecodeError("not a mapping")
        except Exception:
            call.settle(error=OutcomeUnknown("the answer cannot be read"))
        else:
            call.settle(body=body)

    def _poll(self, connection: amqp.Connection) -> None:
        self._next_poll = time.monotonic() + POLL_EVERY
        for service in list(self._consumers):
            if self._asking is None:
                self._asking = connection.channel()
            try:
                self._consumers[service] = self._asking.queue_declare(f"rpc-{service}", passive=True).consumer_count
            except ChannelError:
                # No such queue: the service has never run here. The broker has closed the channel, and py-amqp has
                # opened it anew.
                self._consumers[service] = 0


class ServiceView:
    """``view.users_svc``: each attribute is a method to call."""

    __slots__ = ("_as_system", "_client", "_context", "_service", "_timeout")

    def __init__(
        self, client: RpcClient, service: str, context: CallContext | None, timeout: float, as_system: bool = False
    ) -> None:
        self._client = client
        self._service = service
        self._context = context
        self._timeout = timeout
        self._as_system = as_system

    def __getattr__(self, method: str) -> MethodCall:
        if method.startswith("__"):
            raise AttributeError(method)
        return MethodCall(self, method)


class MethodCall:
    """``method(…)`` waits for the result, ``method.call_async(…).result()`` does it later."""

    __slots__ = ("_method", "_view")

    def __init__(self, view: ServiceView, method: str) -> None:
        self._view = view
        self._method = method

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.call_async(*args, **kwargs).result()

    def call_async(self, *args: Any, **kwargs: Any) -> PendingCall:
        view = self._view
        context = view._context or current()
        timeout = context.remaining(view._timeout)
        if timeout <= 0:
            raise RpcTimeout(0)
        return view._client.call(
            view._service, self._method, args, kwargs, context=context, timeout=timeout, as_system=view._as_system
        )
