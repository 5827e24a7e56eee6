"""The RPC entrypoint: Nameko's, with the holes closed.

Wire-compatible with stock Nameko in both directions. What it adds, in the order in which a request meets it:

1. what cannot be decoded, has no ``reply_to``, names no method or fits no signature is answered where that is
   possible, counted, and never kills the service;
2. a request whose caller has stopped waiting is dropped;
3. the caller's token is verified and the method's policy asked (`lib.access`);
4. a request that the broker hands out for the second time runs only if its method says that this is harmless;
5. a `DomainError` becomes a `Fault`, anything unexpected an ``internal_error`` with an id for the log;
6. the reply is transient and unconfirmed: a caller who misses it asks again, or repeats with its key.
"""

from __future__ import annotations

import inspect
import logging
import secrets
import sys
import time
from functools import partial
from typing import Any

from nameko.constants import DEFAULT_SERIALIZER, SERIALIZER_CONFIG_KEY
from nameko.exceptions import (
    ContainerBeingKilled,
    IncorrectSignature,
    MalformedRequest,
    MethodNotFound,
    UnserializableValueError,
    serialize,
)
from nameko.rpc import Rpc as NamekoRpc
from nameko.rpc import RpcConsumer as NamekoRpcConsumer
from nameko.rpc import get_rpc_exchange

from lib import access, faultpoint, metrics
from lib.broker import Broker
from lib.caller import actor_without_keys, caller_of
from lib.container import call_context
from lib.context import DEADLINE
from lib.errors import OutcomeUnknown, Unavailable
from lib.faults import Fault
from lib.queue_consumer import QueueConsumer
from lib.refusals import refusal_of
from lib.rpc_bodies import Bodies

log = logging.getLogger(__name__)

TRANSIENT = 1
REPLY_WITHIN = 2.0
INTERRUPTED = "this request was interrupted; it may have happened: ask, or repeat it with its key"


class Expired(Exception):
    """Nobody waits for this call any more."""


class RpcConsumer(NamekoRpcConsumer):
    """Takes requests from ``rpc-<service>`` and sends the replies."""

    queue_consumer = QueueConsumer()
    broker = Broker()

    def setup(self) -> None:
        super().setup()
        self._exchange = get_rpc_exchange(self.container.config).name
        self._bodies = Bodies(self.container.config.get(SERIALIZER_CONFIG_KEY, DEFAULT_SERIALIZER))
        self._providers_by_key: dict[str, Any] = {}

    def get_provider_for_method(self, routing_key: str) -> Any:
        provider = self._providers_by_key.get(routing_key)
        if provider is None:
            provider = self._providers_by_key[routing_key] = super().get_provider_for_method(routing_key)
        return provider

    def handle_message(self, body: Any, message: Any) -> None:
        try:
            provider = self.get_provider_for_method(message.delivery_info["routing_key"])
            provider.handle_message(body, message)
        except Expired:
            self._reject(message, "expired")
        except Exception as exc:
            if isinstance(exc, MethodNotFound):
                self._count("unknown_method")
            elif isinstance(exc, MalformedRequest):
                self._count("malformed")
            elif isinstance(exc, IncorrectSignature):
                self._count("wrong_arguments")
            self.handle_result(message, None, sys.exc_info())

    def handle_undecodable(self, message: Any, error: Exception) -> None:
        """Answer a request whose body cannot be read."""
        log.warning("an undecodable request: %s", type(error).__name__)
        self._count("undecodable")
        self.handle_result(message, None, (MalformedRequest, MalformedRequest("the body cannot be read"), None))

    def _reject(self, message: Any, reason: str) -> None:
        self._count(reason)
        self.queue_consumer.ack_message(message)

    def _count(self, reason: str) -> None:
        metrics.REJECTED.labels(self.container.service_name, reason).inc()

    def handle_result(self, message: Any, result: Any, exc_info: Any) -> tuple[Any, Any]:
        """Send the reply and acknowledge the request; raises nothing, or it would take the whole process down."""
        faultpoint.reach("rpc.before_reply", message.delivery_info["routing_key"].partition(".")[2])
        try:
            result, exc_info = self._reply(message, result, exc_info)
        except Unavailable as exc:
            metrics.REPLIES_LOST.labels(self.container.service_name).inc()
            log.warning("a reply could not be sent: %s", exc)
        except Exception:
            metrics.REPLIES_LOST.labels(self.container.service_name).inc()
            log.exception("a reply could not be made")
        finally:
            self.queue_consumer.ack_message(message)
        return result, exc_info

    def _reply(self, message: Any, result: Any, exc_info: Any) -> tuple[Any, Any]:
        reply_to = message.properties.get("reply_to")
        if not reply_to:
            self._count("no_reply_to")
            return result, exc_info
        if not message.properties.get("correlation_id"):
            self._count("no_correlation_id")
        again = bool(message.delivery_info.get("redelivered"))
        error = self._error(exc_info[1], again=again) if exc_info else None
        if error is not None:
            result = None
        try:
            content_type, encoding, body = self._bodies.encoded({"result": result, "error": error})
        except Exception:
            self._count("unserializable")
            log.exception("a result cannot be serialized")
            unserializable = UnserializableValueError("")
            exc_info = (UnserializableValueError, unserializable, None)
            payload = {"result": None, "error": serialize(unserializable)}
            content_type, encoding, body = self._bodies.encoded(payload)
        properties = {
            "content_type": content_type,
            "content_encoding": encoding,
            "delivery_mode": TRANSIENT,
            "correlation_id": message.properties.get("correlation_id") or "",
        }
        # The link may be between two connections; the caller may still be waiting.
        give_up = time.monotonic() + REPLY_WITHIN
        while True:
            try:
                self.broker.link.publish(
                    exchange=self._exchange, routing_key=reply_to, body=body, properties=properties
                )
            except Unavailable:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.05)
            else:
                return result, exc_info

    def _error(self, error: BaseException, *, again: bool) -> dict[str, Any]:
        told = refusal_of(error)
        if again and isinstance(told, Fault) and told.kind == Unavailable.kind:
            # This run did nothing; the one before it may have.
            told = Fault(told.kind, OutcomeUnknown.code, INTERRUPTED, told.details)
        if told is None:
            error_id = secrets.token_hex(8)
            log.error("unexpected error %s", error_id, exc_info=error)
            told = Fault("internal", "internal_error", "an internal error", {"error_id": error_id})
        data: dict[str, Any] = serialize(told)
        if isinstance(told, Fault):
            # Nameko makes strings of what stands inside a dict; ours is JSON already, and a False must stay one.
            data["exc_args"] = list(told.args)
        return data


