"""The network between a process and the broker breaks, loudly (RST) or without a word (a black hole).

Stock Nameko 2.14.1 in the same situations, seen on RabbitMQ 3.10: a call with ``timeout=3`` into a black hole still
hung after 40 s, since the wait for the broker's confirm has no limit; a service whose connections went silent was deaf
after 60 s still, with a heartbeat of 2 s, since it asks the silent peer politely to close. A reset it survives.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from nameko.exceptions import RpcTimeout

from deploy.local.infra import Infrastructure
from lib.cluster import Cluster
from lib.context import ANONYMOUS, CallContext
from lib.errors import Unavailable
from lib.faults import Fault
from tests.integration.lib.conftest import PROBE, Probe
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import eventually, stays

pytestmark = pytest.mark.faults

HEARTBEAT = 2
#: a silent peer is given up after two heartbeats, and asked for at most every quarter of a second
NOTICED = 2 * HEARTBEAT + 2.0
RECOVERY = 10.0


@pytest.fixture
def proxy(infrastructure: Infrastructure) -> Iterator[TcpProxy]:
    """In front of the broker."""
    with TcpProxy("127.0.0.1", infrastructure.rabbitmq.ports["amqp"]) as proxy:
        yield proxy


def through(proxy: TcpProxy, uri: str, infrastructure: Infrastructure) -> str:
    return uri.replace(f":{infrastructure.rabbitmq.ports['amqp']}/", f":{proxy.port}/")


def outcome(invoke: Callable[[], object]) -> str:
    """Say how a call went; anything but success and "unavailable" is a bug and comes out."""
    try:
        invoke()
    except Unavailable as exc:
        return exc.code
    except Fault as exc:
        if exc.kind != "unavailable":
            raise
        return exc.code
    except RpcTimeout:
        return "timeout"
    return "ok"


def timed(invoke: Callable[[], object]) -> tuple[str, float]:
    started = time.monotonic()
    return outcome(invoke), time.monotonic() - started


# --- between a client and the broker ---


class Client:
    """Calls the probe through the proxy."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def probe(self, timeout: float = 5.0) -> Any:
        return self.cluster.view(CallContext("network", actor=ANONYMOUS), timeout=timeout).probe_svc

    def works(self) -> bool:
        return outcome(lambda: self.probe().echo(1)) == "ok"


@pytest.fixture
def client(probe: Probe, proxy: TcpProxy, infrastructure: Infrastructure) -> Iterator[Client]:
    """Connected, and the probe in sight."""
    config = {
        **probe.config,
        "AMQP_URI": through(proxy, probe.config["AMQP_URI"], infrastructure),
        "HEARTBEAT": HEARTBEAT,
    }
    cluster = Cluster(config, name="proxied", services=["probe_svc"])
    cluster.start()
    eventually(lambda: cluster.consumers("probe_svc"))
    yield Client(cluster)
    cluster.stop()


def test_a_reset_fails_the_calls_in_flight_at_once_and_the_next_ones_work(
    probe: Probe, client: Client, proxy: TcpProxy
) -> None:
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(timed, lambda: client.probe().write("reset", seconds=1.5))
        eventually(lambda: probe.effects("begun reset"))
        proxy.reset()
        told, seconds = call.result()
    assert (told, seconds < 1.5) == ("call_interrupted", True)
    eventually(client.works, within=RECOVERY)
    eventually(lambda: probe.effects("reset") == ["reset"], within=5)


def test_a_black_hole_ends_calls_at_their_deadline_and_is_found(client: Client, proxy: TcpProxy) -> None:
    proxy.blackhole()
    into = time.monotonic()
    told, seconds = timed(lambda: client.probe(timeout=1.0).echo(1))
    assert told == "timeout"
    assert 0.9 < seconds < 1.6
    eventually(lambda: not client.cluster.connected, within=NOTICED)
    assert time.monotonic() - into < NOTICED
    told, seconds = timed(lambda: client.probe().echo(1))
    assert told == "broker_unavailable"
    assert seconds < 1.0, "not to wait for a deadline when it is known that the broker is away"
    assert client.cluster.in_flight == 0
    proxy.heal()
    eventually(client.works, within=RECOVERY)


def test_a_black_hole_that_ends_soon_costs_nothing(probe: Probe, client: Client, proxy: TcpProxy) -> None:
    def write(number: int) -> str:
        return outcome(lambda: client.probe().write(f"held-{number}", seconds=0.5))

    with ThreadPoolExecutor(12) as pool:
        before = pool.map(write, range(6))
        eventually(lambda: len(probe.effects("begun held-%")) == 6)
        proxy.blackhole()
        during = pool.map(write, range(6, 12))
        eventually(lambda: len(probe.effects("held-%")) == 6)
        proxy.heal()
        assert [*before, *during] == ["ok"] * 12
    assert Counter(probe.effects("held-%")) == Counter(f"held-{number}" for number in range(12))


