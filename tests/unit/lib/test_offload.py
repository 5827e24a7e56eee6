"""CPU-bound work off the hub: what may wait, what is refused, and that nothing is lost when a function fails."""

import math
import time

import eventlet
import pytest
from eventlet.event import Event
from hypothesis import given
from hypothesis import strategies as st

from lib import context, metrics
from lib.context import CallContext
from lib.errors import Unavailable
from lib.offload import Offload, Overloaded, offload
from tests.unit.lib.fakes import Clock


class Pool:
    """Threads that begin a job when a test says so."""

    def __init__(self):
        self.waiting = []

    def execute(self, function, *args):
        begin = Event()
        self.waiting.append(begin)
        begin.wait()
        return function(*args)

    def begin(self, jobs=1):
        for event in self.waiting[:jobs]:
            event.send()
        del self.waiting[:jobs]
        eventlet.sleep(0)


class Bench:
    """An `Offload` with two threads in a process of its own, as it were."""

    def __init__(self):
        self.clock = Clock()
        self.pool = Pool()
        self.offload = Offload(2, execute=self.pool.execute, applies=lambda: True, clock=self.clock.monotonic)
        self.offload.limit(wait=2.01)

    def work(self, seconds):
        """Take so long."""
        self.clock.advance(seconds)
        return seconds

    def give(self, jobs=1, seconds=0.5, left=None):
        """Have greenlets offload that, and return them.

        :param left: seconds until the caller's deadline
        """

        def worker():
            if left is not None:
                context.enter(CallContext("c", deadline=time.monotonic() + left))
            return self.offload(self.work, seconds)

        found = [eventlet.spawn(worker) for _ in range(jobs)]
        eventlet.sleep(0)
        return found

    def learn(self, seconds, times=1):
        """Let the pool do something, so that the average is known."""
        for _ in range(times):
            (job,) = self.give(seconds=seconds)
            self.pool.begin()
            job.wait()


@pytest.fixture
def bench():
    return Bench()


def refused(jobs):
    found = []
    for job in jobs:
        if job.dead:
            with pytest.raises(Overloaded) as caught:
                job.wait()
            found.append(caught.value)
    return found


def gauge():
    return metrics.OFFLOAD_JOBS._value.get()


def counter():
    return metrics.OFFLOAD_REFUSED._value.get()


def test_without_greenlets_it_is_a_plain_call():
    assert offload(max, 1, 2) == 2
    assert offload(sorted, [2, 1], reverse=True) == [2, 1]


def test_arguments_and_results_pass_as_they_are(bench):
    job = eventlet.spawn(bench.offload, dict, [("a", 1)], b=2)
    eventlet.sleep(0)
    bench.pool.begin()
    assert job.wait() == {"a": 1, "b": 2}


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3), eventlet.Timeout(None)])
def test_what_a_function_raises_comes_out_and_its_place_is_free_again(bench, error):
    def fail():
        raise error

    def worker():
        try:
            bench.offload(fail)
        except BaseException as exc:
            # Not out of here: the hub ends everything for some of them.
            return exc

    job = eventlet.spawn(worker)
    eventlet.sleep(0)
    assert gauge() == 1
    bench.pool.begin()
    assert job.wait() is error
    assert gauge() == 0


def test_a_tuple_that_looks_like_an_exception_is_a_result(bench):
    looks = (ValueError, ValueError("x"), None)
    job = eventlet.spawn(bench.offload, lambda: looks)
    eventlet.sleep(0)
    bench.pool.begin()
    assert job.wait() is looks


def test_what_would_wait_too_long_is_refused_and_told_for_how_long(bench):
    bench.learn(0.5)
    before = counter()
    # The first two begin at once; each one more waits a quarter of a second longer.
    jobs = bench.give(2 + 8)
    assert not refused(jobs)
    assert gauge() == 10
    (error,) = refused(bench.give())
    assert (error.kind, error.code, error.details) == (Unavailable.kind, "overloaded", {"retry_after": 3})
    assert counter() == before + 1
    assert gauge() == 10, "it takes no place"
    bench.pool.begin(10)
    assert [job.wait() for job in jobs] == [0.5] * 10
    assert gauge() == 0


