"""The broker goes away or takes no messages: nobody hangs, nobody dies, nothing acknowledged is lost.

Stock Nameko 2.14.1 in the same situations, seen on RabbitMQ 3.10: a `ClusterRpcProxy` that had a call in flight when
the broker went answers `RuntimeError: This consumer has been disconnected` for ever after; a call made while the broker
is away takes 3.0 s to fail; a service whose worker finished meanwhile ends with code 1 five seconds after the broker is
back; in a memory or disk alarm a call with ``timeout=3`` still hung after 20 s, until the alarm was over.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import amqp
import pytest
import sqlalchemy as sa
from nameko.exceptions import RpcTimeout

from deploy.local.infra import Infrastructure
from lib import topology
from lib.cluster import Cluster
from lib.context import ANONYMOUS, CallContext
from lib.errors import Unavailable
from lib.ids import new_id, utc_now
from lib.wire import connect
from tests.integration.lib.conftest import PROBE, Probe
from tests.services import probe as probe_module
from tests.support.broker import Attempt, Load, alarm, started
from tests.support.waiting import eventually, stays

pytestmark = pytest.mark.faults

TIMEOUT = 3.0
AT_ONCE = 1.0
RECOVERY = 10.0


def write(
    cluster: Cluster, name: str, *, seconds: float = 0.0, after: str | None = None, timeout: float = TIMEOUT
) -> str:
    """Call ``write`` and say how it went; anything but success and "unavailable" is a bug and comes out."""
    try:
        service = cluster.view(CallContext(name, actor=ANONYMOUS), timeout=timeout).probe_svc
        if after is None:
            service.write(name, seconds=seconds)
        else:
            service.write_after(name, after)
    except Unavailable as exc:
        return exc.code
    except RpcTimeout:
        return "timeout"
    return "ok"


def too_late(attempts: list[Attempt], *, since: float) -> list[Attempt]:
    """Return those that failed later than they may: a second after their start (or the fault's), or their deadline."""
    return [
        each
        for each in attempts
        if each.ended > max(each.began, since) + AT_ONCE and each.ended > each.began + TIMEOUT + 0.5
    ]


def begun_after(load: Load, moment: float) -> list[Attempt]:
    return [each for each in list(load.attempts) if each.began > moment]


# --- away ---


@dataclass
class Outage:
    """What was seen while the broker went away and came back."""

    writes: Load
    events: Load
    in_flight: str
    answered_at: float
    gone_at: float
    accepting_at: float
    back_at: float
    pid: int
    confirmed: dict[str, str]


@contextmanager
def paused(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module", params=["stopped", "killed"])
def outage(
    request: pytest.FixtureRequest, shared_probe: Probe, cluster: Cluster, infrastructure: Infrastructure
) -> Iterator[Outage]:
    """The broker is stopped in good order, or killed by SIGKILL, under steady work, and started again."""
    probe, rabbitmq, how = shared_probe, infrastructure.rabbitmq, request.param
    stopped = how == "stopped"
    probe.start()
    eventually(lambda: cluster.consumers("probe_svc"))
    confirmed: dict[str, str] = {}

    def emit(name: str) -> str:
        try:
            confirmed[name] = probe.emit("thing.happened")
        except (OSError, amqp.AMQPError) as exc:
            return type(exc).__name__
        return "ok"

    pid = probe.stack.pid(PROBE)
    with (
        ThreadPoolExecutor(1) as pool,
        Load(f"{how}-write", lambda name: write(cluster, name)) as writes,
        Load(f"{how}-event", emit, threads=1) as events,
    ):
        eventually(lambda: len(writes.with_outcome("ok")) > 20 and len(confirmed) > 10)
        slow: Future[tuple[str, float]] = pool.submit(
            # Not for so many seconds: a stop in good order takes its time.
            lambda: (write(cluster, f"{how}-in-flight", after=f"gone {how}", timeout=25), time.monotonic())
        )
        eventually(lambda: probe.effects(f"begun {how}-in-flight"))
        if stopped:
            rabbitmq.ctl("stop_app")
        else:
            with paused(pid):
                # Nobody takes these: the broker alone has them when it dies.
                confirmed |= {f"waiting-{number}": probe.emit("thing.happened") for number in range(30)}
                rabbitmq.kill()
        gone_at = time.monotonic()
        try:
            in_flight, answered_at = slow.result(timeout=30)
            probe.effect(f"gone {how}")
            eventually(lambda: probe.effects(f"{how}-in-flight"))
            # The worker has finished; now it finds nobody to send its reply to.
            stays(lambda: probe.stack.running(PROBE), during=3.0)
        finally:
            accepting_at = started(rabbitmq, lambda: rabbitmq.ctl("start_app") if stopped else rabbitmq.start())
        back_at = writes.first_ok_after(accepting_at - 1)
        done = len(confirmed)
        eventually(lambda: len(confirmed) > done)
    yield Outage(writes, events, in_flight, answered_at, gone_at, accepting_at, back_at, pid, confirmed)
    # RabbitMQ 3.10 does not bear it when a quorum queue is deleted right after a start of the broker.
    eventually(lambda: time.monotonic() > accepting_at + 2)


def test_calls_fail_at_once_or_at_their_deadline_while_the_broker_is_away(outage: Outage) -> None:
    failed = outage.writes.failed()
    assert failed, "the broker was away"
    assert too_late(failed, since=outage.gone_at) == []


def test_a_call_in_flight_is_told_at_once_that_its_outcome_is_not_known(outage: Outage) -> None:
    assert outage.in_flight == "call_interrupted"
    assert outage.answered_at < outage.gone_at + AT_ONCE


def test_a_worker_that_finishes_while_the_broker_is_away_takes_nobody_down(
    outage: Outage, shared_probe: Probe, cluster: Cluster
) -> None:
    assert shared_probe.stack.running(PROBE)
    assert shared_probe.stack.pid(PROBE) == outage.pid
    assert write(cluster, "still the same process") == "ok"


def test_all_works_again_without_hands(outage: Outage) -> None:
    assert outage.back_at - outage.accepting_at < RECOVERY


def test_what_was_answered_has_happened_once_and_nothing_happened_twice(outage: Outage, shared_probe: Probe) -> None:
    prefix = outage.writes.attempts[0].name.split("-")[0]
    effects = Counter(shared_probe.effects(f"{prefix}-%"))
    assert {each.name for each in outage.writes.with_outcome("ok")} <= effects.keys()
    assert [name for name, times in effects.items() if times > 1] == []


def test_a_confirmed_event_has_its_effects_once(outage: Outage, shared_probe: Probe) -> None:
    assert outage.events.failed(), "the broker was away"
    expected = {f"{handler} {each}" for each in outage.confirmed.values() for handler in ("on_thing", "also_on_thing")}

    def missing() -> set[str]:
        return expected - set(shared_probe.effects("%on_thing %"))

    eventually(lambda: not missing())
    times = Counter(shared_probe.effects("%on_thing %"))
    assert [name for name in times if times[name] > 1] == []


# --- full ---


@pytest.fixture
def published(probe: Probe) -> Iterator[Callable[[], list[str]]]:
    """The ids of all events that the probe has published since the beginning of the test."""
    found: list[str] = []
    with connect(probe.config["AMQP_URI"], name="test", heartbeat=0) as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).queue
        channel.queue_bind(queue, "probe_svc.events", "#")

        def ids() -> list[str]:
            while message := channel.basic_get(queue, no_ack=True):
                found.append(message.properties["message_id"])
            return found

        yield ids


def put_events(probe: Probe, count: int) -> set[str]:
    """Commit events as the probe's own transactions would."""
    ids = [str(new_id()) for _ in range(count)]
    rows = [
        {"event_id": each, "type": "probe.done", "envelope": {"id": each}, "headers": {}, "created_at": utc_now()}
        for each in ids
    ]
    with probe.engine.begin() as connection:
        connection.execute(probe_module.outbox_table.insert(), rows)
    return set(ids)


def unsent(probe: Probe) -> int:
    table = probe_module.outbox_table
    with probe.engine.connect() as connection:
        return int(
            connection.scalar(sa.select(sa.func.count()).select_from(table).where(table.c.sent_at.is_(None))) or 0
        )


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_a_broker_that_takes_no_messages_makes_calls_fail_in_time_and_loses_nothing(
    kind: str,
    probe: Probe,
    call: Callable[..., Any],
    cluster: Cluster,
    infrastructure: Infrastructure,
    published: Callable[[], list[str]],
) -> None:
    assert call().probe_svc.echo(1) == 1
    pid = probe.stack.pid(PROBE)
    with ThreadPoolExecutor(1) as pool, Load(f"{kind}-write", lambda name: write(cluster, name)) as writes:
        eventually(lambda: writes.with_outcome("ok"))
        slow = pool.submit(lambda: write(cluster, f"{kind}-in-flight", seconds=1.5, timeout=5))
        eventually(lambda: probe.effects(f"begun {kind}-in-flight"))
        expected = put_events(probe, 5)
        since = time.monotonic()
        with alarm(infrastructure.rabbitmq, kind):
            raised = time.monotonic()
            expected |= put_events(probe, 50)
            eventually(lambda: not cluster.connected, within=5)
            known = time.monotonic()
            # Long enough for several rounds of whoever tries again.
            eventually(lambda: len(begun_after(writes, known)) > 100)
            assert {each.outcome for each in begun_after(writes, known)} == {"broker_unavailable"}
            # Its worker's reply may have been the last message that the broker took, or not: it ended, in any case.
            assert slow.result(timeout=6) in {"ok", "call_interrupted", "timeout"}
            assert unsent(probe) > 0, "the broker took them although it had said that it would not"
        cleared = time.monotonic()
        assert writes.first_ok_after(raised + 1) - cleared < RECOVERY
    assert too_late(writes.failed(), since=since) == []
    eventually(lambda: probe.effects(f"{kind}-in-flight"))
    effects = Counter(probe.effects(f"{kind}-%"))
    assert {each.name for each in writes.with_outcome("ok")} <= effects.keys()
    assert [name for name, times in effects.items() if times > 1] == []
    eventually(lambda: unsent(probe) == 0)
    eventually(lambda: expected <= set(published()))
    assert probe.stack.pid(PROBE) == pid
    assert probe.stack.running(PROBE)


def test_an_event_that_fails_while_the_broker_takes_nothing_waits_in_its_handlers_hands(
    idle_probe: Probe, infrastructure: Infrastructure
) -> None:
    """Giving it back would count as a delivery each time, and soon it would be parked."""
    probe = idle_probe
    topology.declare_service(probe_module.ProbeService, probe.config)
    ids = [probe.emit("thing.failed", fails=1) for _ in range(5)]
    with alarm(infrastructure.rabbitmq, "memory"):
        probe.start()
        # Without its link to the broker, as may be now, a service waits for some seconds before it takes anything.
        eventually(lambda: len(probe.effects("attempt %")) >= 5, within=30)
        eventually(lambda: "could not be moved" in probe.stack.log(PROBE))
        stays(lambda: len(probe.effects("attempt %")) == 5, during=3.0)
    eventually(lambda: sorted(probe.effects("on_failed %")) == sorted(f"on_failed {each}" for each in ids))
    assert Counter(probe.effects("attempt %")) == Counter({f"attempt {each}": 2 for each in ids})
    assert probe.depth("dead-probe_svc") == 0
