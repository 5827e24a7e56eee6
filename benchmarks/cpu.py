"""Where the CPU of one request goes: ``python -m benchmarks.cpu`` measures ours alone, in a few seconds.

``python -m benchmarks.cpu create login`` measures other disciplines; ``make bench`` prints the same beside the peers.
What a program does beside requests (heartbeats, polling) is in its figure. Unlike the rate, the CPU
time of a request changes little when something else keeps the machine busy, so that two runs can be compared.
"""

from __future__ import annotations

import os
import sys

from benchmarks import accounts, charges, contenders, load
from benchmarks.contender import Contender
from benchmarks.rounds import run
from benchmarks.servers import Servers

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
WARM_UP = 2
DISCIPLINES = {"read", "create", "login", "register", "refresh", "charge"}


def main(wanted: list[str]) -> int:
    problem = load.missing()
    if unknown := set(wanted) - DISCIPLINES:
        problem = f"there is no {', '.join(unknown)}: {', '.join(sorted(DISCIPLINES))}"
    if problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1

    def choose(servers: Servers) -> dict[str, list[Contender]]:
        # First, as it starts the gateway again, and the others take its process for theirs.
        found = charges.contenders(servers) if "charge" in wanted else {}
        found |= {area: [each] for area, each in contenders.ours(servers).items()} | accounts.contenders(servers)
        return {area: each for area, each in found.items() if {area.split(",")[0], area.split()[-1]} & set(wanted)}

    print(run(choose, peers=False, rounds=ROUNDS, seconds=SECONDS, warm_up=WARM_UP))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["read"]))