class Rpc(NamekoRpc):
    """``@rpc(allow=owner("user_id"), idempotent=True)``

    :param allow: who may call it (`lib.access`); the default lets nobody in who comes with a token
    :param idempotent: what may run again when it lost a deadlock, or when the broker hands a request out twice (the
        first worker was killed after its commit and before its reply, or a drain ended early): True for methods whose
        second run changes nothing and gives the same answer; the name of an argument for methods that keep that
        promise when it is given (a request key). Otherwise the second delivery is answered `outcome_unknown`.
    :param sensitive_arguments: names of arguments that no log may show
    """

    rpc_consumer = RpcConsumer()

    def __init__(
        self, *args: Any, allow: access.Policy = access.system, idempotent: bool | str = False, **kwargs: Any
    ) -> None:
        self.allow = allow
        self.idempotent = idempotent
        super().__init__(*args, **kwargs)

    def setup(self) -> None:
        super().setup()
        parameters = list(inspect.signature(getattr(self.container.service_cls, self.method_name)).parameters.values())
        named = [each for each in parameters[1:] if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
        self._known = frozenset(each.name for each in named)
        self._required = frozenset(each.name for each in named if each.default is each.empty)
        self._caller = caller_of(self.container)

    def handle_message(self, body: Any, message: Any) -> None:
        if not isinstance(body, dict) or not isinstance(body.get("args"), list | tuple):
            raise MalformedRequest("Message missing `args` or `kwargs`")
        args, kwargs = body["args"], body.get("kwargs")
        if not isinstance(kwargs, dict):
            raise MalformedRequest("Message missing `args` or `kwargs`")
        headers = self.unpack_message_headers(message)
        deadline = headers.get(DEADLINE)
        if isinstance(deadline, int | float) and deadline <= time.time() * 1000:
            raise Expired
        if args or not self._required <= kwargs.keys() <= self._known:
            # Nameko's check, which also says what is wrong; it costs more than many a method.
            self.check_signature(args, kwargs)
        actor, token = self._caller.actor(headers) if self._caller is not None else actor_without_keys(headers)
        arguments = self._named(args, kwargs)
        self.allow(actor, arguments)
        redelivered, repeatable = bool(message.delivery_info.get("redelivered")), self._may_run_again(arguments)
        if redelivered and not repeatable:
            raise OutcomeUnknown(INTERRUPTED, retry_after=1)
        call = call_context(headers, actor=actor, access_token=token, redelivered=redelivered)
        try:
            self.container.spawn_worker(
                self,
                args,
                kwargs,
                context_data=call.headers(),
                handle_result=partial(self.handle_result, message),
                call=call,
                repeatable=repeatable,
            )
        except ContainerBeingKilled:
            self.rpc_consumer.requeue_message(message)

    def _may_run_again(self, arguments: dict[str, Any]) -> bool:
        if isinstance(self.idempotent, str):
            return arguments.get(self.idempotent) is not None
        return self.idempotent

    def _named(self, args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments by name; the signature has been checked."""
        if not args:
            return kwargs
        method = getattr(self.container.service_cls, self.method_name)
        names = method.__code__.co_varnames[1 : method.__code__.co_argcount]
        return {**dict(zip(names, args, strict=False)), **kwargs}


rpc = Rpc.decorator
