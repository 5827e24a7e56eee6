"""What one contender leaves undone is not to slow the next one down, and counts as its own.

Who is asked by several at once still works on their last questions when the load has ended, and on what follows from
the answers: events, mails.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.processes import TICKS

#: cores: what programs take that wait for work, theirs and ours together, is less
BUSY = 0.2
LOOK = 0.2
#: looks in a row that find nothing: what is done in rounds pauses in between
QUIET = 2
PATIENCE = 15.0


class Rest:
    """Its only instance is called as ``wait_for_rest()``.

    :param look: returns what all cores have spent so far on work, in seconds; None if the system does not tell
    """

    def __init__(
        self,
        look: Callable[[], float | None],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._look, self._clock, self._sleep = look, clock, sleep
        self._hopeless = False

    def __call__(self) -> None:
        """Return when the machine has next to nothing to do.

        Where it always has something else to do, or does not tell, that is never: after `PATIENCE` seconds the first
        time, and at once from then on.
        """
        begun = before_at = self._clock()
        before, quiet = self._look(), 0
        while not self._hopeless and before is not None:
            self._sleep(LOOK)
            now_at, now = self._clock(), self._look()
            if now is None:
                return
            quiet = quiet + 1 if now - before < BUSY * (now_at - before_at) else 0
            if quiet >= QUIET:
                return
            if now_at - begun > PATIENCE:
                self._hopeless = True
                print("the machine does not come to rest: figures are of little use", file=sys.stderr, flush=True)
            before, before_at = now, now_at


def _spent() -> float | None:
    """See proc(5): all but idling, waiting for a disk, and what others took (steal)."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    except OSError:
        return None
    user, nice, system, _idle, _waiting, *interrupts = (int(field) for field in fields)
    spent = user + nice + system + sum(interrupts)
    return spent / TICKS if spent else None


wait_for_rest = Rest(_spent)
