"""One run: the contenders in turn, round after round, and the three tables."""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.contender import Contender
from benchmarks.rest import wait_for_rest
from benchmarks.servers import Servers

Areas = Mapping[str, Sequence[Contender]]


def run(choose: Callable[[Servers], Areas], *, peers: bool, rounds: int, seconds: float, warm_up: float = 0) -> str:
    """Return the tables of speed, CPU and memory.

    :param choose: says who takes part, by discipline, once the servers are there
    :param peers: start the peers, too
    :param seconds: of load for each contender in each round
    :param warm_up: seconds of load for each contender that are not counted
    """
    speeds, costs = defaultdict(lambda: defaultdict(list)), defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        servers = Servers(Path(folder))
        try:
            servers.start(peers=peers)
            turns = [(area, each) for area, contenders in choose(servers).items() for each in contenders]
            for _, each in turns if warm_up else ():
                each.measure(warm_up)
            wait_for_rest()
            for number in range(rounds):
                for area, each in turns:
                    print(f"round {number + 1}/{rounds}: {area}: {each.name}", file=sys.stderr, flush=True)
                    speed, cost = each.measure(seconds)
                    speeds[area][each.name].append(speed)
                    costs[area][each.name].append(cost)
            memory = servers.memory()
        finally:
            servers.stop()
    return "\n\n".join((report.speed(speeds), report.cpu(costs), report.memory(memory)))
