"""The product's processes, started as an operator starts them, on private infrastructure and free ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import requests

from deploy.local.ports import choose
from deploy.local.system import memory_settings
from tests.support.databases import ROOT
from tests.support.waiting import eventually

SERVICES = ("auth_svc", "users_svc", "payments_svc")
PORTS = {
    "auth_svc": "AUTH_HTTP_PORT",
    "users_svc": "USERS_HTTP_PORT",
    "payments_svc": "PAYMENTS_HTTP_PORT",
    "gateway": "GATEWAY_PORT",
}


def free_port() -> int:
    return choose([])


class Stack:
    """A set of running processes; each can be killed, stopped, started again.

    :param environment: for every process; ports are added
    :param logs: folder for one log file per process
    :param mail: folder for the mails; in that of the logs if it is None
    """

    def __init__(self, environment: Mapping[str, str], logs: Path, mail: Path | None = None) -> None:
        self.environment = {**environment, **{name: str(free_port()) for name in PORTS.values()}}
        self.environment["PUBLIC_URL"] = self.url
        self.mail = logs / "mail" if mail is None else mail
        self.environment["MAIL_FOLDER"] = str(self.mail)
        self._logs = logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environment['GATEWAY_PORT']}"

    def health_url(self, name: str) -> str:
        if name == "gateway":
            return f"{self.url}/health"
        return f"http://127.0.0.1:{self.environment[PORTS[name]]}/api/v1/health"

    def command(self, name: str) -> list[str]:
        if name == "gateway":
            return [sys.executable, "-m", "gateway"]
        return [sys.executable, "-m", "lib.runner", name.partition("#")[0]]

    def start(self, *names: str, wait: bool = True, **environment: str) -> None:
        """Start processes; ``users_svc#2`` is a further instance, without HTTP."""
        for name in names:
            extra = memory_settings(name.partition("#")[0], self.environment)
            extra |= {"HTTP_PORT": "0"} if "#" in name else {}
            with self.log_file(name).open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    self.command(name),
                    cwd=ROOT,
                    env={**self.environment, **extra, **environment},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        if wait:
            for name in names:
                self.wait_healthy(name)

    def wait_healthy(self, name: str, within: float = 40.0) -> None:
        def healthy() -> bool:
            code = self._processes[name].poll()
            if code is not None:
                raise RuntimeError(f"{name} ended with {code}:\n{self.log(name)[-3000:]}")
            if "#" in name:
                return " is ready" in self.log(name)
            return requests.get(self.health_url(name), timeout=5).status_code == 200

        eventually(healthy, within=within, every=0.1)

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def running(self, name: str) -> bool:
        process = self._processes.get(name)
        return process is not None and process.poll() is None

    def kill(self, name: str) -> None:
        """kill -9, the whole process group, and wait for the end."""
        self._signal(name, signal.SIGKILL)
        self.wait_end(name)

    def terminate(self, name: str) -> None:
        self._processes[name].send_signal(signal.SIGTERM)

    def wait_end(self, name: str, within: float = 30.0) -> int:
        """Return the exit code (negative: a signal's number)."""
        return self._processes[name].wait(within)

    def stop(self, names: Iterable[str] | None = None) -> None:
        """SIGTERM, then SIGKILL for what does not go."""
        wanted = list(self._processes if names is None else names)
        for name in wanted:
            if self.running(name):
                self.terminate(name)
        deadline = time.monotonic() + 25
        for name in wanted:
            try:
                self._processes[name].wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._signal(name, signal.SIGKILL)
                self._processes[name].wait(5)

    def log_file(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def log(self, name: str) -> str:
        file = self.log_file(name)
        return file.read_text(errors="replace") if file.exists() else ""

    def logs(self) -> str:
        return "\n".join(self.log(name) for name in self._processes)

    def _signal(self, name: str, number: int) -> None:
        try:
            os.killpg(self._processes[name].pid, number)
        except ProcessLookupError:
            return


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
