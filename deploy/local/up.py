"""`make up`: from a bare checkout to a running system in the foreground."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.local import compose, environment, find, health, system, venv
from deploy.local.console import LocalError, say, tail
from deploy.local.guard import Guard
from deploy.local.keeper import Keeper
from deploy.local.processes import open_log, stop_leftovers
from deploy.local.session import Interrupted, Lock, Signals
from deploy.local.supervisor import Supervisor

MIGRATION_TIMEOUT = 180
HEALTH_TIMEOUT = 90
# A process that dies this often before the system was up once will not get better by itself.
PATIENCE = 3


class Up:
    """One run of `make up`; everything that it starts is stopped by `stop`."""

    def __init__(self, project: Path, signals: Signals) -> None:
        self.project = project
        self.root = project / ".local"
        self.signals = signals
        self.servers: find.Servers | None = None
        self.supervisor: Supervisor | None = None
        self.keeper: Keeper | None = None
        self.guard = Guard(self.root / "run")
        self.how = "given"

    def prepare(self, environ: Mapping[str, str]) -> None:
        """Do everything that has to be done before the first process starts."""
        begun = time.monotonic()
        dotenv = environment.read(self.project / ".env")
        self.environ = environment.direct(environment.effective(environ, dotenv))
        self.listeners = system.listeners(self.environ)
        find.given_parts(self.environ)
        say("Preparing")
        self.python = venv.ensure(self.project, venv.RUNTIME)
        stop_leftovers(self.root / "run", say)
        compose.stop_leftovers(self.project, self.root, say)
        system.check_ports(self.listeners)
        self.guard.watch()
        self._start_servers()
        if self.listeners[0].port != 3000:
            # Links in mails have to lead to the gateway that sent them.
            self.environ.setdefault("PUBLIC_URL", f"http://localhost:{self.listeners[0].port}")
        self.commands = system.commands(self.python, self.environ)
        environment.write(self.root / "env", system.for_shell(self.environ, self.project))
        self._write_state()
        self._migrate()
        self.begun = begun

    def _start_servers(self) -> None:
        """Find or start RabbitMQ, PostgreSQL and Redis and add their addresses to the environment."""
        self.environ |= find.owner_urls(self.environ, say)
        self.how, self.servers = find.servers(self.environ, project=self.project, root=self.root, say=say)
        find.check_given(self.environ, say)
        if self.servers is None:
            say("  RabbitMQ, PostgreSQL and Redis: as given in the environment or .env")
            return
        if self.how == "docker":
            try:
                self.servers.start()
            except LocalError as exc:
                if self.environ.get("INFRA") == "docker":
                    raise
                say(f"  {exc}\n  going on with programs of this machine")
                self.servers.stop()
                self.how, self.servers = "native", find.native(self.environ, root=self.root, say=say)
        if self.how == "native":
            say("  starting RabbitMQ, PostgreSQL and Redis (their data: .local/)")
            self.servers.start()
        self.environ |= self.servers.environment()

    def _write_state(self) -> None:
        state = {
            "pid": os.getpid(),
            "infrastructure": self.how,
            "ports": getattr(self.servers, "ports", {}),
            "listeners": {each.process: each.address for each in self.listeners},
            "processes": [command.name for command in self.commands],
        }
        (self.root / "up.json").write_text(json.dumps(state, indent=2) + "\n")

    def _migrate(self) -> None:
        """Bring the three databases up to date and declare the broker's queues, side by side."""
        names = [f"{service}_svc" for service in environment.SERVICES]
        say(f"  migrating {', '.join(names)}")
        running = {}
        logs = {name: self.root / "log" / f"{name}.migrate.log" for name in names}
        try:
            for name in names:
                logs[name].unlink(missing_ok=True)
                with open_log(logs[name]) as log:
                    running[name] = subprocess.Popen(
                        [str(self.python), "-m", "lib.cli", name, "migrate"],
                        cwd=self.project,
                        env=self.environ,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
            deadline = time.monotonic() + MIGRATION_TIMEOUT
            for name, process in running.items():
                try:
                    code = process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    late = f"migrating {name} took longer than {MIGRATION_TIMEOUT} s"
                    raise LocalError(f"{late}{tail(logs[name])}") from None
                if code:
                    raise LocalError(f"migrating {name} failed (exit code {code}){tail(logs[name])}")
        finally:
            for process in running.values():
                if process.poll() is None:
                    process.terminate()
                    process.wait()

    def run(self) -> int:
        """Start the processes, wait until all are well, and look after them until somebody stops us."""
        say(f"  starting {', '.join(command.name for command in self.commands)}")
        self.supervisor = supervisor = Supervisor(
            self.commands,
            cwd=self.project,
            env=system.for_processes(self.environ),
            run=self.root / "run",
            logs=self.root / "log",
            stop_timeout=environment.seconds(self.environ, "DRAIN_TIMEOUT", 20) + 5,
        )
        self.keeper = keeper = Keeper(self.servers)

        def look_after() -> None:
            supervisor.check()
            keeper.check()

        supervisor.start()
        self._wait_until_healthy(supervisor, look_after)
        if not self.signals.stopping():
            say(system.welcome(self.listeners, self.environ, self.how, time.monotonic() - self.begun))
        while not self.signals.stopping():
            look_after()
            if supervisor.idle:
                raise LocalError("every process has ended")
            time.sleep(0.2)
        return 0

    def _wait_until_healthy(self, supervisor: Supervisor, look_after: Callable[[], None]) -> None:
        def interrupted() -> bool:
            look_after()
            return self.signals.stopping() or supervisor.failing(PATIENCE) is not None

        problems = health.wait(
            {each.process: each.health_url for each in self.listeners},
            HEALTH_TIMEOUT,
            passed=lambda name: say(f"  {name} is healthy"),
            interrupted=interrupted,
        )
        if self.signals.stopping() or not problems:
            return
        failing = supervisor.failing(PATIENCE)
        if failing:
            lines = "".join(f"\n    {line}" for line in failing.recent)
            raise LocalError(f"{failing.command.name} does not start; its last lines:{lines}")
        lines = "".join(f"\n    {name}: {problem}" for name, problem in problems.items())
        raise LocalError(f"not healthy after {HEALTH_TIMEOUT} s (logs in .local/log/):{lines}")

    def stop(self) -> None:
        """Stop what we started: the gateway, the services, then the infrastructure."""
        if self.supervisor or self.servers:
            say("\nStopping (Ctrl-C again: without waiting for unfinished work)")
        if self.supervisor:
            self.supervisor.stop(self.signals.hurry)
        if self.keeper:
            self.keeper.stop()
        if self.servers:
            self.servers.stop()
        for name in ("env", "up.json"):
            (self.root / name).unlink(missing_ok=True)
        self.guard.release()


def main(project: Path) -> int:
    """Run `make up`; returns the exit code."""
    root = project / ".local"
    lock = Lock(root)
    if not lock.take():
        raise LocalError(f"it runs already in this checkout (pid {lock.holder()}); `make down` stops it")
    signals = Signals()
    signals.install()
    up = Up(project, signals)
    try:
        try:
            signals.raises = True
            try:
                up.prepare(os.environ)
            finally:
                signals.raises = False
            return up.run()
        except Interrupted:
            return 130
        finally:
            up.stop()
            if signals.stopping():
                say("Stopped")
    finally:
        lock.release()
