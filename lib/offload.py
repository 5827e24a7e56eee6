"""CPU-bound work off the hub.

Eventlet runs every greenlet of a service on one thread: a password hash on it stops heartbeats and all other calls.
`offload` runs a function in a bounded pool of native threads instead and lets the hub go on. In a process that is not
monkey-patched (gateway, command line, tests) it just calls the function.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# More threads than cores only cost memory (19 MiB a hash). Eventlet reads this once, when its pool starts.
os.environ.setdefault("EVENTLET_THREADPOOL_SIZE", str(max(2, os.cpu_count() or 2)))

from eventlet import patcher, tpool  # noqa: E402


def offload(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return ``function(*args, **kwargs)``, computed off the hub.

    `function` must be pure: anything in it that logs, takes a lock or touches a socket deadlocks the process, because
    Eventlet's patched primitives belong to the hub's thread.
    """
    if patcher.is_monkey_patched("thread"):
        return tpool.execute(function, *args, **kwargs)  # type: ignore[no-any-return]
    return function(*args, **kwargs)
