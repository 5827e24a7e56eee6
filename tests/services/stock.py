"""A stock Nameko service, as Nameko's documentation shows one, started with ``nameko run``; `lib` is unknown to it."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from nameko.events import EventDispatcher, event_handler
from nameko.exceptions import RemoteError
from nameko.rpc import RpcProxy, rpc


class StockService:
    name = "stock_svc"
    probe = RpcProxy("probe_svc")
    dispatch = EventDispatcher()
    events: ClassVar[list[Any]] = []

    @rpc
    def echo(self, value=None):
        return value

    @rpc
    def fail(self):
        raise ValueError("stock says no")

    @rpc
    def unserializable(self):
        return object()

    @rpc
    def sleep(self, seconds):
        time.sleep(seconds)
        return seconds

    @rpc
    def ask_probe(self, method, *args, **kwargs):
        """Call the other service, and tell what came of it."""
        try:
            return {"result": getattr(self.probe, method)(*args, **kwargs)}
        except RemoteError as exc:
            return {"error": exc.exc_type, "value": str(exc.value)}
        except Exception as exc:
            return {"error": type(exc).__name__, "value": str(exc)}

    @rpc
    def emit(self, type_, data):
        self.dispatch(type_, data)

    @rpc
    def seen(self):
        return self.events

    @event_handler("probe_svc", "thing.written")
    def on_written(self, event):
        self.events.append(event)
