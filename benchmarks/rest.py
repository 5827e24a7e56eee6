"""What one contender leaves undone is not to slow the next one down.

Who is asked by several at once still works on their last questions when the load has ended, and on what follows from
the answers: events, mails. In a turn of three seconds that is up to a tenth of it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

#: of all cores: programs that wait for work take a few hundredths
BUSY = 0.12
LOOK = 0.25
PATIENCE = 20.0


def wait_for_rest() -> None:
    """Return when the machine has next to nothing to do; on one that always has something else to do, after a while."""
    give_up = time.monotonic() + PATIENCE
    before = _times()
    while time.monotonic() < give_up:
        time.sleep(LOOK)
        now = _times()
        if _busy(before, now) < BUSY:
            return
        before = now
    print("the machine does not come to rest: figures are of little use", file=sys.stderr, flush=True)


def _times() -> list[int]:
    """Return what all cores together have spent on what, in ticks; as in proc(5), without what others took (steal)."""
    return [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]]


def _busy(before: list[int], now: list[int]) -> float:
    spent = [later - earlier for earlier, later in zip(before, now, strict=True)]
    _user, _nice, _system, idle, waiting, *_interrupts = spent
    return 1 - (idle + waiting) / max(1, sum(spent))
