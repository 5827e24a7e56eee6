"""What all requests of one application share."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event
from typing import Any, Protocol, cast

from flask import current_app

from gateway.admission import Admission
from gateway.counters import Counters
from gateway.revocations import Revocations
from gateway.settings import Settings
from gateway.streams import Streams
from lib.context import CallContext
from lib.link import Listener
from lib.tokens import AccessTokenVerifier

EXTENSION = "gateway"


class Cluster(Protocol):
    """The part of `lib.cluster.Cluster` that the gateway uses."""

    @property
    def connected(self) -> bool: ...

    def consumers(self, service: str) -> int | None: ...

    def listen(self, listener: Listener) -> None: ...

    def view(self, context: CallContext, *, timeout: float | None = None) -> Any: ...


class Pingable(Protocol):
    """The part of a Redis client that the health check uses."""

    def ping(self) -> Any: ...


@dataclass(frozen=True)
class Gateway:
    """Made by `create_app`, one per process.

    :param counters: None if limits are off
    :param draining: set when the process is about to end
    """

    settings: Settings
    cluster: Cluster
    tokens: AccessTokenVerifier
    revocations: Revocations
    redis: Pingable
    counters: Counters | None
    admission: Admission
    streams: Streams
    draining: Event = field(default_factory=Event)


def gateway() -> Gateway:
    """Return the running application's record."""
    return cast(Gateway, current_app.extensions[EXTENSION])
