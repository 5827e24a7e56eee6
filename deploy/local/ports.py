"""Ports on this machine: who has them, and which ones are left."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterable

LOOPBACK = "127.0.0.1"

# Below the range from which systems take the ports of outgoing connections: there, a port that is free now may be
# somebody's source port a moment later.
RANGE = range(20_000, 32_000)

_handed_out: set[int] = set()


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether a server could listen on this port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        # Servers set this too: a port whose last connections still linger in TIME_WAIT is free for them.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(1)
        except OSError:
            return False
    return True


def answers(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether somebody accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def choose(wanted: Iterable[int], *, is_free: Callable[[int], bool] = is_free, tries: int = 500) -> int:
    """Return the first wanted port that is free, else any free one.

    A port is handed out once per process unless it is asked for by number, so that instances that are being prepared
    side by side do not get the same one before either listens.
    """
    for port in wanted:
        if is_free(port):
            _handed_out.add(port)
            return port
    for port in random.sample(RANGE, tries):
        if port not in _handed_out and is_free(port):
            _handed_out.add(port)
            return port
    raise RuntimeError(f"no free port found between {RANGE.start} and {RANGE.stop}")


def wait_until(condition: Callable[[], bool], timeout: float, interval: float = 0.05) -> bool:
    """Poll until the condition holds; False when the time is over."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval)
    return True
