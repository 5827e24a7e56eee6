"""What is known about a running `make up`: one at a time per checkout, its state in `.local`."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from deploy.local import compose
from deploy.local.console import LocalError
from deploy.local.ports import wait_until
from deploy.local.processes import stop_leftovers

#: Signals that come within so many seconds of the first one are the same wish: `timeout` and a closed terminal signal
#: the whole process group, and make passes on to us what it gets as well.
SAME_WISH = 1.0


class Interrupted(Exception):
    """Somebody asked us to stop while we were still preparing."""


class Signals:
    """Ctrl-C and SIGTERM: the first one stops everything in order, a later one stops waiting for unfinished work."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.count = 0
        self._now = now
        self._first = 0.0
        # During the preparation the main thread is somewhere in a slow step and has to be got out of it.
        self.raises = False

    def install(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._arrived)

    def _arrived(self, _number: int, _frame: object) -> None:
        # Nothing else happens in here: a handler that prints or takes a lock can block the code it interrupts.
        now = self._now()
        if not self.count:
            self._first = now
        elif now - self._first < SAME_WISH:
            return
        self.count += 1
        if self.raises:
            self.raises = False
            raise Interrupted

    def stopping(self) -> bool:
        return self.count > 0

    def hurry(self) -> bool:
        return self.count > 1


class Lock:
    """Held by the running `make up`; the operating system gives it back however the holder ends."""

    def __init__(self, root: Path) -> None:
        self.path = root / "up.lock"
        self.file: IO[str] | None = None

    def take(self) -> bool:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self.file = file
        return True

    def holder(self) -> int | None:
        with suppress(OSError, ValueError):
            return int(self.path.read_text())
        return None

    def release(self) -> None:
        if self.file:
            self.file.close()
            self.file = None


def stop(project: Path, root: Path, say: Callable[[str], None], *, remove: bool = False, timeout: float = 90) -> None:
    """Stop a running `make up` of this checkout, and whatever earlier ones left behind."""
    lock = Lock(root)
    taken = lock.take()
    if not taken and (pid := lock.holder()):
        say(f"  stopping the running `make up` (pid {pid})")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        taken = wait_until(lock.take, timeout, 0.1)
        if not taken:
            say("  it does not end: killing it")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            taken = wait_until(lock.take, 10, 0.1)
    if not taken:
        raise LocalError(f"another command holds {lock.path}; try again when it has ended")
    try:
        stop_leftovers(root / "run", say)
        compose.stop_leftovers(project, root, say, remove=remove)
        for name in ("env", "up.json"):
            (root / name).unlink(missing_ok=True)
    finally:
        lock.release()
