"""A private RabbitMQ with its management UI."""

from __future__ import annotations

import base64
import contextlib
import http.client
import shlex
import signal
import socket
import subprocess
import threading
from collections.abc import MutableMapping
from pathlib import Path

from deploy.local import programs
from deploy.local.console import LocalError
from deploy.local.parts import Part
from deploy.local.ports import LOOPBACK, answers
from deploy.local.processes import Daemon, open_log

CONFIG = """\
listeners.tcp.1 = {host}:{amqp}
management.tcp.ip = {host}
management.tcp.port = {management}
# The broker's own user `guest`, from this machine only.
loopback_users.guest = true
log.console = false
log.file.level = info
"""

LOCAL_DISTRIBUTION = "-kernel inet_dist_use_interface {127,0,0,1}"
#: Erlang's schedulers spin for a while when they have nothing to do, at the cost of whatever else shares the cores.
NO_BUSY_WAITING = "+sbwt none +sbwtdcpu none +sbwtdio none"
USER = PASSWORD = "guest"  # noqa: S105  (RabbitMQ's default, accepted from this machine only)


class RabbitMQ(Part):
    """RabbitMQ under a node name, port mapper, cookie and data folder of its own, on the loopback address.

    The port mapper (epmd) is private as well: a shared one would outlive the broker, belong to nobody, and mix up
    brokers of the same name.
    """

    name = "rabbitmq"
    title = "RabbitMQ"
    standard_ports = {"amqp": 5672, "management": 15672, "distribution": None, "epmd": None}  # noqa: RUF012
    start_timeout = 120
    stop_signal = signal.SIGTERM
    node = "leveret@localhost"

    def __init__(self, root: Path, ports: MutableMapping[str, int], cancelled: threading.Event) -> None:
        super().__init__(root, ports, cancelled)
        self.epmd = Daemon("epmd", root / "run")

    def start(self) -> None:
        if self.running:
            return
        if "'" in str(self.home):
            # Its disk monitor hands the path to a shell between single quotes and waits for ever.
            raise LocalError(f"RabbitMQ cannot work in a folder with an apostrophe in its name: {self.home}")
        folder = programs.ensured(self.name)
        self._write_files(folder)
        environment = {**self.clean_environment(), **self._settings()}
        with open_log(self.log.with_suffix(".out")) as log:
            self.epmd.stop(5)
            self.epmd.start([str(programs.epmd())], env=environment, cwd=self.home, output=log)
            self.wait_until_ready(lambda: answers(self.ports["epmd"]), self.epmd)
            # With "input allowed" the script becomes the broker; otherwise it stays in front of it as a shell that
            # has to be killed separately. The broker is told right away that there is no input.
            arguments = f"-noinput -start_epmd false {LOCAL_DISTRIBUTION} {NO_BUSY_WAITING}"
            settings = {"RABBITMQ_ALLOW_INPUT": "1", "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": arguments}
            program = str(folder / "rabbitmq-server")
            self.daemon.start([program], env={**environment, **settings}, cwd=self.home, output=log)
        self.wait_until_ready(self._answers)

    def stop(self) -> None:
        super().stop()
        self.epmd.stop(5)

    def kill(self) -> None:
        super().kill()
        self.epmd.kill()

    def ctl(self, *arguments: str, timeout: float = 60) -> str:
        """Run rabbitmqctl on this node, e.g. ``ctl("stop_app")``; returns its output."""
        try:
            done = subprocess.run(
                [str(self.home / "ctl"), *arguments],
                env=self.clean_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise LocalError(f"rabbitmqctl {' '.join(arguments)}: {exc}") from exc
        if done.returncode:
            raise LocalError(f"rabbitmqctl {' '.join(arguments)} failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def environment(self) -> dict[str, str]:
        login = f"{USER}:{PASSWORD}@{LOOPBACK}"
        return {
            "AMQP_URI": f"amqp://{login}:{self.ports['amqp']}/",
            "AMQP_MANAGEMENT_URL": f"http://{login}:{self.ports['management']}",
        }

    def _settings(self) -> dict[str, str]:
        home = self.home
        return {
            "HOME": str(home),  # the Erlang cookie lies there
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(self.ports["epmd"]),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_CRASH_DUMP": str(self.log.with_name("erl_crash.dump")),
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self.ports["distribution"]),
            "RABBITMQ_CONF_ENV_FILE": str(home / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(home / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(home / "generated"),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.log.parent),
            "RABBITMQ_LOGS": str(self.log),
            "RABBITMQ_CTL_ERL_ARGS": LOCAL_DISTRIBUTION,
        }

    def _write_files(self, folder: Path) -> None:
        for path in (self.home / "conf.d", self.home / "mnesia", self.home / "generated", self.log.parent):
            path.mkdir(parents=True, exist_ok=True)
        files = {
            "rabbitmq.conf": CONFIG.format(host=LOOPBACK, **self.ports),
            "rabbitmq-env.conf": "# Empty on purpose: the system's own file must not be read.\n",
            "advanced.config": "[].\n",
            "enabled_plugins": "[rabbitmq_management].\n",
        }
        for name, text in files.items():
            (self.home / name).write_text(text, encoding="utf-8")
        # For people: `.local/rabbitmq/ctl list_queues` reaches the private node from any shell.
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in self._settings().items())
        script = self.home / "ctl"
        program = shlex.quote(str(folder / "rabbitmqctl"))
        script.write_text(f'#!/bin/sh\n{exports}exec {program} "$@"\n', encoding="utf-8")
        script.chmod(0o755)

    def _answers(self) -> bool:
        """Tell whether the broker greets AMQP clients and the management API lets `guest` in."""
        try:
            with socket.create_connection((LOOPBACK, self.ports["amqp"]), timeout=2) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                if connection.recv(1) != b"\x01":
                    return False
        except OSError:
            return False
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        http_client = http.client.HTTPConnection(LOOPBACK, self.ports["management"], timeout=5)
        with contextlib.closing(http_client) as connection:
            try:
                connection.request("GET", "/api/overview", headers={"Authorization": f"Basic {login}"})
                return connection.getresponse().status == http.HTTPStatus.OK
            except (OSError, http.client.HTTPException):
                return False
