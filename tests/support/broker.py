"""Breaking the broker in a controlled way, and steady work that goes on meanwhile."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from deploy.local.rabbitmq import RabbitMQ
from tests.support.waiting import eventually

PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
ALARMS = {
    "memory": (("set_vm_memory_high_watermark", "0.0000001"), ("set_vm_memory_high_watermark", "0.4")),
    "disk": (("set_disk_free_limit", "1000GiB"), ("set_disk_free_limit", "50MB")),
}


@dataclass(frozen=True)
class Attempt:
    """One piece of work; times are monotonic."""

    name: str
    outcome: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Load:
    """Does a piece of work again and again, in some threads, until the ``with`` block ends.

    :param prefix: of the names of the pieces, which are all different
    :param act: does one piece by its name and says how it went; what it raises comes out of the ``with`` block
    :param pause: seconds between two pieces of one thread, so that failing fast does not become a busy loop
    """

    def __init__(self, prefix: str, act: Callable[[str], str], *, threads: int = 3, pause: float = 0.02) -> None:
        self.attempts: list[Attempt] = []
        self._names = (f"{prefix}-{number}" for number in itertools.count())
        self._act, self._threads, self._pause = act, threads, pause
        self._ending = threading.Event()
        self._naming = threading.Lock()

    def __enter__(self) -> Load:
        self._pool = ThreadPoolExecutor(self._threads)
        self._workers = [self._pool.submit(self._work) for _ in range(self._threads)]
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ending.set()
        self._pool.shutdown(wait=True)
        for worker in self._workers:
            worker.result()

    def _work(self) -> None:
        while not self._ending.wait(self._pause):
            with self._naming:
                name = next(self._names)
            began = time.monotonic()
            outcome = self._act(name)
            self.attempts.append(Attempt(name, outcome, began, time.monotonic()))

    def with_outcome(self, outcome: str) -> list[Attempt]:
        return [each for each in list(self.attempts) if each.outcome == outcome]

    def failed(self) -> list[Attempt]:
        return [each for each in list(self.attempts) if each.outcome != "ok"]

    def first_ok_after(self, moment: float, *, within: float = 30.0) -> float:
        """Wait for a piece that was begun after `moment` and went well; return when it had ended."""

        def ends() -> list[float]:
            return [each.ended for each in self.with_outcome("ok") if each.began > moment]

        return min(eventually(ends, within=within))


@contextmanager
def alarm(rabbitmq: RabbitMQ, kind: str) -> Iterator[None]:
    """Have the broker take no messages, for want of memory or of disk space."""
    on, off = ALARMS[kind]
    rabbitmq.ctl(*on)
    try:
        yield
    finally:
        rabbitmq.ctl(*off)


def greets(port: int) -> bool:
    """Tell whether a broker accepts AMQP connections there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(PROTOCOL_HEADER)
            return connection.recv(1) == b"\x01"
    except OSError:
        return False


def started(rabbitmq: RabbitMQ, start: Callable[[], object]) -> float:
    """Start the broker with `start`; return the moment from which it accepted connections.

    That is earlier than the moment at which `start` returns, which also waits for the management API.
    """

    def accepting() -> float:
        eventually(lambda: greets(rabbitmq.ports["amqp"]), within=90, every=0.05)
        return time.monotonic()

    with ThreadPoolExecutor(1) as pool:
        moment = pool.submit(accepting)
        start()
        return moment.result()
