"""One supervisor for all processes of the system: labelled output, restarts with back-off, an ordered stop."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.console import say
from deploy.local.processes import Daemon, open_log

COLOURS = ("36", "32", "33", "35", "34", "96", "92", "93", "95", "94")

FIRST_DELAY = 0.5
LONGEST_DELAY = 10.0
# A process that ran this long had a good start: its next restart waits as little as its first.
STEADY = 30.0
# With this code a process says that its configuration is wrong (EX_CONFIG of sysexits.h): trying again is no use.
HOPELESS = 78


@dataclass(frozen=True)
class Command:
    """A process to keep running.

    :param stage: stages start from 0 upwards and stop in the opposite order
    :param env: what it gets on top of the common environment
    """

    name: str
    argv: Sequence[str]
    stage: int = 0
    env: Mapping[str, str] = field(default_factory=dict)


class Child:
    """One supervised process over all its restarts."""

    def __init__(self, command: Command, supervisor: Supervisor, label: str) -> None:
        self.command = command
        self.supervisor = supervisor
        self.label = label
        # Ranks above those of the infrastructure: leftovers stop in the same order.
        self.daemon = Daemon(command.name, supervisor.run, rank=10 + command.stage)
        self.log = supervisor.logs / f"{command.name}.log"
        self.recent: deque[str] = deque(maxlen=15)
        self.deaths = 0
        self.hopeless = False
        self.delay = FIRST_DELAY
        self.started = 0.0
        self.due: float | None = None  # when to start it (again)
        self.reader: threading.Thread | None = None

    def start(self) -> None:
        self.due = None
        self.started = time.monotonic()
        environment = {**self.supervisor.env, **self.command.env, "PYTHONUNBUFFERED": "1"}
        try:
            process = self.daemon.start(
                self.command.argv, env=environment, cwd=self.supervisor.cwd, output=subprocess.PIPE
            )
        except OSError as exc:
            self._died(f"could not be started: {exc}")
            return
        self.reader = threading.Thread(target=self._forward, args=(process,), name=self.command.name, daemon=True)
        self.reader.start()

    def _forward(self, process: subprocess.Popen[bytes]) -> None:
        """Copy the output to the terminal, line by line with a label, and to the log file."""
        with process, open_log(self.log) as log:
            for raw in process.stdout or ():
                log.write(raw)
                log.flush()
                line = raw.decode(errors="replace").rstrip("\r\n")
                self.recent.append(line)
                say(f"{self.label} {line}")

    def check(self, now: float) -> None:
        """Notice a death, start again when it is time."""
        if self.due is not None:
            if now >= self.due:
                self.start()
            return
        process = self.daemon.process
        if process is None or process.poll() is None:
            return
        self.daemon.stop(0)  # what it left behind
        self.daemon.process = None
        if process.returncode == 0:
            say(f"{self.label} ended on request (exit code 0) and is not started again")
            return
        code = process.returncode
        if code == HOPELESS:
            self.hopeless = True
            self.deaths += 1
            say(f"{self.label} refuses its configuration (exit code {code}) and is not started again")
            return
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        self._died(f"died ({how})")

    def _died(self, what: str) -> None:
        now = time.monotonic()
        if now - self.started > STEADY:
            self.delay = FIRST_DELAY
        self.deaths += 1
        self.due = now + self.delay
        say(f"{self.label} {what}, starting it again in {self.delay:.1f} s")
        self.delay = min(self.delay * 2, LONGEST_DELAY)

    def stop(self, timeout: float, hurry: Callable[[], bool]) -> None:
        self.due = None
        if self.daemon.process is not None:
            graceful = self.daemon.stop(timeout, hurry=hurry)
            if not graceful:
                say(f"{self.label} did not end in time and was killed")
            if self.reader:
                self.reader.join(2)


class Supervisor:
    """Keeps the given commands running until told to stop.

    :param run: the folder of the pid files
    :param logs: the folder of the log files
    :param stop_timeout: seconds that a process gets to finish its work
    """

    def __init__(
        self,
        commands: Sequence[Command],
        *,
        cwd: Path,
        env: Mapping[str, str],
        run: Path,
        logs: Path,
        stop_timeout: float = 25,
        colours: bool | None = None,
    ) -> None:
        self.cwd, self.env, self.run, self.logs = cwd, dict(env), run, logs
        self.stop_timeout = stop_timeout
        coloured = (sys.stdout.isatty() and "NO_COLOR" not in os.environ) if colours is None else colours
        width = max(len(command.name) for command in commands)
        self.children = [
            Child(command, self, _label(command.name, width, COLOURS[number % len(COLOURS)] if coloured else None))
            for number, command in enumerate(commands)
        ]

    def start(self) -> None:
        for child in sorted(self.children, key=lambda each: each.command.stage):
            child.start()

    def check(self) -> None:
        """Look after every process once; to be called a few times a second."""
        now = time.monotonic()
        for child in self.children:
            child.check(now)

    def failing(self, deaths: int) -> Child | None:
        """Return a process that has died that often already, or that will not start with this configuration."""
        return next((child for child in self.children if child.hopeless or child.deaths >= deaths), None)

    @property
    def idle(self) -> bool:
        """Tell whether every process has ended and none will be started again."""
        return all(child.daemon.process is None and child.due is None for child in self.children)

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Stop the stages in reverse order, the processes of a stage side by side.

        :param hurry: becomes true when unfinished work is not worth waiting for any longer
        """
        for stage in sorted({child.command.stage for child in self.children}, reverse=True):
            children = [child for child in self.children if child.command.stage == stage]
            with ThreadPoolExecutor(len(children)) as pool:
                for stopped in [pool.submit(child.stop, self.stop_timeout, hurry) for child in children]:
                    stopped.result()


def _label(name: str, width: int, colour: str | None) -> str:
    text = f"{name:<{width}} |"
    return f"\x1b[{colour}m{text}\x1b[0m" if colour else text
