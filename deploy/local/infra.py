"""A private RabbitMQ, PostgreSQL and Redis: everything under one folder, on the loopback address, stopped by number."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.local import programs
from deploy.local.console import LocalError
from deploy.local.guard import Guard
from deploy.local.parts import Part
from deploy.local.ports import choose, is_free
from deploy.local.postgres import Postgres
from deploy.local.processes import silent, stop_leftovers
from deploy.local.rabbitmq import RabbitMQ
from deploy.local.redis import Redis

ALL = ("rabbitmq", "postgres", "redis")


class Infrastructure:
    """The servers that the project needs, native and private.

    :param root: the folder for data, logs, pid files and the ports in use; made when missing
    :param preferred: try the standard ports first, as people expect them; False takes any free ones
    :param durable: False lets PostgreSQL skip what only a crash of the machine needs; for throw-away data only
    :param parts: which of the servers are wanted
    :param say: receives progress lines
    """

    def __init__(
        self,
        root: Path,
        *,
        preferred: bool,
        durable: bool | None = None,
        parts: Sequence[str] = ALL,
        say: Callable[[str], None] = silent,
    ) -> None:
        self.root = Path(root).absolute()
        self.preferred = preferred
        self.durable = preferred if durable is None else durable
        if preferred and not self.durable:
            raise ValueError("data on the standard ports is somebody's data: it must be durable")
        self.say = say
        self.ports: dict[str, int] = {}
        self._cancelled = threading.Event()
        self._guard = Guard(self.root / "run")
        self.rabbitmq = RabbitMQ(self.root, self.ports, self._cancelled)
        self.postgres = Postgres(self.root, self.ports, self._cancelled, durable=self.durable)
        self.redis = Redis(self.root, self.ports, self._cancelled)
        everything: dict[str, Part] = {"rabbitmq": self.rabbitmq, "postgres": self.postgres, "redis": self.redis}
        self.parts = [everything[name] for name in parts]

    def start(self) -> None:
        """Start what is not running yet. Data and, where possible, ports are those of the last time."""
        if self.ports and all(part.running for part in self.parts):
            return
        programs.ensure([part.name for part in self.parts])
        self.root.mkdir(parents=True, exist_ok=True)
        if not self.ports:
            stop_leftovers(self.root / "run", self.say)
        self._choose_ports()
        self._guard.watch()
        try:
            self._start_parts()
        except LocalError:
            # The one thing that may go wrong through nobody's fault: a port was free and is not any more.
            if not self._choose_ports():
                raise
            self._guard.watch()
            self._start_parts()

    def stop(self) -> None:
        """Stop everything; data and ports stay for the next start."""
        self._cancelled.set()
        with ThreadPoolExecutor(len(self.parts)) as pool:
            for stopped in [pool.submit(part.stop) for part in self.parts]:
                stopped.result()
        self._guard.release()

    def destroy(self) -> None:
        """Stop everything and delete the folder with all data; nothing is saved, so it takes no time."""
        self._cancelled.set()
        for part in self.parts:
            part.kill()
        self._guard.release()
        self.postgres.remove()
        shutil.rmtree(self.root, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """Return the settings with which the services find these servers."""
        return {name: value for part in self.parts for name, value in part.environment().items()}

    def ended(self) -> list[Part]:
        """Return the servers that should run and do not."""
        return [part for part in self.parts if not part.running]

    def __enter__(self) -> Infrastructure:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _start_parts(self) -> None:
        self._cancelled.clear()
        with ThreadPoolExecutor(len(self.parts)) as pool:
            starting = [pool.submit(part.start) for part in self.parts]
            try:
                for started in starting:
                    started.result()
            except BaseException:
                self._cancelled.set()
                pool.shutdown(wait=True)
                self.stop()
                raise

    def _choose_ports(self) -> bool:
        """Choose a port for everything that has none or whose port somebody else took; True if anything changed."""
        file = self.root / "ports.json"
        try:
            last = {str(name): int(port) for name, port in json.loads(file.read_text()).items()}
        except (OSError, ValueError, AttributeError):
            last = {}
        before = dict(self.ports)
        for part in self.parts:
            if part.running:
                continue
            for name, standard in part.standard_ports.items():
                if name in self.ports and is_free(self.ports[name]):
                    continue
                wanted = [standard] if self.preferred and standard and name not in self.ports else []
                self.ports[name] = choose([*wanted, *([last[name]] if name in last else [])])
        file.write_text(json.dumps({**last, **self.ports}, indent=2) + "\n")
        return self.ports != before
