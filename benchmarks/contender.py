"""One who takes part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.load import Figures
from benchmarks.rest import wait_for_rest
from tests.support.processes import cpu_seconds


@dataclass(frozen=True)
class Contender:
    """One line of the table.

    :param ask: makes the load for so many seconds
    :param processes: the programs that do the work, by the title of their column
    :param prepare: makes what `ask` needs; not counted
    """

    name: str
    ask: Callable[[float], Figures]
    processes: Mapping[str, int] = field(default_factory=dict)
    prepare: Callable[[], None] | None = None

    def measure(self, seconds: float) -> tuple[Figures, Figures]:
        """Return the load's figures, and the CPU milliseconds of one request for each program.

        The machine is at rest before and after: the CPU time is also that of what the load has left to be done later,
        and of the requests that nobody waited for any more; those are counted for it, and not for the rate.
        """
        if self.prepare is not None:
            self.prepare()
            wait_for_rest()
        before = {title: cpu_seconds(pid) for title, pid in self.processes.items()}
        figures = self.ask(seconds)
        wait_for_rest()
        spent = {title: cpu_seconds(pid) - before[title] for title, pid in self.processes.items()}
        if "client" in figures:
            spent = {"client": figures["client"], **spent}
        return figures, {
            title: each * 1000 / (figures["requests"] + figures.get("unanswered", 0)) for title, each in spent.items()
        }
