"""Processes of our own: each in a session of its own, remembered by a pid file, ended by number and never by name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from deploy.local.ports import wait_until

LOG_LIMIT = 10 * 1024 * 1024


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "-"


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/<pid>/stat from the state on; the name before it may hold blanks and parentheses."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def _ps(*arguments: str) -> str:
    try:
        return subprocess.run(["ps", *arguments], capture_output=True, text=True, timeout=10, check=False).stdout
    except OSError:
        return ""


def identity(pid: int) -> str | None:
    """Return what tells this process from a later one with the same number; None when it is not running."""
    if os.path.exists("/proc/self/stat"):
        fields = _stat(pid)
        # A process whose first thread is gone counts as a zombie while other threads still hold its ports.
        if fields is None or (fields[0] in "ZX" and int(fields[17]) <= 1):
            return None
        return f"{_boot_id()}:{fields[19]}"
    started = _ps("-o", "state=,lstart=", "-p", str(pid)).split(maxsplit=1)
    return started[1].strip() if len(started) == 2 and not started[0].startswith("Z") else None


def _table() -> dict[int, tuple[int, int]]:
    """Return parent and process group of every process."""
    if not os.path.exists("/proc/self/stat"):
        rows = (line.split() for line in _ps("-A", "-o", "pid=,ppid=,pgid=").splitlines())
        return {int(pid): (int(parent), int(group)) for pid, parent, group in rows}
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(int(entry))):
            found[int(entry)] = (int(fields[1]), int(fields[2]))
    return found


def family(pid: int) -> dict[int, str]:
    """Return the living descendants and group members of a process that we started, without itself: pid -> identity.

    Both are needed: PostgreSQL's children leave the group, and the children of a process that died lose their parent.
    """
    table = _table()
    members: set[int] = set()
    found = {pid}
    while found:
        members |= found
        found = {each for each, (parent, group) in table.items() if parent in members or group == pid} - members
    return {each: name for each in members - {pid} if (name := identity(each))}


def send(pid: int, name: str | None, number: int) -> None:
    """Send a signal to exactly the process with this identity, or to nobody."""
    if name is not None and identity(pid) == name:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def open_log(path: Path) -> IO[bytes]:
    """Open a log for appending; one that has grown large is set aside first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(path.suffix + ".1"))
    return path.open("ab")


class Daemon:
    """One long-lived process and its pid file.

    :param run: the folder of the pid files
    :param rank: leftovers are stopped from the highest rank to the lowest
    """

    def __init__(self, name: str, run: Path, *, stop_signal: int = signal.SIGTERM, rank: int = 0) -> None:
        self.name = name
        self.rank = rank
        self.stop_signal = stop_signal
        self.file = run / f"{name}.pid"
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def remembered(cls, file: Path) -> Daemon | None:
        """Return the daemon a pid file tells of."""
        try:
            record = json.loads(file.read_text())
            return cls(file.stem, file.parent, stop_signal=record["stop_signal"], rank=record["rank"])
        except (OSError, ValueError, KeyError, TypeError):
            file.unlink(missing_ok=True)
            return None

    def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        output: int | IO[bytes],
        user: str | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start the process as the given user (we must be root then) and remember it."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        as_user: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
        self.process = subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # the terminal's Ctrl-C is for the supervisor alone, which stops all in order
            **as_user,
        )
        record = {
            "pid": self.process.pid,
            "identity": identity(self.process.pid),
            # A copy of the folder must not make anybody stop the processes of the original.
            "folder": str(self.file.parent.resolve()),
            "stop_signal": self.stop_signal,
            "rank": self.rank,
        }
        temporary = self.file.with_suffix(".new")
        temporary.write_text(json.dumps(record))
        temporary.replace(self.file)
        return self.process

    def _record(self) -> tuple[int, str | None] | None:
        """Return pid and identity from the pid file when it is a pid file of this folder."""
        try:
            record = json.loads(self.file.read_text())
            if record["folder"] != str(self.file.parent.resolve()):
                return None
            return int(record["pid"]), record["identity"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _reap(self) -> None:
        """Take leave of our own process when it has ended, also if a later session has done that."""
        if self.process and not self.running:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(5)

    @property
    def pid(self) -> int | None:
        """The number of the running process, None when there is none."""
        if self.process and self.process.poll() is not None:
            return None
        record = self._record()
        return record[0] if record and record[1] and identity(record[0]) == record[1] else None

    @property
    def running(self) -> bool:
        return self.pid is not None

    def stop(self, timeout: float, *, hurry: Callable[[], bool] = lambda: False) -> bool:
        """End the process and everything it started; False when it had to be killed.

        :param hurry: becomes true when somebody does not want to wait any longer
        """
        self._reap()
        record = self._record()
        if record is None:
            self.file.unlink(missing_ok=True)
            return True
        pid, name = record
        others = family(pid) if self.running else _remains(pid)
        graceful, patience = True, 0.3
        if self.running:
            patience = 3.0
            send(pid, name, self.stop_signal)
            wait_until(lambda: not self.running or hurry(), timeout)
            if self.running:
                graceful, patience = False, 0.3
                others |= family(pid)
                send(pid, name, signal.SIGKILL)
                wait_until(lambda: not self.running, 10)
        self._reap()
        _end(others, patience)
        self.file.unlink(missing_ok=True)
        return graceful

    def kill(self) -> None:
        """End the process and its children the way a crash does: at once."""
        self._reap()
        record = self._record()
        if record and self.running:
            others = family(record[0])
            send(*record, signal.SIGKILL)
            for pid, name in others.items():
                send(pid, name, signal.SIGKILL)
            wait_until(lambda: not self.running, 10)
            self._reap()
            _end(others, 3.0)
        self.file.unlink(missing_ok=True)


def _remains(pid: int) -> dict[int, str]:
    """Return what is left of a dead leader's group.

    While a group has members its number is not given to a new process, so a living process of that number means that
    the group is not ours any more.
    """
    return {} if identity(pid) else family(pid)


def _end(others: Mapping[int, str], patience: float) -> None:
    """Give the children of a process that ended a moment to notice, then kill what is left."""

    def left() -> list[int]:
        return [pid for pid, name in others.items() if identity(pid) == name]

    if not wait_until(lambda: not left(), patience):
        for pid in left():
            send(pid, others[pid], signal.SIGKILL)
        wait_until(lambda: not left(), 5)


def silent(_line: str) -> None:
    """Say nothing."""


def stop_leftovers(run: Path, say: Callable[[str], None] = silent, timeout: float = 30) -> int:
    """Stop what a crashed session left running, in order; return how many processes that were."""
    daemons = [daemon for file in sorted(run.glob("*.pid")) if (daemon := Daemon.remembered(file))]
    count = 0
    for daemon in sorted(daemons, key=lambda each: -each.rank):
        if daemon.running:
            say(f"  stopping {daemon.name}, left over from an earlier session (pid {daemon.pid})")
            count += 1
        daemon.stop(timeout)
    return count
