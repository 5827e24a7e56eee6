"""Counting: together while there is a Redis, strictly by each process while there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage

from gateway import counters as module
from gateway.counters import RETRY_EVERY, Counters, OwnWindows
from tests.unit.lib.fakes import Clock

TEN, ONE = parse("10/minute"), parse("1/10minutes")


class Redis(MemoryStorage):
    """Counts as a Redis does, for all who share it, and goes away on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: Exception | None = None
        self.asked = 0

    def acquire_entry(self, *args: Any, **kwargs: Any) -> bool:
        self._answer()
        return super().acquire_entry(*args, **kwargs)

    def get_moving_window(self, *args: Any, **kwargs: Any) -> tuple[float, int]:
        self._answer()
        return super().get_moving_window(*args, **kwargs)

    def _answer(self) -> None:
        self.asked += 1
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Redis:
    return Redis()


@pytest.fixture
def process(server: Redis, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Counters]:
    """Return a function that makes the counters of one process more."""
    monkeypatch.setattr(module, "storage_from_string", lambda *_, **__: server)
    return lambda processes=2: Counters("redis://somewhere", processes=processes, clock=clock.monotonic)


def passed(counters: Counters, limit: RateLimitItem = TEN, key: str = "a", times: int = 30) -> int:
    return sum(counters.hit(limit, key).passed for _ in range(times))


def test_all_processes_count_together(process: Callable[..., Counters]) -> None:
    first, second = process(), process()
    assert passed(first, times=6) == 6
    assert passed(second) == 4
    assert passed(first) == 0
    assert passed(first, key="b") == 10
    assert passed(first, parse("5/minute")) == 5


def test_a_window_says_how_much_is_left_and_for_how_long(process: Callable[..., Counters]) -> None:
    counters = process()
    window = counters.hit(TEN, "a")
    assert (window.passed, window.remaining, window.seconds) == (True, 9, 60)
    passed(counters)
    window = counters.hit(TEN, "a")
    assert (window.passed, window.remaining) == (False, 0)
    assert 59 <= window.seconds <= 60


def test_looking_counts_nothing(process: Callable[..., Counters], server: Redis, clock: Clock) -> None:
    counters = process()
    for failure in (None, redis.ConnectionError()):
        server.failure = failure
        for _ in range(30):
            assert counters.look(ONE, "a").passed
        assert counters.hit(ONE, "a" if failure else "b").passed
        assert not counters.look(ONE, "a" if failure else "b").passed


@pytest.mark.parametrize(
    "failure",
    [redis.ConnectionError(), redis.TimeoutError(), redis.ResponseError("LOADING"), redis.exceptions.ReadOnlyError()],
)
@pytest.mark.parametrize("processes, share", [(1, 10), (3, 3), (10, 1), (64, 1)])
def test_without_redis_each_process_lets_its_share_pass(
    process: Callable[..., Counters], server: Redis, failure: Exception, processes: int, share: int
) -> None:
    server.failure = failure
    counters = process(processes)
    assert passed(counters) == share
    window = counters.hit(TEN, "a")
    assert (window.passed, window.remaining, window.seconds) == (False, 0, 60)
    assert passed(counters, key="b") == share


def test_without_redis_the_window_moves_too(process: Callable[..., Counters], server: Redis, clock: Clock) -> None:
    server.failure = redis.ConnectionError()
    counters = process(2)
    for _ in range(5):
        assert counters.hit(TEN, "a").passed
        clock.advance(10)
    assert counters.hit(TEN, "a").seconds == 10
    assert not counters.hit(TEN, "a").passed
    clock.advance(10)
    assert counters.hit(TEN, "a").passed
    assert not counters.hit(TEN, "a").passed


def test_a_redis_that_is_away_is_asked_once_in_a_while(
    process: Callable[..., Counters], server: Redis, clock: Clock
) -> None:
    """The others do not wait for what the one has waited for."""
    server.failure = redis.TimeoutError()
    counters = process()
    passed(counters)
    assert server.asked == 1
    for seconds in range(1, 4):
        clock.advance(RETRY_EVERY)
        passed(counters)
        assert server.asked == 1 + seconds


def test_a_redis_that_is_back_counts_again(process: Callable[..., Counters], server: Redis, clock: Clock) -> None:
    first, second = process(), process()
    assert passed(first, times=2) == 2
    server.failure = redis.ConnectionError()
    assert passed(first) == 3
    server.failure = None
    assert passed(first) == 0
    clock.advance(RETRY_EVERY)
    assert passed(first) == 8
    assert passed(second) == 0


@given(
    moves=st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=40, max_size=80),
    goes_at=st.integers(0, 60),
)
def test_whenever_redis_goes_no_process_lets_more_pass_than_is_left_of_its_share(
    moves: list[tuple[int, bool]], goes_at: int
) -> None:
    server, clock = Redis(), Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "storage_from_string", lambda *_, **__: server)
        processes = [Counters("redis://somewhere", processes=3, clock=clock.monotonic) for _ in range(3)]
    before: Counter[tuple[str, int]] = Counter()
    after: Counter[tuple[str, int]] = Counter()
    for number, (which, other) in enumerate(moves):
        if number == goes_at:
            server.failure = redis.ConnectionError()
        counted = before if server.failure is None else after
        counted["b" if other else "a", which] += processes[which].hit(TEN, "b" if other else "a").passed
    for key in "ab":
        assert sum(before[key, which] for which in range(3)) <= 10
        for which in range(3):
            # A share is three: who has had as many of this process gets none anew.
            assert after[key, which] <= max(0, 3 - before[key, which])


def test_many_threads_get_no_more_than_their_process_may(process: Callable[..., Counters], server: Redis) -> None:
    server.failure = redis.ConnectionError()
    counters = process(2)
    limit = parse("100/minute")
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda _: counters.hit(limit, "a").passed, range(400)))
    assert sum(outcomes) == 50


def test_the_memory_for_addresses_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_KEYS", 100)
    own = OwnWindows(clock.monotonic)
    assert own.hit(("everybody",), 1, 60).passed
    for number in range(1000):
        assert own.hit((str(number),), 5, 60).passed
        # One that is asked for all the time is not forgotten for those that come once.
        assert not own.look(("everybody",), 1, 60).passed
    assert len(own) == 100


def test_what_passed_elsewhere_fills_a_window_and_no_more(clock: Clock) -> None:
    own = OwnWindows(clock.monotonic)
    for _ in range(1000):
        own.note(("a",), 5, 60)
        clock.advance(0.001)
    assert own.look(("a",), 5, 60).remaining == 0
    clock.advance(60)
    assert own.look(("a",), 5, 60).remaining == 5


def test_metrics_tell_how_often_a_process_counted_alone(
    process: Callable[..., Counters], server: Redis, clock: Clock
) -> None:
    alone = module.ALONE._value.get  # type: ignore[attr-defined]
    counters, before = process(), alone()
    counters.hit(TEN, "a")
    assert alone() == before
    server.failure = redis.ConnectionError()
    for _ in range(3):
        counters.hit(TEN, "a")
    assert alone() == before + 3
