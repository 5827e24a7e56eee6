"""Locks in PostgreSQL that are not given up, and deadlocks.

Stock Nameko 2.14.1 with nameko-sqlalchemy 1.5.0, seen in the same situations: the waiter waits as long as the lock is
held; its caller left after 20 s, and the change was made all the same when the lock was free. The loser of a deadlock
is not run again: its caller gets a `RemoteError` with PostgreSQL's text and the process ids in it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from tests.integration.lib.conftest import PROBE, Probe
from tests.integration.lib.test_database_faults import (
    AT_ONCE,
    STATEMENT_TIMEOUT,
    Answer,
    Call,
    ask,
    ask_at_once,
    backends,
    check,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults

LOCK_TIMEOUT = STATEMENT_TIMEOUT / 2
CONTENDED = "conflict/contended"
ONCE_MORE = "lost a race for rows; once more"


@pytest.mark.parametrize(
    ("lock", "method"),
    [
        ("update shelves set changes = changes where name = 'a'", "change"),
        ("lock table shelves in access exclusive mode", "shelf"),  # as a migration would
    ],
)
def test_a_lock_that_is_not_given_up_is_a_conflict_for_the_waiters_alone(
    probe: Probe, call: Call, lock: str, method: str
) -> None:
    ask_at_once(call, 6, "slow_query", 0.2)  # opens the connections that are needed below
    with probe.engine.connect() as holder, ThreadPoolExecutor(4) as pool:
        holder.execute(sa.text(lock))
        waiting = [pool.submit(ask, call, method, "a") for _ in range(4)]
        eventually(lambda: len(backends(probe, "wait_event_type = 'Lock'")) == 4)
        others = [ask(call, *what) for what in (("echo", 1), ("write", "elsewhere")) for _ in range(2)]
        if method == "change":
            others += [ask(call, "change", "b"), ask(call, "shelf", "a")]
        assert not any(each.done() for each in waiting), "asked while all of them were waiting"
        waited = [each.result() for each in waiting]
    check(others, "ok", within=AT_ONCE)
    assert min(each.seconds for each in waited) < LOCK_TIMEOUT + 1
    # One waits for the row and the others for their turn to wait, so the second of them may wait twice.
    check(waited, CONTENDED, within=2 * LOCK_TIMEOUT + 1)
    assert ask(call, method, "a").outcome == "ok"
    assert ask(call, "shelf", "a").value == (1 if method == "change" else 0), "nobody's change comes later"


def test_of_a_deadlock_both_succeed_and_the_loser_ran_twice(probe: Probe, call: Call) -> None:
    before = probe.stack.log(PROBE).count(ONCE_MORE)
    check(cross(call, "change"), "ok", within=6)
    # Mostly one. On a busy machine a loser comes back before PostgreSQL has woken the winner up, who then loses.
    losers = probe.stack.log(PROBE).count(ONCE_MORE) - before
    assert losers in (1, 2)
    assert len(probe.effects("change %")) == 2 + losers
    assert [ask(call, "shelf", name).value for name in "ab"] == [2, 2]


def test_of_a_deadlock_the_loser_that_must_not_run_twice_is_told(probe: Probe, call: Call) -> None:
    answers = cross(call, "change_once")
    assert sorted(each.outcome for each in answers) == [CONTENDED, "ok"]
    assert len(probe.effects("change %")) == 2
    assert [ask(call, "shelf", name).value for name in "ab"] == [1, 1]


def cross(call: Call, method: str) -> list[Answer]:
    """Have two calls lock the same rows in opposite order."""
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(ask, call, method, *names, pause=0.6) for names in (("a", "b"), ("b", "a"))]
        return [each.result() for each in both]


def test_who_loses_a_second_deadlock_is_not_run_a_third_time(probe: Probe, call: Call) -> None:
    with probe.engine.connect() as rival, ThreadPoolExecutor(1) as pool:
        # Whoever looks for deadlocks first is the loser; this one never looks.
        rival.execute(sa.text("set local deadlock_timeout = '1min'"))
        lock = "update shelves set changes = changes where name = :name"
        rival.execute(sa.text(lock), {"name": "b"})
        loser = pool.submit(ask, call, "change", "a", "b", pause=0.3)
        in_the_middle = "query like 'UPDATE shelves%' and (wait_event_type = 'Lock' or state = 'idle in transaction')"
        for run in (1, 2):
            eventually(lambda count=run: len(probe.effects("change a-b")) == count)
            eventually(lambda: loser.done() or backends(probe, in_the_middle))
            again = rival.begin_nested()
            rival.execute(sa.text(lock), {"name": "a"})  # gets it when the other has lost
            again.rollback()
        answer = loser.result()
    assert answer.outcome == CONTENDED
    assert len(probe.effects("change a-b")) == 2
    assert [ask(call, "shelf", name).value for name in "ab"] == [0, 0]
