"""CPU-bound work off the hub.

Eventlet runs every greenlet of a service on one thread: a password hash on it stops heartbeats and all other calls.
`offload` runs a function in a bounded pool of native threads instead and lets the hub go on. What comes faster than the
pool can do it waits in greenlets, which cost next to nothing; what would wait too long is refused at once, so that the
caller hears it while there is somebody who listens, and the pool works for those who still wait. In a process that is
not monkey-patched (gateway, command line, tests) `offload` just calls the function.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from lib import context, metrics
from lib.errors import Unavailable

P = ParamSpec("P")
R = TypeVar("R")

# More threads than cores only cost memory (19 MiB a hash). Eventlet reads this once, when its pool starts.
os.environ.setdefault("EVENTLET_THREADPOOL_SIZE", str(max(2, os.cpu_count() or 2)))

from eventlet import patcher, tpool  # noqa: E402

_ident = patcher.original("threading").get_ident

LONGEST_WAIT = 2.0
#: of the average duration, how much the newest one counts; the first few count the same
WEIGHT = 0.1
#: seconds before the caller's deadline that the work is to be done: its result has to be saved and sent
MARGIN = 0.5


class Overloaded(Unavailable):
    """The work was not begun: it would have waited for too long."""

    code = "overloaded"


@dataclass(frozen=True, slots=True)
class _Done:
    """What a thread hands back.

    Nothing is raised there: of what is no `Exception` Eventlet tells nobody, and the caller would wait for ever. And no
    tuple, in which Eventlet would see an exception.

    :param seconds: that it took; None if it was not begun
    """

    result: Any
    error: BaseException | None
    seconds: float | None


class Offload:
    """``offload(function, *args, **kwargs)``

    :param threads: how many the pool has
    :param execute: has a thread of the pool call a function, and returns its result when it is there
    :param applies: whether this process needs that; asked for each call
    """

    def __init__(
        self,
        threads: int,
        *,
        execute: Callable[..., Any] = tpool.execute,
        applies: Callable[[], bool] = lambda: patcher.is_monkey_patched("thread"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._threads, self._execute, self._applies, self._clock = max(1, threads), execute, applies, clock
        self._longest_wait, self._most_jobs = LONGEST_WAIT, math.inf
        self._jobs = 0
        self._seen = 0
        self._average = 0.0
        #: when each thread was done with its last job
        self._ends: dict[int, float] = {}

    def limit(self, *, wait: float | None = None, jobs: int | None = None) -> None:
        """Set how much may wait.

        :param wait: seconds until a thread is free for it; None leaves it as it is
        :param jobs: running and waiting ones together; None leaves it as it is
        """
        self._longest_wait = self._longest_wait if wait is None else wait
        self._most_jobs = self._most_jobs if jobs is None else jobs

    @property
    def has_line(self) -> bool:
        """Whether something waits for a thread."""
        return self._jobs > self._threads

    def __call__(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return ``function(*args, **kwargs)``, computed off the hub.

        `function` must be pure: anything in it that logs, takes a lock or touches a socket deadlocks the process,
        because Eventlet's patched primitives belong to the hub's thread.

        :raises Overloaded: it would wait longer than it may, or than its caller does
        """
        if not self._applies():
            return function(*args, **kwargs)
        latest = math.inf
        # A free thread takes it whatever the average says, or one long job would close the door for ever.
        if self._jobs >= self._threads:
            wait, latest = self._wait(), context.current().remaining(math.inf) - MARGIN - self._average
            if self._jobs >= self._most_jobs or wait > min(self._longest_wait, latest):
                raise self._refusal(wait)
        self._count(1)
        try:
            now = self._clock()
            done: _Done = self._execute(_run, self._clock, self._ends, now, now + latest, function, args, kwargs)
        finally:
            self._count(-1)
        if done.seconds is None:
            raise self._refusal(self._wait())
        self._learn(done.seconds)
        if done.error is not None:
            try:
                raise done.error
            finally:
                del done  # Breaks the cycle with this frame.
        return done.result  # type: ignore[no-any-return]

    def _wait(self) -> float:
        """Return in how many seconds a thread is going to be free for one job more."""
        return max(0, self._jobs - self._threads + 1) * self._average / self._threads

    def _learn(self, seconds: float) -> None:
        self._seen += 1
        self._average += (seconds - self._average) * max(WEIGHT, 1 / self._seen)

    def _count(self, change: int) -> None:
        self._jobs += change
        metrics.OFFLOAD_JOBS.set(self._jobs)

    def _refusal(self, wait: float) -> Overloaded:
        metrics.OFFLOAD_REFUSED.inc()
        return Overloaded("too much to do; try again", retry_after=max(1, math.ceil(wait)))


def _run(
    clock: Callable[[], float],
    ends: dict[int, float],
    given: float,
    begin_before: float,
    function: Callable[..., Any],
    args: Any,
    kwargs: Any,
) -> _Done:
    """Runs in the foreign thread."""
    _be_patient()
    if clock() > begin_before:
        # Nobody would hear of the result.
        return _Done(None, None, None)
    result = error = None
    try:
        result = function(*args, **kwargs)
    except BaseException as exc:
        error = exc
    thread, ended = _ident(), clock()
    # A thread that has more to do spends some time between two jobs as well: it waits for Python's lock.
    began = max(given, ends.get(thread, given))
    ends[thread] = ended
    return _Done(result, error, ended - began)


_patient = patcher.original("threading").local()


def _be_patient() -> None:
    """Tell Linux that this thread computes for long and waits for nobody: it is interrupted less, at less cost."""
    if not getattr(_patient, "is_set", False):
        _patient.is_set = True
        with contextlib.suppress(AttributeError, OSError):  # Not Linux, or not allowed to.
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


offload = Offload(int(os.environ["EVENTLET_THREADPOOL_SIZE"]))
