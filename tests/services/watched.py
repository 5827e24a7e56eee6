"""``python -m tests.services.watched auth_svc``: as `lib.runner`, with a watch on the hub.

The watch is a greenlet that sleeps 10 ms again and again; by how much it comes late is how long nobody else could run:
no heartbeat, no other call. It writes one line for each turn into the file named by ``HUB_WATCH``: the moment
(CLOCK_MONOTONIC), the milliseconds of lateness, and how many of them the hub's thread stood ready and the kernel ran
somebody else. Those are no blocking: on a machine that is busy with other processes everybody is late.

As a control the hub can be blocked for `PLANTED` seconds: a file ``<HUB_WATCH>.sleep`` or ``….compute`` says how.
"""

if __name__ == "__main__":
    # First of all, as lib.runner does and for the same reason; but not where a test only wants the constants.
    from lib import runner  # isort: skip

import logging
import os
import sys
import time
from pathlib import Path

import eventlet
from eventlet import patcher

EVERY = 0.01
PLANTED = 0.2


def _waiting_for_a_core() -> float:
    """Return how many seconds the hub's thread, the process's first, was ready to run and did not; 0 if unknown."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def watch(file: Path) -> None:
    with file.open("a", buffering=1) as out:
        while True:
            due, waited = time.monotonic() + EVERY, _waiting_for_a_core()
            eventlet.sleep(EVERY)
            now = time.monotonic()
            out.write(f"{now:.6f} {(now - due) * 1000:.3f} {(_waiting_for_a_core() - waited) * 1000:.3f}\n")


def plant(file: Path) -> None:
    sleeping, computing = file.with_suffix(".sleep"), file.with_suffix(".compute")
    while True:
        eventlet.sleep(0.05)
        if sleeping.exists():
            sleeping.unlink()
            patcher.original("time").sleep(PLANTED)
        elif computing.exists():
            computing.unlink()
            end = time.thread_time() + PLANTED
            while time.thread_time() < end:
                pass


if __name__ == "__main__":
    eventlet.spawn(watch, Path(os.environ["HUB_WATCH"]))
    eventlet.spawn(plant, Path(os.environ["HUB_WATCH"]))
    code = runner.main(sys.argv[1:])
    logging.shutdown()
    os._exit(code)
