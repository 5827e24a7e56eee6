"""What RabbitMQ, PostgreSQL and Redis have in common as parts of a private infrastructure."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import ClassVar

from deploy.local.console import LocalError, tail
from deploy.local.environment import FOREIGN
from deploy.local.processes import Daemon


class Part:
    """One server program with its ports, data folder, log and pid file under the infrastructure's root."""

    name: ClassVar[str]
    title: ClassVar[str]
    # The ports this part needs, with the standard number, or None where any free one does.
    standard_ports: ClassVar[Mapping[str, int | None]]

    start_timeout: ClassVar[float] = 60
    stop_timeout: ClassVar[float] = 30
    stop_signal: ClassVar[int]

    def __init__(self, root: Path, ports: MutableMapping[str, int], cancelled: threading.Event) -> None:
        self.home = root / self.name
        self.log = root / "log" / f"{self.name}.log"
        self.ports = ports
        self.cancelled = cancelled
        self.daemon = Daemon(self.name, root / "run", stop_signal=self.stop_signal, rank=1)

    @property
    def running(self) -> bool:
        return self.daemon.running

    def start(self) -> None:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        raise NotImplementedError

    def stop(self) -> None:
        """Stop in an orderly way; what has to be killed is killed."""
        self.daemon.stop(self.stop_timeout)

    def kill(self) -> None:
        """End at once, as in a crash. Ports and data stay for the next start."""
        self.daemon.kill()

    def clean_environment(self) -> dict[str, str]:
        """Return the environment without anything that would change what a program of ours does."""
        return {name: value for name, value in os.environ.items() if not FOREIGN.fullmatch(name)}

    def wait_until_ready(self, ready: Callable[[], bool], daemon: Daemon | None = None) -> None:
        """Wait for the program to answer; raises with the log's end when it does not."""
        daemon = daemon or self.daemon
        deadline = time.monotonic() + self.start_timeout
        while not ready():
            if self.cancelled.is_set():
                raise LocalError(f"{self.title}: start cancelled")
            if not daemon.running:
                raise LocalError(f"{self.title} ended while it was starting; the end of {self.log}:{tail(self.log)}")
            if time.monotonic() > deadline:
                late = f"{self.title} did not answer within {self.start_timeout:.0f} s"
                raise LocalError(f"{late}; the end of {self.log}:{tail(self.log)}")
            time.sleep(0.05)