def test_a_connection_that_has_gone_silent_for_good_is_replaced(client: Client, proxy: TcpProxy) -> None:
    proxy.lose()
    eventually(client.works, within=NOTICED + RECOVERY)
    assert proxy.connections == 1


# --- between a service and the broker ---


@pytest.fixture
def proxied(
    idle_probe: Probe,
    proxy: TcpProxy,
    infrastructure: Infrastructure,
    probe_environment: Any,
    cluster: Cluster,
    tmp_path: Path,
) -> Probe:
    """The probe behind the proxy; its callers are not."""
    config = tmp_path / "config.yaml"
    text = Path(probe_environment[0]["CONFIG_PATH"]).read_text()
    config.write_text(text.replace("\nHEARTBEAT: 10\n", f"\nHEARTBEAT: {HEARTBEAT}\n"))
    uri = through(proxy, idle_probe.config["AMQP_URI"], infrastructure)
    idle_probe.start(AMQP_URI=uri, CONFIG_PATH=str(config))
    eventually(lambda: cluster.consumers("probe_svc"))
    assert proxy.connections == 2, "one for consuming, one for sending"
    return idle_probe


def test_a_service_survives_a_reset_in_the_middle_of_calls(
    proxied: Probe, proxy: TcpProxy, call: Callable[..., Any]
) -> None:
    pid = proxied.stack.pid(PROBE)

    def write(number: int) -> str:
        return outcome(lambda: call(wait=False).probe_svc.write(f"cut-{number}", seconds=2.0))

    with ThreadPoolExecutor(8) as pool:
        outcomes = pool.map(write, range(8))
        eventually(lambda: len(proxied.effects("begun cut-%")) == 8)
        proxy.reset()
        # Handed out again, and refused: it is running already. Or its reply was faster.
        assert set(outcomes) <= {"ok", "outcome_unknown"}
    eventually(lambda: outcome(lambda: call(wait=False).probe_svc.echo(1)) == "ok", within=RECOVERY)
    eventually(lambda: Counter(proxied.effects("cut-%")) == Counter(f"cut-{number}" for number in range(8)))
    stays(lambda: len(proxied.effects("begun cut-%")) == 8, during=0.5)
    assert (proxied.stack.running(PROBE), proxied.stack.pid(PROBE)) == (True, pid)


def test_a_black_hole_that_ends_soon_costs_a_service_nothing(
    proxied: Probe, proxy: TcpProxy, call: Callable[..., Any]
) -> None:
    def write(number: int) -> str:
        return outcome(lambda: call(wait=False).probe_svc.write(f"kept-{number}", seconds=0.5))

    with ThreadPoolExecutor(12) as pool:
        before = pool.map(write, range(6))
        eventually(lambda: len(proxied.effects("begun kept-%")) == 6)
        proxy.blackhole()
        during = pool.map(write, range(6, 12))
        eventually(lambda: len(proxied.effects("kept-%")) == 6)
        proxy.heal()
        assert [*before, *during] == ["ok"] * 12
    assert Counter(proxied.effects("kept-%")) == Counter(f"kept-{number}" for number in range(12))


@pytest.mark.parametrize("fault", ["blackhole", "lose"])
def test_a_service_finds_out_that_its_connections_are_silent(
    proxied: Probe, proxy: TcpProxy, call: Callable[..., Any], fault: str
) -> None:
    pid, lost = proxied.stack.pid(PROBE), proxied.stack.log(PROBE).count("no broker")
    with ThreadPoolExecutor(1) as pool:
        in_flight = pool.submit(timed, lambda: call(wait=False, timeout=4).probe_svc.write("silent", seconds=0.5))
        eventually(lambda: proxied.effects("begun silent"))
        getattr(proxy, fault)()
        told, seconds = in_flight.result()
        assert (told, seconds < 5) == ("timeout", True)
    if fault == "blackhole":
        eventually(lambda: proxied.stack.log(PROBE).count("no broker") > lost, within=NOTICED)
        proxy.heal()
    eventually(lambda: outcome(lambda: call(wait=False, timeout=1).probe_svc.echo(1)) == "ok", within=RECOVERY)
    assert proxied.effects("silent") == ["silent"]
    assert (proxied.stack.running(PROBE), proxied.stack.pid(PROBE)) == (True, pid)


@pytest.mark.parametrize("fault", ["blackhole", "lose"])
def test_sigterm_ends_a_service_whose_broker_is_silent(proxied: Probe, proxy: TcpProxy, fault: str) -> None:
    getattr(proxy, fault)()
    started = time.monotonic()
    proxied.stack.terminate(PROBE)
    assert proxied.stack.wait_end(PROBE) == 0
    assert time.monotonic() - started < 12, "not as long as all its consumers together would wait"
    assert "DRAIN_TIMEOUT" not in proxied.stack.log(PROBE).rpartition("is ready")[2]
