"""Where the CPU of one request goes: ``python -m benchmarks.cpu`` measures ours alone, in a few seconds.

``python -m benchmarks.cpu create`` measures the other discipline, ``read create`` both; ``make bench`` prints the same
beside the peers. What a program does beside requests (heartbeats, polling) is in its figure. Unlike the rate, the CPU
time of a request changes little when something else keeps the machine busy, so that two runs can be compared.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from benchmarks import contenders, load, report
from benchmarks.servers import Servers

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
WARM_UP = 2


def main(wanted: list[str]) -> int:
    problem = load.missing()
    if unknown := set(wanted) - {"read", "create"}:
        problem = f"there is no {', '.join(unknown)}: read, create"
    if problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    speeds, costs = defaultdict(lambda: defaultdict(list)), defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        servers = Servers(Path(folder))
        try:
            servers.start(peers=False)
            chosen = {area: each for area, each in contenders.ours(servers).items() if area.split()[-1] in wanted}
            for each in chosen.values():
                each.ask(WARM_UP)
            for _ in range(ROUNDS):
                for area, each in chosen.items():
                    speed, cost = each.measure(SECONDS)
                    speeds[area][each.name].append(speed)
                    costs[area][each.name].append(cost)
            memory = servers.memory()
        finally:
            servers.stop()
    print(report.speed(speeds), report.cpu(costs), report.memory(memory), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["read"]))
