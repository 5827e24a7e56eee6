"""How long the sandbox takes for an answer."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable

USUAL_SPREAD = 0.35
"""Like that of a provider across the Internet: one answer in a hundred takes more than twice the median."""


class Latency:
    """Seconds that answers take: half of them more than `median`, half of them less.

    The times are log-normal: never negative, with a long tail.

    :param spread: standard deviation of their logarithm; 0: each takes exactly the median
    :param timeout: seconds after which an answer is no longer waited for
    """

    def __init__(
        self,
        median: float = 0.0,
        *,
        spread: float = 0.0,
        timeout: float = 8.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._median = median
        self._spread = spread
        self._timeout = timeout
        self._sleep = sleep
        self._random = random.Random()  # noqa: S311  (not for secrets)

    def wait(self) -> bool:
        """Take the time that an answer takes; False if nobody waits that long."""
        if self._median <= 0:
            return True
        seconds = self._median * math.exp(self._random.gauss(0, self._spread)) if self._spread else self._median
        self._sleep(min(seconds, self._timeout))
        return seconds < self._timeout
