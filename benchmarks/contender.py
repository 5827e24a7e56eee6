"""One who takes part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.load import Figures
from tests.support.processes import cpu_seconds


@dataclass(frozen=True)
class Contender:
    """One line of the table.

    :param ask: makes the load for so many seconds
    :param processes: the programs that do the work, by the title of their column
    """

    name: str
    ask: Callable[[float], Figures]
    processes: Mapping[str, int] = field(default_factory=dict)

    def measure(self, seconds: float) -> tuple[Figures, Figures]:
        """Return the load's figures, and the CPU milliseconds of one request for each program."""
        before = {title: cpu_seconds(pid) for title, pid in self.processes.items()}
        figures = self.ask(seconds)
        spent = {title: cpu_seconds(pid) - before[title] for title, pid in self.processes.items()}
        if "client" in figures:
            spent = {"client": figures["client"], **spent}
        return figures, {title: each * 1000 / figures["requests"] for title, each in spent.items()}
