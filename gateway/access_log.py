"""One log line for each request.

It has the form of all other lines (`lib.logs`), and is written past their machinery: that looks through every value
for secrets, which is most of the cost of a small request. There is none to be found here: a method that we know, a
route's template, numbers, ids that were checked, and an account's id from a verified token.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

from gateway.metrics import known_method
from lib.context import CallContext

_encode = json.JSONEncoder(separators=(",", ":")).encode
#: of methods, templates of routes and the like: the same few again and again
_encode_known = lru_cache(maxsize=1024)(_encode)


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


_KNOWN = frozenset({"method", "route", "status"})


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _json(request_id: str, values: dict[str, Any]) -> str:
    """Write the line's few values out: the encoder's own preparations cost as much as all of them."""
    told = "".join(
        f'"{name}":{_encode_known(value) if name in _KNOWN else _encode(value)},' for name, value in values.items()
    )
    return (
        f'{{{told}"event":"request","level":"info","logger":"gateway.access","timestamp":"{_now()}",'
        f'"service":"gateway","request_id":{_encode(request_id)}}}\n'
    )


def _console(request_id: str, values: dict[str, Any]) -> str:
    told = " ".join(f"{name}={_encode(value)}" for name, value in values.items())
    return f"{_now()} [info     ] request {told} request_id={request_id}\n"
