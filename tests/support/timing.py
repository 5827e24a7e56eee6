"""How long something takes, and whether two kinds of requests can be told apart by it."""

from __future__ import annotations

import gc
import statistics
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations


@contextmanager
def cpu_below(seconds: float) -> Iterator[None]:
    """Assert that this thread spends less CPU time than that in the block.

    Not the process: other threads are at work in it. And without the garbage collector, which after thousands of
    other tests has a whole second's work with what they have left.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        began = time.thread_time()
        yield
        spent = time.thread_time() - began
    finally:
        if collecting:
            gc.enable()
    assert spent < seconds


def cliffs_delta(first: Sequence[float], second: Sequence[float]) -> float:
    """Return how much more often a value of `first` is above one of `second` than below, from -1 to 1 (Cliff, 1993)."""
    ordered = sorted(second)
    above = sum(bisect_left(ordered, each) for each in first)
    below = sum(len(ordered) - bisect_right(ordered, each) for each in first)
    return (above - below) / (len(first) * len(second))


def interleaved(actions: Mapping[str, Callable[[], float]], times: int) -> dict[str, list[float]]:
    """Return how many seconds each action took, in turns, so that a slow moment of the machine hits all alike."""
    samples: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(times):
        names = list(actions)
        # Another one first each time: nobody is always the one after the slow one.
        for name in names[number % len(names) :] + names[: number % len(names)]:
            samples[name].append(actions[name]())
    return samples


def differences(samples: Mapping[str, Sequence[float]], *, delta: float, seconds: float) -> list[str]:
    """Return the pairs of kinds that can be told apart, each with what tells them apart.

    :param delta: the largest |Cliff's δ| that tells nothing
    :param seconds: … and the largest distance of the medians
    """
    found = []
    for one, other in combinations(samples, 2):
        d = cliffs_delta(samples[one], samples[other])
        apart = abs(statistics.median(samples[one]) - statistics.median(samples[other]))
        if abs(d) >= delta or apart > seconds:
            found.append(f"{one} / {other}: δ {d:+.2f}, medians {apart * 1000:.1f} ms apart")
    return found
