"""The gateway's way to the services, without services.

It has the surface of `lib.cluster.Cluster`, and knows the real services: a method that is no RPC method of theirs, or
an argument that it does not have, is a mistake of the gateway, as is a value that JSON cannot carry. The methods'
policies are asked, too, so that a gateway that forgets to say who acts is refused here as it would be there.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from lib.context import CallContext
from lib.errors import DomainError
from lib.faults import Fault
from lib.link import Listener

SERVICES = {
    "auth_svc": ("auth_svc.presentation.service", "AuthService"),
    "users_svc": ("users_svc.presentation.service", "UsersService"),
    "payments_svc": ("payments_svc.presentation.service", "PaymentsService"),
}


class WrongCall(AssertionError):
    """The gateway called what is not there."""


@dataclass(frozen=True)
class Call:
    """One call that the gateway made."""

    service: str
    method: str
    arguments: Mapping[str, Any]
    context: CallContext
    timeout: float | None


@cache
def service_class(service: str) -> type:
    if service not in SERVICES:
        raise WrongCall(f"there is no service {service}")
    module, name = SERVICES[service]
    found: type = getattr(import_module(module), name)
    return found


def rpc_method(service: str, method: str) -> tuple[Any, Any]:
    """Return the method's function and its RPC entrypoint."""
    function = getattr(service_class(service), method, None)
    for entrypoint in getattr(function, "nameko_entrypoints", ()):
        if hasattr(entrypoint, "allow"):
            return function, entrypoint
    raise WrongCall(f"{service} has no RPC method {method}")


class FakeCluster:
    """Answers as it is told to.

    ``cluster.answers["auth_svc.login"] = …`` sets a result, an exception to raise, or a function of the arguments.
    """

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self.reset()

    def reset(self) -> None:
        """Forget all that a test has told it."""
        self.connected = True
        self.instances: dict[str, int | None] = dict.fromkeys(SERVICES, 1)
        self.answers: dict[str, Any] = {}
        self.calls: list[Call] = []
        self.mistakes: list[WrongCall] = []

    def start(self) -> None:
        self.connected = True

    def stop(self) -> None:
        self.connected = False

    def listen(self, listener: Listener) -> None:
        self.listeners.append(listener)

    def consumers(self, service: str) -> int | None:
        return self.instances[service]

    def view(self, context: CallContext, *, timeout: float | None = None) -> FakeView:
        return FakeView(self, context, timeout)

    def called(self, method: str) -> list[Mapping[str, Any]]:
        """Return the arguments of each call of ``service.method``."""
        return [call.arguments for call in self.calls if f"{call.service}.{call.method}" == method]

    def call(self, call: Call) -> Any:
        try:
            allow = _checked(call)
        except WrongCall as mistake:
            self.mistakes.append(mistake)
            raise
        self.calls.append(call)
        try:
            allow(call.context.actor, call.arguments)
        except DomainError as refusal:
            raise Fault.of(refusal) from refusal
        name = f"{call.service}.{call.method}"
        if name not in self.answers:
            mistake = WrongCall(f"nobody said what {name} answers")
            self.mistakes.append(mistake)
            raise mistake
        answer = self.answers[name]
        if callable(answer):
            answer = answer(**call.arguments)
        if isinstance(answer, Exception):
            raise answer
        return json.loads(json.dumps(answer))


def _checked(call: Call) -> Any:
    function, entrypoint = rpc_method(call.service, call.method)
    try:
        inspect.signature(function).bind(None, **call.arguments)
    except TypeError as exc:
        raise WrongCall(f"{call.service}.{call.method}: {exc}") from exc
    try:
        json.dumps(dict(call.arguments), allow_nan=False).encode()
    except (TypeError, ValueError) as exc:
        raise WrongCall(f"{call.service}.{call.method}: {exc}") from exc
    return entrypoint.allow


@dataclass(frozen=True)
class FakeView:
    """The services, as one request sees them."""

    cluster: FakeCluster
    context: CallContext
    timeout: float | None

    def __getattr__(self, service: str) -> FakeService:
        return FakeService(self, service)


@dataclass(frozen=True)
class FakeService:
    view: FakeView
    service: str

    def __getattr__(self, method: str) -> FakeMethod:
        return FakeMethod(self.view, self.service, method)


@dataclass(frozen=True)
class FakeMethod:
    view: FakeView
    service: str
    method: str

    def __call__(self, **arguments: Any) -> Any:
        call = Call(self.service, self.method, arguments, self.view.context, self.view.timeout)
        return self.view.cluster.call(call)

    def call_async(self, **arguments: Any) -> FakeReply:
        return FakeReply(self, arguments)


@dataclass(frozen=True)
class FakeReply:
    made: FakeMethod
    arguments: Mapping[str, Any]

    def result(self) -> Any:
        return self.made(**self.arguments)
