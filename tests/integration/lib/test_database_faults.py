"""PostgreSQL away, slow, silent, full: callers are told in time, nobody else notices, and no hands are needed.

Stock Nameko 2.14.1 with nameko-sqlalchemy 1.5.0, seen in the same situations: after a restart the first call fails
with what the pool remembers; every failure is a `RemoteError` with the SQL and its parameters in it; a query of 12 s
takes 12 s, and ten of 5 s keep an echo waiting until they end (4.6 s); a call whose server answers nothing never ends
(its caller left after 30 s), and ten of those stop the whole service: an echo got no answer in 10 s.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from nameko.exceptions import RpcTimeout

from deploy.local.infra import Infrastructure
from lib.errors import Unavailable
from lib.faults import Fault
from tests.integration.lib.conftest import Probe
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults
Call = Callable[..., Any]

STATEMENT_TIMEOUT = 3.0  # of config.yaml
AT_ONCE = 1.0  # on a machine that is busy with other things
AWAY, SLOW = "unavailable/database_unavailable", "unavailable/database_slow"
UNKNOWN = "unavailable/outcome_unknown"

END_ALL = sa.text("select pid, pg_terminate_backend(pid) from pg_stat_activity where application_name = 'probe_svc'")


@dataclass(frozen=True)
class Answer:
    outcome: str
    seconds: float
    value: Any = None


def ask(call: Call, method: str, *args: Any, **kwargs: Any) -> Answer:
    """Call the probe and tell how that went; the deadline is far away, so a wait that ends has ended in the service."""
    started, value = time.monotonic(), None
    try:
        value = getattr(call(timeout=20).probe_svc, method)(*args, **kwargs)
        outcome = "ok"
    except (Fault, Unavailable) as exc:
        outcome = f"{exc.kind}/{exc.code}"
    except RpcTimeout:
        outcome = "timeout"
    return Answer(outcome, time.monotonic() - started, value)


def ask_at_once(call: Call, times: int, method: str, *args: Any) -> list[Answer]:
    with ThreadPoolExecutor(times) as pool:
        return [each.result() for each in [pool.submit(ask, call, method, *args) for _ in range(times)]]


@contextmanager
def steadily(call: Call, method: str, *args: Any) -> Iterator[list[Answer]]:
    """Call again and again meanwhile; the list grows."""
    answers: list[Answer] = []
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            answers.append(ask(call, method, *args))
            done.wait(0.01)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        try:
            yield answers
        finally:
            done.set()
            running.result()


def outcomes(answers: list[Answer]) -> set[str]:
    return {each.outcome for each in answers}


def check(answers: list[Answer], outcome: str, *, within: float) -> None:
    assert outcomes(answers) == {outcome}
    assert max(each.seconds for each in answers) < within


def backends(probe: Probe, condition: str = "true") -> list[int]:
    """Return the process ids of the service's connections to PostgreSQL."""
    statement = f"select pid from pg_stat_activity where application_name = 'probe_svc' and {condition}"
    with probe.engine.connect() as connection:
        return list(connection.scalars(sa.text(statement)))


def accepts(probe: Probe) -> bool:
    try:
        probe.engine.connect().close()
    except sa.exc.OperationalError:
        return False
    return True


# --- restarted, killed ------------------------------------------------------------------------------------------------


def stop(probe: Probe, infrastructure: Infrastructure) -> None:
    infrastructure.postgres.stop()


def kill(probe: Probe, infrastructure: Infrastructure) -> None:
    infrastructure.postgres.kill()


def kill_one_backend(probe: Probe, infrastructure: Infrastructure) -> None:
    """PostgreSQL then ends all connections and recovers as after a crash, by itself."""
    os.kill(backends(probe)[0], signal.SIGKILL)


@pytest.mark.parametrize("end", [stop, kill, kill_one_backend])
def test_a_restart_costs_refusals_at_once_and_no_hands(
    probe: Probe, call: Call, infrastructure: Infrastructure, end: Callable[[Probe, Infrastructure], None]
) -> None:
    call().probe_svc.change("a")
    ask_at_once(call, 8, "slow_query", 0.2)  # so many idle connections are in the pool
    with steadily(call, "shelf", "a") as reads, steadily(call, "echo", 1) as echoes, ThreadPoolExecutor(1) as pool:
        writing = pool.submit(ask, call, "change", "a", "b", pause=1.0)
        eventually(lambda: backends(probe, "state = 'idle in transaction' and query like 'UPDATE shelves%'"))
        try:
            end(probe, infrastructure)
            interrupted = writing.result()
            seen = len(reads)
            eventually(lambda: len(reads) > seen + 5)
        finally:
            infrastructure.postgres.start()
            eventually(lambda: accepts(probe))
        first = ask_at_once(call, 8, "shelf", "a")
    assert interrupted.outcome == AWAY
    check([each for each in reads if each.outcome != "ok"], AWAY, within=AT_ONCE)
    check(echoes, "ok", within=AT_ONCE)
    check(first, "ok", within=2)
    assert {each.value for each in first} == {1}, "what was committed, and nothing else"
    assert call().probe_svc.change("a", "b") == ["a", "b"]


