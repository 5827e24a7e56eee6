"""One log line for each request.

It has the form of all other lines (`lib.logs`), and is written past their machinery: that looks through every value
for secrets, which is most of the cost of a small request. There is none to be found here: a method that we know, a
route's template, numbers, ids that were checked, and an account's id from a verified token.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from gateway.metrics import known_method
from lib.context import CallContext

_encode = json.JSONEncoder(separators=(",", ":")).encode


class AccessLog:
    """Writes nothing; the base of those that do."""

    def write(self, call: CallContext, method: str, route: str | None, status: int, seconds: float) -> None:
        """Note that a request has been answered.

        :param route: the route's template; None if the path has no route
        """


class StreamAccessLog(AccessLog):
    """Writes lines to a stream.

    :param fmt: ``json`` or ``console``
    :param stream: standard output, unless a test says otherwise
    """

    def __init__(self, fmt: str, stream: TextIO | None = None) -> None:
        self._render = _json if fmt == "json" else _console
        self._stream = sys.stdout if stream is None else stream

    def write(self, call: CallContext, method: str, route: str | None, status: int, seconds: float) -> None:
        values = {"method": known_method(method), "route": route, "status": status, "ms": round(seconds * 1000, 1)}
        if call.actor.id is not None:
            values["actor"] = call.actor.id
        if call.traceparent is not None:
            values["traceparent"] = call.traceparent
        # One call with the whole line, so that the lines of several threads do not mix.
        self._stream.write(self._render(call.correlation_id, values))
        self._stream.flush()


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _json(request_id: str, values: dict[str, Any]) -> str:
    line = {
        **values,
        "event": "request",
        "level": "info",
        "logger": "gateway.access",
        "timestamp": _now(),
        "service": "gateway",
        "request_id": request_id,
    }
    return f"{_encode(line)}\n"


def _console(request_id: str, values: dict[str, Any]) -> str:
    told = " ".join(f"{name}={_encode(value)}" for name, value in values.items())
    return f"{_now()} [info     ] request {told} request_id={request_id}\n"
