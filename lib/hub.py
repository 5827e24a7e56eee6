"""Eventlet's hub, which takes what happens in rounds while CPU-bound work stands in line.

Whenever the event loop wakes up, it takes a core from a thread that computes, and both find the caches full of what the
other has left there. As long as more is offloaded than there are threads for (`lib.offload`), that is what limits
everybody's throughput, and a few milliseconds are nothing beside the time in the line. So the loop then lets `ROUND` go
by before it deals with what has happened, or less if a timer is due before, and finds more to do at a time. Without a
line it deals with it at once. ``EVENTLET_HUB=epolls`` in the environment takes Eventlet's own hub instead.
"""

from __future__ import annotations

import os
import time
from typing import Any

from eventlet import hubs, patcher
from eventlet.hubs import epolls

from lib.offload import offload

#: seconds
ROUND = 0.005

_sleep = patcher.original("time").sleep


class Hub(epolls.Hub):
    is_available = staticmethod(epolls.is_available)

    def do_poll(self, seconds: float) -> Any:
        next_timer = time.monotonic() + seconds
        events = super().do_poll(seconds)
        if events and offload.has_line and (left := next_timer - time.monotonic()) > 0:
            _sleep(min(ROUND, left))
            # With what was there before: epoll tells what is ready, not what has become so.
            events = super().do_poll(0)
        return events


def use() -> None:
    """Have everything in this process wait on this hub, where there is epoll and nobody has chosen another."""
    if Hub.is_available() and "EVENTLET_HUB" not in os.environ:
        hubs.use_hub(Hub)