def test_a_restart_between_two_calls_is_not_noticed(probe: Probe, call: Call) -> None:
    """A pool that had been asked meanwhile would have thrown its connections away; here nobody asks."""
    ask_at_once(call, 8, "slow_query", 0.2)
    with probe.engine.connect() as connection:
        ended = set(connection.scalars(END_ALL))
    assert len(ended) >= 8
    eventually(lambda: not ended & set(backends(probe)))
    check(ask_at_once(call, 8, "shelf", "a"), "ok", within=2)


# --- slow, silent -----------------------------------------------------------------------------------------------------


def test_slow_queries_end_at_the_statement_timeout_and_delay_nobody_else(probe: Probe, call: Call) -> None:
    with ThreadPoolExecutor(12) as pool:
        waiting = [pool.submit(ask, call, "slow_query", 60) for _ in range(12)]
        eventually(lambda: len(backends(probe, "wait_event = 'PgSleep'")) == 12)
        others = [ask(call, *what) for what in (("echo", 1), ("shelf", "a"), ("change", "a")) for _ in range(5)]
        assert not any(each.done() for each in waiting), "asked while all of them were waiting"
        slow = [each.result() for each in waiting]
    check(others, "ok", within=AT_ONCE)
    check(slow, SLOW, within=STATEMENT_TIMEOUT + 1)
    assert not backends(probe, "wait_event = 'PgSleep'"), "PostgreSQL has given up, too"


@pytest.fixture
def between(idle_probe: Probe, infrastructure: Infrastructure, tmp_path: Path) -> Iterator[TcpProxy]:
    """The probe is running, and this is between it and PostgreSQL."""
    proxy = TcpProxy("127.0.0.1", infrastructure.ports["postgres"])
    url = idle_probe.config["DB_URIS"]["probe_svc:Base"]
    through = sa.make_url(url).set(port=proxy.port).render_as_string(hide_password=False)
    changed = tmp_path / "config.yaml"
    changed.write_text(Path(idle_probe.stack.environment["CONFIG_PATH"]).read_text().replace(url, through))
    idle_probe.start(CONFIG_PATH=str(changed))
    yield proxy
    proxy.heal()
    idle_probe.stop()
    proxy.close()


def test_a_server_that_answers_nothing_is_given_up_in_time(between: TcpProxy, call: Call) -> None:
    ask_at_once(call, 4, "slow_query", 0.2)
    between.blackhole()
    with steadily(call, "echo", 1) as echoes:
        # More than there are open connections: some have to open new ones.
        silent = ask_at_once(call, 8, "shelf", "a")
    between.heal()
    first = ask_at_once(call, 8, "shelf", "a")
    check(silent, AWAY, within=STATEMENT_TIMEOUT + 2)
    check(echoes, "ok", within=AT_ONCE)
    check(first, "ok", within=2)


def test_a_commit_without_an_answer_is_not_told_as_nothing_done(
    between: TcpProxy, idle_probe: Probe, call: Call
) -> None:
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(ask, call, "change", "c", pause=1.0)
        eventually(lambda: backends(idle_probe, "state = 'idle in transaction' and query like 'UPDATE shelves%'"))
        between.blackhole()
        answer = writing.result()
    between.heal()
    check([answer], UNKNOWN, within=1 + STATEMENT_TIMEOUT + 2)
    # The commit was on its way when the service gave up, and arrives.
    eventually(lambda: ask(call, "shelf", "c").value == 1)


# --- out of connections -----------------------------------------------------------------------------------------------


@contextmanager
def every_connection_taken(probe: Probe) -> Iterator[None]:
    """Others have all that PostgreSQL gives, also those that the service had."""
    held = [probe.engine.connect().execution_options(isolation_level="AUTOCOMMIT")]

    def none_left() -> bool:
        while True:
            try:
                held.append(probe.engine.connect())
            except sa.exc.OperationalError:
                return not held[0].execute(END_ALL).all()

    try:
        eventually(none_left, within=30)
        yield
    finally:
        for each in held:
            each.close()


def test_without_a_free_connection_callers_are_told_at_once(probe: Probe, call: Call) -> None:
    ask_at_once(call, 4, "slow_query", 0.2)
    with steadily(call, "echo", 1) as echoes:
        with every_connection_taken(probe):
            refused = ask_at_once(call, 12, "shelf", "a")
        first = ask_at_once(call, 8, "shelf", "a")
    check(refused, AWAY, within=AT_ONCE)
    check(echoes, "ok", within=AT_ONCE)
    check(first, "ok", within=2)
