"""Everything that is measured, as processes on private servers and free ports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests
import sqlalchemy as sa

from benchmarks import nest
from benchmarks.load import ROOT
from benchmarks.peers.stock_service import Base
from deploy.local.environment import names_in, scrub
from deploy.local.infra import Infrastructure
from deploy.local.ports import answers, choose
from tests.support import databases
from tests.support.processes import family, resident_mib
from tests.support.stack import SERVICES, Stack
from tests.support.waiting import eventually

# The mailbox of development makes files. Where many were deleted within the last minutes, as after a run before, ext4
# takes up to a millisecond of CPU time to make one: a twentieth of a registration, and another one in each run.
MEMORY = Path("/dev/shm")  # noqa: S108  (a folder with a name of its own is made in it)
ROOM_FOR_MAILS = 512 * 1024 * 1024

GATEWAY = {"GATEWAY_WORKERS": "2", "GATEWAY_THREADS": "16"}


class Servers:
    """RabbitMQ, PostgreSQL and Redis; ours; and, if asked for, the peers.

    :param root: a folder for data and logs
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.infrastructure = Infrastructure(root / "infrastructure", preferred=False, durable=False, say=print)
        in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_FOR_MAILS
        self._mail = tempfile.TemporaryDirectory(prefix="bench-mail-", dir=MEMORY if in_memory else root)
        self.stack: Stack
        self.stock_url = ""
        self.nest_url = ""
        self._peers: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *, peers: bool) -> None:
        self.infrastructure.start()
        self.environment = {
            **scrub(os.environ, names_in(ROOT / "config.yaml")),
            **self.infrastructure.environment(),
            **GATEWAY,
            "RATE_LIMITS": "off",
            "LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
        }
        databases.migrate(self.environment)
        self.stack = Stack(self.environment, self.root / "logs", Path(self._mail.name))
        self.stack.start(*SERVICES, "gateway", wait=False)
        for name in (*SERVICES, "gateway"):
            self.stack.wait_healthy(name)
        if peers:
            self._start_stock()
            self._start_nest()

    def stop(self) -> None:
        for process in self._peers.values():
            process.terminate()
        for process in self._peers.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
        if hasattr(self, "stack"):
            self.stack.stop()
        self.infrastructure.destroy()
        self._mail.cleanup()

    def programs(self, **titles: str) -> dict[str, int]:
        """Return the process ids of the named programs by the given titles, and those of broker and database."""
        return {title: self._pid(name) for title, name in titles.items()} | {
            part.title: part.daemon.process.pid for part in (self.infrastructure.rabbitmq, self.infrastructure.postgres)
        }

    def memory(self) -> dict[str, list[float]]:
        """Return what each process of each program of ours and the peers holds in memory, in MiB, the largest first."""
        return {
            name: sorted((resident_mib(pid) for pid in family(self._pid(name))), reverse=True)
            for name in ("gateway", *SERVICES, *self._peers)
        }

    def new_user(self, url: str) -> str:
        """Make a user at a peer, as soon as it can, and return the id."""

        def create() -> str | None:
            body = {"email": f"{time.time_ns()}@example.com", "name": "x"}
            answer = requests.post(f"{url}/users", json=body, timeout=10)
            return answer.json()["id"] if answer.status_code == 201 else None

        return eventually(create, within=30)

    def _pid(self, name: str) -> int:
        return self._peers[name].pid if name in self._peers else self.stack.pid(name)

    def _spawn(self, name: str, *command: str, **environment: str) -> None:
        with (self.root / "logs" / f"{name}.log").open("ab") as log:
            self._peers[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**self.environment, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _database(self, name: str) -> str:
        superuser = self.environment["POSTGRES_SUPERUSER_URL"]
        engine = databases.admin(superuser)
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        return databases.on_database(superuser, name)

    def _start_stock(self) -> None:
        url = self._database("stock_peer")
        Base.metadata.create_all(sa.create_engine(url))
        config = self.root / "stock.yaml"
        config.write_text(
            json.dumps(
                {"AMQP_URI": self.environment["AMQP_URI"], "max_workers": 16, "DB_URIS": {"stock_svc:Base": url}}
            )
        )
        binaries = Path(sys.executable).parent
        nameko = [str(binaries / "nameko"), "run", "--config", str(config)]
        self._spawn("stock service", *nameko, "benchmarks.peers.stock_service")
        self._spawn("echo service", sys.executable, "-m", "lib.runner", "benchmarks.peers.echo_service")
        port = choose([])
        granian = [str(binaries / "granian"), "--interface", "wsgi", "benchmarks.peers.stock_gateway:application"]
        granian += ["--workers", GATEWAY["GATEWAY_WORKERS"], "--blocking-threads", GATEWAY["GATEWAY_THREADS"]]
        granian += ["--backpressure", "512", "--no-ws", "--log-level", "error", "--port", str(port)]
        self._spawn("stock gateway", *granian)
        eventually(lambda: answers(port), within=20)
        self.stock_url = f"http://127.0.0.1:{port}"
        self.new_user(self.stock_url)

    def _start_nest(self) -> None:
        """Start the peer that needs Node.js; without it the others are measured all the same."""
        port = choose([])
        url = f"http://127.0.0.1:{port}"
        try:
            programs = nest.build()
            environment = {
                "AMQP_URL": self.environment["AMQP_URI"],
                "DATABASE_URL": self._database("nest_peer").replace("postgresql+psycopg2", "postgres"),
                "PORT": str(port),
                "NODE_ENV": "production",
            }
            for name, command in programs.items():
                self._spawn(f"NestJS {name}", *command, **environment)
            self.new_user(url)
        except (nest.NotAvailable, AssertionError) as exc:
            print(f"NestJS is left out: {exc}", file=sys.stderr, flush=True)
            for name in [each for each in self._peers if each.startswith("NestJS")]:
                self._peers.pop(name).kill()
            return
        self.nest_url = url
