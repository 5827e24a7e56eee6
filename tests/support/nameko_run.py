"""Processes of stock Nameko: ``nameko run`` and ``nameko shell``, as its documentation shows them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.databases import ROOT

NAMEKO = str(Path(sys.executable).with_name("nameko"))
QUIET = {"PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1"}


class NamekoRun:
    """``nameko run <module>`` with nothing but the broker's address in its configuration.

    :param environment: for the process
    :param folder: for its configuration and log
    """

    def __init__(self, module: str, *, amqp_uri: str, environment: Mapping[str, str], folder: Path) -> None:
        self._module = module
        self._environment = {**environment, **QUIET}
        self._config = folder / "nameko.yaml"
        self._config.write_text(f"AMQP_URI: {amqp_uri}\n")
        self._log = folder / "nameko.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it is running; it takes calls a moment later."""
        if self.running:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [NAMEKO, "run", "--config", str(self._config), self._module],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to the whole process group."""
        if self._process is not None and self.running:
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """kill -9, and wait for the end."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(10)

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""


def shell(config: Path | str, environment: Mapping[str, str], *statements: str) -> str:
    """Return what ``nameko shell`` prints when these statements are typed."""
    done = subprocess.run(
        [NAMEKO, "shell", "--config", str(config), "--interface", "plain"],
        input="".join(f"{each}\n" for each in statements),
        cwd=ROOT,
        env={**environment, **QUIET},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr
