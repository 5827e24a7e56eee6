"""More workers than database connections: a database that stalls costs its callers no more time than before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from nameko.exceptions import RpcTimeout

from lib.errors import Unavailable
from lib.faults import Fault
from tests.integration.lib.conftest import Probe
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults
Call = Callable[..., Any]

RPC_TIMEOUT = 5.0  # of config.yaml
CONNECTIONS = 4 + 2


@pytest.fixture
def narrow(idle_probe: Probe) -> Iterator[Probe]:
    """The probe with many workers and few connections."""
    idle_probe.start(MAX_WORKERS="60", DB_POOL_SIZE="4")
    yield idle_probe
    idle_probe.stop()


def ask(call: Call, method: str, *args: Any) -> tuple[str, float]:
    """Call the probe and tell how that went and how long it took; the deadline is far away."""
    started = time.monotonic()
    try:
        getattr(call(timeout=20).probe_svc, method)(*args)
        outcome = "ok"
    except (Fault, Unavailable) as exc:
        outcome = exc.code
    except RpcTimeout:
        outcome = "timeout"
    return outcome, time.monotonic() - started


def connections(probe: Probe) -> int:
    asked = "select count(*) from pg_stat_activity where application_name = 'probe_svc'"
    with probe.engine.connect() as connection:
        return int(connection.scalar(sa.text(asked)) or 0)


def test_callers_are_told_before_they_leave_wherever_they_wait(narrow: Probe, call: Call) -> None:
    answers: list[tuple[str, float]] = []
    over = threading.Event()

    def insist() -> None:
        while not over.is_set():
            answers.append(ask(call, "slow_query", 60))

    most = 0
    echoes: list[tuple[str, float]] = []
    with ThreadPoolExecutor(40) as pool:
        for number in range(40):
            # Not all at once: some come when a connection is about to be free, and wait for their statement, too.
            threading.Timer(number * 0.05, pool.submit, (insist,)).start()
        until = time.monotonic() + 6
        while time.monotonic() < until:
            echoes.append(ask(call, "echo", 1))
            most = max(most, connections(narrow))
        over.set()
    outcomes = {outcome for outcome, _ in answers}
    assert outcomes == {"database_slow", "database_unavailable"}
    assert max(seconds for _, seconds in answers) < RPC_TIMEOUT
    assert {outcome for outcome, _ in echoes} == {"ok"}
    assert max(seconds for _, seconds in echoes) < 1
    assert CONNECTIONS - 2 <= most <= CONNECTIONS


def test_who_waits_for_a_connection_gets_one_when_it_is_free(narrow: Probe, call: Call) -> None:
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda _: ask(call, "slow_query", 0.1), range(30)))
    assert {outcome for outcome, _ in answers} == {"ok"}
    assert eventually(lambda: connections(narrow)) <= CONNECTIONS
