"""Calls end at their deadline, nobody works for a caller who has gone, and what has timed out leaves nothing behind.

Stock Nameko 2.14.1, seen in the same situations: with ``timeout=0.6`` and four other replies on the connection
`ClusterRpcProxy` waited 2.0 s and took the answer. All of 200 calls that had timed out were executed when the service
went on, their 200 replies stayed in the proxy, and 7 channels had become 207; after 2046 timeouts there was "No free
channel ids" for good. A stock service asking another one that was not running still waited after 15 s: it has no limit.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from nameko.exceptions import RpcTimeout

from deploy.local.infra import Infrastructure
from lib.cluster import Cluster
from lib.context import ANONYMOUS, CallContext
from lib.faults import Fault
from tests.integration.lib.conftest import PROBE, Probe
from tests.support.nameko_run import NamekoRun
from tests.support.waiting import eventually, stays

pytestmark = pytest.mark.faults

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def stock_process(shared_probe: Probe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamekoRun]:
    process = NamekoRun(
        "tests.services.stock",
        amqp_uri=shared_probe.config["AMQP_URI"],
        environment=shared_probe.stack.environment,
        folder=tmp_path_factory.mktemp("stock"),
    )
    yield process
    process.kill()


@pytest.fixture
def stock(stock_process: NamekoRun, cluster: Cluster) -> Iterator[NamekoRun]:
    """A stock service that takes calls."""
    stock_process.start()
    eventually(lambda: cluster.consumers("stock_svc"), within=20)
    yield stock_process
    stock_process.signal(signal.SIGCONT)


def test_the_deadline_is_a_wall_of_real_time(probe: Probe, call: Call, cluster: Cluster) -> None:
    with ThreadPoolExecutor(1) as pool:
        # Replies to others on the same connection do not extend it.
        chatter = pool.submit(lambda: [call().probe_svc.echo(i) for i in range(300)])
        started = time.monotonic()
        with pytest.raises(RpcTimeout):
            call(timeout=0.4).probe_svc.write("slow", seconds=1.5)
        assert 0.3 < time.monotonic() - started < 0.9
        chatter.result()
    assert cluster.in_flight == 0


def test_a_call_whose_caller_has_gone_is_not_executed_later(probe: Probe, call: Call) -> None:
    # It counts nobody yet, so that its first call is sent although nobody is there.
    blind = Cluster(probe.config, name="blind")
    blind.start()
    try:
        assert blind.wait_up(10)
        probe.stop()
        with pytest.raises(RpcTimeout):
            blind.view(CallContext("late", actor=ANONYMOUS), timeout=0.3).probe_svc.write("too late")
    finally:
        blind.stop()
        probe.start()
    assert call().probe_svc.echo(1) == 1
    stays(lambda: probe.effects("%too late") == [], during=0.5)


def test_calls_that_a_frozen_service_holds_are_not_executed_when_it_thaws(probe: Probe, call: Call) -> None:
    """Those had left the queue before their time was up: the deadline in the header is all that stops them."""
    pid = probe.stack.pid(PROBE)
    os.kill(pid, signal.SIGSTOP)
    try:
        calls = [call(timeout=0.3).probe_svc.write.call_async(f"frozen {number}") for number in range(10)]
        for each in calls:
            with pytest.raises(RpcTimeout):
                each.result()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert call().probe_svc.echo(1) == 1
    stays(lambda: probe.effects("%frozen%") == [], during=0.5)


def _outcome(pending: Any) -> str:
    # Not pytest.raises: what that one keeps of each error would show in the memory.
    try:
        return f"answer {pending.result()}"
    except Exception as exc:
        return type(exc).__name__


@pytest.fixture
def narrow_probe(idle_probe: Probe, call: Call, stock: NamekoRun) -> Probe:
    """With one worker, who must come back from each call to another service, and 1.5 s for each.

    Started after the other service, it knows from the start that somebody is there.
    """
    idle_probe.start(MAX_WORKERS="1", RPC_TIMEOUT="1.5", DB_STATEMENT_TIMEOUT="0.5")
    eventually(lambda: _outcome(call().probe_svc.ask.call_async("stock", "echo", 1)) == "answer 1")
    return idle_probe


def test_a_service_waits_for_another_one_no_longer_than_its_limit(
    narrow_probe: Probe, call: Call, stock: NamekoRun
) -> None:
    assert call().probe_svc.ask("stock", "echo", "hello") == "hello"
    started = time.monotonic()
    with pytest.raises(Fault) as caught:
        call(timeout=10).probe_svc.ask("stock", "sleep", 10)
    assert 1.4 < time.monotonic() - started < 4
    assert (caught.value.kind, caught.value.code) == ("unavailable", "upstream_timeout")
    assert call().probe_svc.echo("free again") == "free again"


def test_a_service_waits_for_another_one_no_longer_than_its_own_caller(
    narrow_probe: Probe, call: Call, stock: NamekoRun
) -> None:
    started = time.monotonic()
    # The service's own refusal may just win the race against the caller's timeout.
    assert _outcome(call(timeout=0.4).probe_svc.ask.call_async("stock", "sleep", 10)) in ("RpcTimeout", "Fault")
    # The only worker is back before its limit.
    assert call(timeout=2).probe_svc.echo("free again") == "free again"
    assert time.monotonic() - started < 1.4


def test_a_service_that_calls_itself_with_all_workers_busy_does_not_hang(narrow_probe: Probe, call: Call) -> None:
    def times_out() -> bool:
        started = time.monotonic()
        with pytest.raises(Fault) as caught:
            call(timeout=10).probe_svc.ask("probe", "echo", 1)
        assert time.monotonic() - started < 4
        return caught.value.code == "upstream_timeout"

    # It counts its own instances, too, and right after its start it may not yet know of itself.
    eventually(times_out)
    assert call().probe_svc.echo("free again") == "free again"


def test_a_frozen_service_is_given_up_at_the_limit_and_an_absent_one_at_once(
    narrow_probe: Probe, call: Call, stock: NamekoRun
) -> None:
    assert call().probe_svc.ask("stock", "echo", "hello") == "hello"
    stock.signal(signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(Fault, match="upstream_timeout"):
        call(timeout=10).probe_svc.ask("stock", "echo", 1)
    assert time.monotonic() - started < 4

    stock.kill()
    killed = time.monotonic()
    # Its durable queue is still there, and still takes messages.
    code = ""
    while code != "service_unavailable":
        with pytest.raises((Fault, RpcTimeout)) as caught:
            call(timeout=0.3).probe_svc.ask("stock", "echo", 1)
        code = getattr(caught.value, "code", "")
        assert time.monotonic() - killed < 2
    started = time.monotonic()
    with pytest.raises(Fault, match="service_unavailable"):
        call().probe_svc.ask("stock", "echo", 1)
    assert time.monotonic() - started < 0.5


# --- ten thousand ---------------------------------------------------------------------------------------------------


def _memory() -> int:
    """Return what this process holds in memory, in KiB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def _broker_objects(infrastructure: Infrastructure) -> dict[str, int]:
    def count(*arguments: str) -> int:
        return len(infrastructure.rabbitmq.ctl("-q", *arguments).splitlines())

    return {
        "connections": count("list_connections", "pid"),
        "channels": count("list_channels", "pid"),
        "queues": count("list_queues", "name"),
    }