def test_it_is_open_again_as_soon_as_there_is_room(bench):
    bench.learn(0.5)
    bench.give(10)
    assert refused(bench.give())
    bench.pool.begin()
    assert not refused(bench.give())


@pytest.mark.parametrize(("seconds", "places"), [(0.1, 40), (1.0, 4), (2.0, 2), (4.5, 0)])
def test_how_many_may_wait_follows_from_how_long_one_takes(bench, seconds, places):
    bench.learn(seconds)
    assert not refused(bench.give(2 + places))
    assert refused(bench.give())


def test_the_average_follows_what_happens(bench):
    bench.learn(0.1, times=50)
    bench.learn(1.0, times=50)
    assert not refused(bench.give(2 + 4))
    assert refused(bench.give())


def test_before_anything_is_known_nothing_is_refused(bench):
    assert not refused(bench.give(500))


def test_a_free_thread_takes_work_whatever_the_average_says(bench):
    """One job that took an hour, as the machine slept, must not close the door for ever."""
    bench.learn(3600)
    jobs = bench.give(3, left=5)
    assert [bool(refused([job])) for job in jobs] == [False, False, True]
    bench.pool.begin(2)
    bench.learn(0.1, times=100)
    assert not refused(bench.give(10, left=5))


def test_no_more_than_the_given_number_of_jobs_are_let_in(bench):
    bench.offload.limit(jobs=5)
    assert not refused(bench.give(5))
    (error,) = refused(bench.give())
    assert error.details == {"retry_after": 1}


def test_a_limit_that_is_not_given_stays(bench):
    bench.offload.limit(wait=1.0)
    bench.offload.limit(jobs=100)
    bench.offload.limit()
    bench.learn(0.5)
    assert not refused(bench.give(2 + 4))
    assert refused(bench.give())


@pytest.mark.parametrize(("left", "places"), [(2.0, 4), (1.0, 0), (0.6, 0), (0.0, 0), (-1.0, 0), (60.0, 8)])
def test_what_would_be_done_after_its_caller_has_left_is_refused(bench, left, places):
    bench.learn(0.5)
    bench.give(2)
    assert not refused(bench.give(places, left=left + 0.01))
    assert refused(bench.give(left=left + 0.01))


def test_what_comes_to_its_turn_too_late_is_not_begun(bench):
    """The estimate was too low, say; the pool does not work for somebody who has left."""
    bench.learn(0.1)
    bench.give(2)
    in_time, late = bench.give(2, left=3)
    bench.pool.begin(3)
    before = bench.clock.monotonic()
    bench.clock.advance(2.5)
    bench.pool.begin()
    assert in_time.wait() == 0.5
    (error,) = refused([late])
    assert error.details["retry_after"] >= 1
    assert bench.clock.monotonic() == before + 2.5, "nothing was done"


def test_time_that_a_busy_thread_loses_between_two_jobs_counts(bench):
    jobs = bench.give(2, seconds=0.1)
    for _ in range(2):
        bench.clock.advance(0.4)  # until the thread is at it
        bench.pool.begin()
    assert all(job.wait() for job in jobs)
    assert not refused(bench.give(2 + 8, seconds=0.1))
    assert refused(bench.give())


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=20), st.integers(0, 60))
def test_a_refusal_always_names_a_whole_second_or_more(durations, jobs):
    bench = Bench()
    bench.offload.limit(jobs=30)
    for seconds in durations:
        bench.learn(seconds)
    for error in refused(bench.give(jobs)):
        assert error.details["retry_after"] >= 1
        assert error.details["retry_after"] == math.floor(error.details["retry_after"])
    bench.pool.begin(jobs)
    assert gauge() == 0
