"""Cleaning up after a session that had no chance to do it itself (SIGKILL, a crashed test run, a CI time limit).

The guard is a small process at the other end of a pipe. When the session is gone, however it went, the pipe closes and
the guard stops every process whose pid file lies in the session's folder.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from deploy.local.processes import stop_leftovers

PROJECT = Path(__file__).resolve().parents[2]


class Guard:
    """The session's end of the pipe."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.process: subprocess.Popen[bytes] | None = None

    def watch(self) -> None:
        """Start guarding, once."""
        if self.process and self.process.poll() is None:
            return
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deploy.local.guard", str(self.run)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def release(self) -> None:
        """End the guard; what is still running is stopped by it."""
        if self.process and self.process.stdin:
            self.process.stdin.close()
            self.process.wait()
            self.process = None


def main(run: Path) -> None:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    sys.stdin.buffer.read()
    if run.is_dir():
        stop_leftovers(run)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
