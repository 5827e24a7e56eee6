"""Identifiers sort by the time of their making; times are UTC and say so."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.ids import MOST_AHEAD, IdMaker, milliseconds_of, moment_of, new_id, new_id_after, rfc3339, utc_now

NOON = 1_767_268_800_000


def test_ids_are_version_7_distinct_and_in_the_order_of_their_making():
    made = [new_id() for _ in range(1000)]
    assert {(each.version, each.variant) for each in made} == {(7, "specified in RFC 4122")}
    assert len(set(made)) == 1000
    assert made == sorted(made)
    assert [str(each) for each in made] == sorted(str(each) for each in made)


def test_an_id_begins_with_the_time_in_milliseconds():
    before = time.time_ns() // 1_000_000
    made = new_id().int >> 80
    assert before <= made <= time.time_ns() // 1_000_000 + MOST_AHEAD


def test_a_burst_does_not_run_ahead_of_the_clock():
    made = [new_id() for _ in range(20_000)]
    assert milliseconds_of(new_id()) <= time.time_ns() // 1_000_000 + MOST_AHEAD
    assert made == sorted(made)


class Clock:
    """Stands still unless it is told.

    :ivar now: milliseconds
    """

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now * 1_000_000 + 999_999


def counted(id: UUID) -> int:
    return id.int >> 64 & 0xFFF


def test_a_millisecond_has_room_for_two_thousand_at_least():
    clock = Clock()
    make = IdMaker(clock)
    made = [make() for _ in range(2049)]
    assert {milliseconds_of(each) for each in made} == {NOON}
    assert [counted(each) - counted(made[0]) for each in made] == list(range(2049))


def test_more_than_that_takes_the_next_ones_and_never_many():
    clock = Clock()
    make = IdMaker(clock)
    made = [make() for _ in range(2**12 * (MOST_AHEAD + 1))]
    times = [milliseconds_of(each) for each in made]
    assert set(times) == set(range(NOON, NOON + MOST_AHEAD + 1))
    assert len(set(made)) == len(made)
    in_order = [each for each in made if milliseconds_of(each) < NOON + MOST_AHEAD][: 2048 * MOST_AHEAD]
    assert in_order == sorted(in_order)


def test_a_new_millisecond_begins_anywhere_in_the_lower_half():
    clock = Clock()
    make = IdMaker(clock)
    begun = []
    for _ in range(400):
        clock.now += 1
        begun.append(counted(make()))
    assert max(begun) < 2048
    # By chance, one test in 10^46 finds less.
    assert len(set(begun)) > 200


def test_a_clock_that_is_set_back_a_little_disturbs_no_order():
    clock = Clock()
    make = IdMaker(clock)
    first = make()
    clock.now -= MOST_AHEAD - 1
    second = make()
    clock.now += MOST_AHEAD
    assert first < second < make()
    assert milliseconds_of(second) == NOON


@pytest.mark.parametrize("back", [MOST_AHEAD, 1000, 3_600_000])
def test_a_clock_that_is_set_back_is_followed(back):
    clock = Clock()
    make = IdMaker(clock)
    make()
    clock.now -= back
    assert milliseconds_of(make()) == clock.now


def test_what_is_not_counted_is_chance():
    clock = Clock()
    make = IdMaker(clock)
    made = [make() for _ in range(1000)]
    ends = [each.int & 2**62 - 1 for each in made]
    assert len(set(ends)) == 1000
    for bit in range(62):
        assert 350 < sum(end >> bit & 1 for end in ends) < 650


class Meeting:
    """A clock that takes its time, and sees how many look at it at once."""

    def __init__(self) -> None:
        self.present, self.most = 0, 0

    def __call__(self) -> int:
        self.present += 1
        self.most = max(self.most, self.present)
        time.sleep(0.0001)
        self.present -= 1
        return time.time_ns()


def test_threads_get_their_ids_in_order():
    clock = Meeting()
    make = IdMaker(clock)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: [make() for _ in range(100)], range(8)))
    assert all(each == sorted(each) for each in made)
    assert len({each.int >> 64 for ids in made for each in ids}) == 800
    assert clock.most == 1


GREENLETS_AND_THREADS = """
import eventlet
eventlet.monkey_patch()
from eventlet import tpool
from lib.ids import new_id

def some():
    return [new_id() for _ in range(1000)]

def both(turn):
    return tpool.execute(some) if turn % 2 else some()

made = list(eventlet.GreenPool(16).imap(both, range(32)))
assert all(each == sorted(each) for each in made)
print(len({id.int >> 64 for ids in made for id in ids}))
"""


def test_greenlets_and_the_threads_beside_them_do_too():
    assert output_of(GREENLETS_AND_THREADS) == "32000"


FORKED = """
import os, signal
from threading import Event, Thread
from lib import ids

held, let_go = Event(), Event()

def hold():
    with ids._make._lock:
        held.set()
        let_go.wait(30)

holder = Thread(target=hold)
holder.start()
assert held.wait(30)
child = os.fork()
if not child:
    signal.alarm(20)
    print(ids.new_id(), flush=True)
    os._exit(0)
let_go.set()
holder.join()
assert os.waitpid(child, 0)[1] == 0
print(ids.new_id())
"""


def test_a_forked_process_makes_ids_whoever_was_making_one():
    """And none that its parent makes."""
    childs, parents = (UUID(line) for line in output_of(FORKED).splitlines())
    assert {childs.version, parents.version} == {7}
    assert childs.int & 2**62 - 1 != parents.int & 2**62 - 1


def output_of(program: str) -> str:
    """Run Python text in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_now_knows_its_zone():
    assert utc_now().utcoffset() == timedelta(0)


moments = st.datetimes(datetime(1900, 1, 2), datetime(9998, 12, 30))
zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moments, zones)
def test_a_moment_is_written_in_utc_and_read_back_as_the_same_moment(moment, zone):
    aware = moment.replace(tzinfo=zone)
    written = rfc3339(aware)
    assert written.endswith("Z")
    assert "+" not in written
    assert datetime.fromisoformat(written) == aware


def test_the_form_is_the_documented_one():
    assert rfc3339(datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)) == "2026-01-31T12:00:00.123456Z"
    assert rfc3339(datetime(2026, 1, 31, 12, 0, 0, 0, UTC)) == "2026-01-31T12:00:00Z"


@given(st.timedeltas(timedelta(days=-1), timedelta(days=365)))
def test_an_id_after_a_moment_is_later_than_it_whatever_the_clock_says(offset):
    moment = utc_now() + offset
    made = new_id_after(moment)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert milliseconds_of(made) > int(moment.timestamp() * 1000)
    assert moment_of(made) > moment
    assert new_id_after(None).version == 7


def test_only_an_id_of_this_kind_tells_its_time():
    now = utc_now()
    assert timedelta(0) <= moment_of(new_id()) - now + timedelta(milliseconds=1) < timedelta(seconds=5)
    assert milliseconds_of(UUID("6ba7b810-9dad-41d1-80b4-00c04fd430c8")) == 0