def _time_out(call: Call, times: int, *, batch: int = 500) -> None:
    for _ in range(times // batch):
        svc = call(timeout=0.15).probe_svc
        calls = [svc.echo.call_async("x" * 100) for _ in range(batch)]
        assert [_outcome(each) for each in calls] == ["RpcTimeout"] * batch


def test_ten_thousand_timed_out_calls_leave_nothing_behind(
    probe: Probe, call: Call, cluster: Cluster, infrastructure: Infrastructure
) -> None:
    assert call().probe_svc.echo(1) == 1
    before = _broker_objects(infrastructure)
    pid = probe.stack.pid(PROBE)
    os.kill(pid, signal.SIGSTOP)
    try:
        _time_out(call, 5000)  # Until the allocator has what it needs.
        memory = _memory()
        _time_out(call, 10_000)
        assert _memory() - memory < 3 * 1024
        assert cluster.in_flight == 0
        assert _broker_objects(infrastructure) == before
        # A message that nobody may run any more is no burden for the broker either.
        eventually(lambda: probe.depth("rpc-probe_svc") == 0)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert call().probe_svc.echo("next") == "next"
    # Answers that come too late find nobody: the same, with a service that does answer.
    for _ in range(5):
        calls = [call(timeout=0.05).probe_svc.sleep.call_async(0.5) for _ in range(20)]
        assert [_outcome(each) for each in calls] == ["RpcTimeout"] * 20
    assert cluster.in_flight == 0
    assert call().probe_svc.echo("last") == "last"
    assert _broker_objects(infrastructure) == before
