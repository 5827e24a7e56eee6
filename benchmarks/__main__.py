"""``make bench``: ours and the peers in turn, in one run, on private servers.

A B A B: each round measures every contender once, so that a machine that gets slower gets slower for all. The medians
of the rounds' ratios are what counts. Peers run only while they take part.
"""

from __future__ import annotations

import os
import sys

from benchmarks import accounts, charges, contenders, history, ledger, load, search, token_check
from benchmarks.rounds import run

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
#: Hashing is what neighbours on the machine disturb most: how fast it is changes by a tenth within seconds.
ACCOUNT_ROUNDS = ROUNDS * 3
WARM_UP = 2


def main() -> int:
    if problem := load.missing():
        print(f"error: {problem}", file=sys.stderr)
        return 1
    print(run(contenders.everybody, peers=True, rounds=ROUNDS, seconds=SECONDS, warm_up=WARM_UP))
    print(f"\n{run(accounts.contenders, peers=False, rounds=ACCOUNT_ROUNDS, seconds=SECONDS, warm_up=WARM_UP)}")
    print(f"\n{token_check.measure()}")
    print(f"\n{search.measure()}")
    print(f"\n{history.measure()}")
    print(f"\n{charges.measure(ROUNDS, SECONDS)}")
    print(f"\n{ledger.measure(ROUNDS, SECONDS)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
