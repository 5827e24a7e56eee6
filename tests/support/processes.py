"""What the kernel knows of processes that we started: CPU time and memory, from /proc."""

from __future__ import annotations

import os
from pathlib import Path

from deploy.local import processes

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1024 * 1024


def family(pid: int) -> list[int]:
    """Return a process and all its living descendants."""
    return [pid, *sorted(processes.family(pid))]


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process, its descendants and its children that have ended took so far."""
    total = 0
    for each in family(pid):
        fields = _stat(each)
        # utime, stime, and the same of children that were waited for: what ends between two looks is not lost.
        total += sum(int(field) for field in fields[11:15])
    return total / TICKS


def resident_mib(pid: int) -> float:
    """Return what a process holds in memory, pages that it shares with others included; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / MIB
    except OSError:
        return 0.0


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the state on; none when the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
