"""The infrastructure in containers, for a machine whose Docker engine answers."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local import steps
from deploy.local.console import LocalError
from deploy.local.environment import SERVICES, number
from deploy.local.ports import LOOPBACK, choose
from deploy.local.postgres import DRIVER

if TYPE_CHECKING:
    from deploy.local.parts import Part

FILE = "docker-compose.yml"
PULL_TIMEOUT = 900
READY_TIMEOUT = 180

# Variable of docker-compose.yml that holds the port on this machine: service, port in the container, standard port.
PORTS = {
    "RABBITMQ_PORT": ("rabbitmq", 5672),
    "RABBITMQ_MANAGEMENT_PORT": ("rabbitmq", 15672),
    "POSTGRES_PORT": ("postgres", 5432),
    "REDIS_PORT": ("redis", 6379),
}


def engine_answers(project: Path) -> bool:
    """Tell whether there is a Docker engine with Compose that answers."""
    if shutil.which("docker") is None or not (project / FILE).exists():
        return False
    try:
        return all(
            subprocess.run(
                ["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False
            ).returncode
            == 0
            for arguments in (("version", "--format", "{{.Server.Version}}"), ("compose", "version"))
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


class Compose:
    """RabbitMQ, PostgreSQL and Redis as `docker compose` starts them; used like `Infrastructure`.

    :param root: the folder for local state; it remembers that containers are in use
    """

    def __init__(
        self,
        project: Path,
        root: Path,
        *,
        parts: Sequence[str],
        environ: Mapping[str, str],
        say: Callable[[str], None],
    ) -> None:
        self.project = project
        self.names = list(parts)
        self.environ = environ
        self.say = say
        self.state = root / "compose.json"
        self.started: list[str] = []
        self.ports: dict[str, int] = {}

    def start(self) -> None:
        """Start the containers that do not run yet and wait until they answer."""
        running = self._output("ps", "--services", "--status", "running").split()
        self.started = [name for name in self.names if name not in running]
        environment = {**self.environ, **{name: str(port) for name, port in self._wanted(running).items()}}
        self.say(f"  docker compose up -d {' '.join(self.names)} (the first time downloads the images)")
        self.state.parent.mkdir(parents=True, exist_ok=True)
        self.state.write_text(json.dumps({"started": self.started}))
        failed = steps.run(
            self._command("up", "--detach", "--wait", "--wait-timeout", str(READY_TIMEOUT), *self.names),
            show=(*self.names, "Container", "Error"),
            timeout=PULL_TIMEOUT,
            env=environment,
        )
        if failed is not None:
            raise LocalError(f"docker compose could not start the infrastructure:{failed}")
        for variable, (name, port) in PORTS.items():
            if name in self.names:
                self.ports[variable] = self._published(name, port)

    def stop(self) -> None:
        """Stop the containers that we started; their data stays in its volumes."""
        if self.started:
            steps.run(self._command("stop", *self.started), timeout=60, env=self.environ)
            self.started = []
            # The file itself stays: it tells `make clean` that there are volumes to remove.
            self.state.write_text(json.dumps({"started": []}))

    def ended(self) -> list[Part]:
        """Docker restarts what dies, so nothing is for us to do."""
        return []

    def environment(self) -> dict[str, str]:
        """Return the settings with which the services find these servers."""
        values = {}
        if "rabbitmq" in self.names:
            login = f"{self._secret('BROKER_OPERATOR', 'guest')}:{self._secret('BROKER_OPERATOR_PASSWORD', 'guest')}"
            values["AMQP_URI"] = f"amqp://{login}@{LOOPBACK}:{self.ports['RABBITMQ_PORT']}/"
            values["AMQP_MANAGEMENT_URL"] = f"http://{login}@{LOOPBACK}:{self.ports['RABBITMQ_MANAGEMENT_PORT']}"
        if "postgres" in self.names:
            address = f"{LOOPBACK}:{self.ports['POSTGRES_PORT']}"
            for service in SERVICES:
                for kind, variable in (("app", "DATABASE_URL"), ("owner", "MIGRATION_DATABASE_URL")):
                    role = f"{service}_{kind}"
                    login = f"{role}:{self._secret(f'{role.upper()}_PASSWORD', role)}"
                    values[f"{service.upper()}_{variable}"] = f"{DRIVER}://{login}@{address}/{service}"
        if "redis" in self.names:
            values["REDIS_URL"] = f"redis://{LOOPBACK}:{self.ports['REDIS_PORT']}/0"
        return values

    def _secret(self, name: str, default: str) -> str:
        """Return what docker-compose.yml gives the containers; their entry points refuse what no URL could hold."""
        return self.environ.get(name) or default

    def _wanted(self, running: Sequence[str]) -> dict[str, int]:
        """Choose the ports: those of containers that run, else those asked for, else the standard ones or free ones."""
        wanted = {}
        for variable, (name, port) in PORTS.items():
            if name in running:
                wanted[variable] = self._published(name, port)
            elif name in self.names:
                wanted[variable] = number(self.environ, variable, 0, 0, 65535) or choose([port])
        return wanted

    def _published(self, name: str, port: int) -> int:
        return int(self._output("port", name, str(port)).strip().rpartition(":")[2])

    def _command(self, *arguments: str) -> list[str]:
        return ["docker", "compose", "-f", str(self.project / FILE), *arguments]

    def _output(self, *arguments: str) -> str:
        try:
            return subprocess.run(
                self._command(*arguments),
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=30,
                check=True,
            ).stdout
        except (OSError, subprocess.SubprocessError) as exc:
            raise LocalError(f"docker compose {' '.join(arguments)}: {exc}") from exc


def stop_leftovers(project: Path, root: Path, say: Callable[[str], None], *, remove: bool = False) -> None:
    """Stop, or remove with their data, the containers that an earlier session started."""
    state = root / "compose.json"
    if not state.exists() or not engine_answers(project):
        return
    try:
        started = list(json.loads(state.read_text())["started"])
    except (OSError, ValueError, KeyError, TypeError):
        started = []
    compose = ["docker", "compose", "-f", str(project / FILE)]
    if remove:
        say("  removing the containers and their data")
        steps.run([*compose, "down", "--volumes"], timeout=120)
        state.unlink()
    elif started:
        say(f"  stopping the containers {', '.join(started)}")
        steps.run([*compose, "stop", *started], timeout=60)
        state.write_text(json.dumps({"started": []}))
