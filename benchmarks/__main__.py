"""``make bench``: ours and the peers in turn, in one run, on private servers.

A B A B: each round measures every contender once, so that a machine that gets slower gets slower for all. Ratios of
the medians are what counts.
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
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))


def main() -> int:
    if problem := load.missing():
        print(f"error: {problem}", file=sys.stderr)
        return 1
    speeds, costs = defaultdict(lambda: defaultdict(list)), defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        servers = Servers(Path(folder))
        try:
            servers.start(peers=True)
            areas = contenders.everybody(servers)
            for number in range(ROUNDS):
                for area, everybody in areas.items():
                    for each in everybody:
                        print(f"round {number + 1}/{ROUNDS}: {area}: {each.name}", file=sys.stderr, flush=True)
                        speed, cost = each.measure(SECONDS)
                        speeds[area][each.name].append(speed)
                        costs[area][each.name].append(cost)
            memory = servers.memory()
        finally:
            servers.stop()
    print(report.speed(speeds), report.cpu(costs), report.memory(memory), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
