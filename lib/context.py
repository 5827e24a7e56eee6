"""Who asks, for which request, until when: carried through every call, event and log line.

The context is a `contextvars` value, so it is private to a thread (gateway) or greenlet (services).
"""

from __future__ import annotations

import contextvars
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from lib.errors import Forbidden, Unauthenticated

# Header names as Nameko strips them: on the wire each is ``nameko.<name>``.
CORRELATION_ID = "correlation_id"
ACCESS_TOKEN = "access_token"  # noqa: S105  (a header's name)
ACTOR = "actor"
DEADLINE = "deadline"
TRACEPARENT = "traceparent"
LOCALE = "locale"
CLIENT_IP = "client_ip"
USER_AGENT = "user_agent"


class NotSignedIn(Unauthenticated):
    code = "unauthenticated"


class NotAllowed(Forbidden):
    code = "forbidden"


@dataclass(frozen=True)
class Actor:
    """Who acts. ``system`` is a trusted caller on the broker: an operator's shell, a service, a job."""

    kind: Literal["system", "anonymous", "account"]
    id: str | None = None
    roles: frozenset[str] = frozenset()
    session_id: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_system(self) -> bool:
        return self.kind == "system"

    @property
    def is_anonymous(self) -> bool:
        return self.kind == "anonymous"

    def has_role(self, *roles: str) -> bool:
        """True for the system actor and for an account that has one of `roles`."""
        return self.is_system or bool(self.roles.intersection(roles))


SYSTEM = Actor("system")
ANONYMOUS = Actor("anonymous")


@dataclass(frozen=True)
class CallContext:
    """What travels with one request.

    :param deadline: a `time.monotonic` moment after which nobody waits for the answer, or None
    :param access_token: the caller's token as it came, for the next service to verify; never logged
    :param client_ip: where the request came from, as far as the first process could tell; for records and limits only
    :param user_agent: what the client calls itself; for records only
    :param redelivered: the broker hands this request out again: whoever had it before was killed, or lost its broker
    :param background: nobody waits for the answer, and the work may be done again: an event
    """

    correlation_id: str
    actor: Actor = SYSTEM
    deadline: float | None = None
    access_token: str | None = field(default=None, repr=False)
    traceparent: str | None = None
    locale: str | None = None
    client_ip: str | None = None
    user_agent: str | None = None
    redelivered: bool = False
    background: bool = False

    def remaining(self, default: float) -> float:
        """Return the seconds left until the deadline, but at most `default`."""
        if self.deadline is None:
            return default
        return min(default, self.deadline - time.monotonic())

    def headers(self, *, timeout: float | None = None, as_system: bool = False) -> dict[str, Any]:
        """Return the context as primitive message headers, without Nameko's prefix.

        :param timeout: seconds after which the caller stops waiting; sent as a wall-clock moment in milliseconds
        :param as_system: leave out who acts, so that the next service sees the system actor
        """
        values: dict[str, Any] = {
            CORRELATION_ID: self.correlation_id,
            TRACEPARENT: self.traceparent,
            LOCALE: self.locale,
            CLIENT_IP: self.client_ip,
            USER_AGENT: self.user_agent,
        }
        if timeout is not None:
            values[DEADLINE] = int((time.time() + timeout) * 1000)
        if not as_system:
            if self.access_token is not None:
                values[ACCESS_TOKEN] = self.access_token
            elif not self.actor.is_system:
                # Also an account whose token is missing: without a word it would arrive as the system.
                values[ACTOR] = ANONYMOUS.kind
        return {name: value for name, value in values.items() if value is not None}


def new_correlation_id() -> str:
    return secrets.token_hex(16)


_current: contextvars.ContextVar[CallContext | None] = contextvars.ContextVar("call_context", default=None)


def current() -> CallContext:
    """Return the context of the running call; outside of any call, a fresh one of the system actor."""
    context = _current.get()
    if context is None:
        context = CallContext(correlation_id=new_correlation_id())
        _current.set(context)
    return context


def current_or_none() -> CallContext | None:
    return _current.get()


def in_background() -> bool:
    """Tell whether the running work is an event's."""
    context = _current.get()
    return context is not None and context.background


def enter(context: CallContext | None) -> None:
    """Make `context` the current one for the rest of this thread's or greenlet's work."""
    _current.set(context)


@contextmanager
def using(context: CallContext) -> Iterator[CallContext]:
    """Make `context` the current one inside the block."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)
