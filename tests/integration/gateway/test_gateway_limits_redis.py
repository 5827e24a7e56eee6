"""Limits on a real Redis: shared by processes, kept over restarts, and what is left of them when it is away."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from flask.testing import FlaskClient

from deploy.local.environment import names_in, scrub
from deploy.local.infra import Infrastructure
from gateway.app import create_app
from gateway.counters import REDIS_TIMEOUT
from gateway.settings import load_config
from lib.faults import Fault
from tests.conftest import ROOT
from tests.fakes.cluster import FakeCluster
from tests.support.stack import Stack, free_port
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults

LOGIN = "/api/v1/auth/login"
WORKERS = 2
#: of ten a minute, for one of two processes that count alone
SHARE = 5

Process = Callable[..., FlaskClient]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Infrastructure]:
    """A Redis of our own: it is stopped, frozen and emptied here."""
    servers = Infrastructure(tmp_path_factory.mktemp("redis"), preferred=False, durable=False, parts=("redis",))
    servers.start()
    yield servers
    servers.destroy()


@pytest.fixture
def store(servers: Infrastructure) -> Iterator[redis.Redis]:
    """Running and empty."""
    servers.redis.start()
    with redis.Redis.from_url(servers.environment()["REDIS_URL"]) as client:
        client.flushall()
        yield client


@pytest.fixture
def process(servers: Infrastructure, store: redis.Redis) -> Process:
    """Return a function that makes the application as one process has it; each sign-in fails."""

    def make(**changes: Any) -> FlaskClient:
        cluster = FakeCluster()
        cluster.answers["auth_svc.login"] = Fault("unauthenticated", "invalid_credentials", "no")
        config = load_config(ROOT / "config.yaml", {})
        config |= {"REDIS_URL": servers.environment()["REDIS_URL"], "GATEWAY_WORKERS": WORKERS, **changes}
        return create_app(config, cluster).test_client()

    return make


def post(client: FlaskClient, address: str = "192.0.2.1", **body: str) -> Any:
    return client.post(LOGIN, json=body, environ_base={"REMOTE_ADDR": address})


def guess(client: FlaskClient, address: str) -> int:
    return int(post(client, address, email="ann@example.com", password="guess").status_code)


def passing(client: FlaskClient, address: str = "192.0.2.1", times: int = 15) -> int:
    return [post(client, address).status_code for _ in range(times)].count(422)


def test_processes_count_together(process: Process) -> None:
    first, second = process(), process()
    assert passing(first, times=6) == 6
    assert passing(second) == 4
    assert passing(first) == 0
    assert int(post(first).headers["Retry-After"]) in range(58, 61)


def test_processes_count_failed_sign_ins_together(process: Process) -> None:
    few = {"LOGIN_FAILURES_PER_ADDRESS": "3/10minute", "LOGIN_FAILURES_GLOBAL": "5/minute"}
    first, second = process(**few), process(**few)
    assert [guess(first, "192.0.2.1"), guess(second, "192.0.2.1"), guess(first, "192.0.2.1")] == [401] * 3
    assert [guess(second, "192.0.2.1"), guess(first, "192.0.2.1")] == [429] * 2
    assert [guess(first, "192.0.2.2"), guess(second, "192.0.2.3")] == [401] * 2
    assert [guess(first, "192.0.2.4"), guess(second, "192.0.2.5")] == [429] * 2


def test_an_ipv6_network_is_counted_together_by_all(process: Process) -> None:
    first, second = process(), process()
    codes = [post((first, second)[number % 2], f"2001:db8:7:7:{number:x}::1").status_code for number in range(12)]
    assert codes == [422] * 10 + [429] * 2
    assert post(first, "2001:db8:7:8::1").status_code == 422


def test_a_restarted_process_knows_what_was_counted(process: Process) -> None:
    guarded = {"LOGIN_FAILURES_PER_ADDRESS": "3/10minute"}
    before = process(**guarded)
    assert [guess(before, "192.0.2.9") for _ in range(3)] == [401] * 3
    assert passing(before) == 10
    again = process(**guarded)
    assert passing(again) == 0
    assert guess(again, "192.0.2.9") == 429


def test_an_emptied_redis_costs_the_counts_and_nothing_else(process: Process, store: redis.Redis) -> None:
    client = process()
    assert passing(client) == 10
    store.flushall()
    assert passing(client) == 10
    store.script_flush()
    assert passing(client, "192.0.2.2") == 10


def test_every_entry_is_forgotten_in_time(process: Process, store: redis.Redis) -> None:
    client = process()
    post(client)
    guess(client, "192.0.2.3")
    lifetimes = {key: store.ttl(key) for key in store.scan_iter()}
    assert len(lifetimes) == 6
    assert all(0 < seconds <= 86_400 for seconds in lifetimes.values())


def test_without_redis_each_process_is_strict_and_with_it_they_count_together_again(
    process: Process, servers: Infrastructure
) -> None:
    first, second = process(), process()
    assert passing(first, times=4) == 4
    servers.redis.kill()
    assert passing(first) == SHARE - 4
    assert passing(second) == SHARE
    assert passing(first, "192.0.2.2") == SHARE
    servers.redis.start()
    # An address of its own per try: one that counts towards all of ten again.
    trial = iter(f"198.51.100.{number}" for number in range(250))
    eventually(lambda: passing(first, next(trial)) == 10, within=10, every=0.2)
    eventually(lambda: passing(second, next(trial)) == 10, within=10, every=0.2)
    assert passing(first, "192.0.2.7", times=5) == 5
    assert passing(second, "192.0.2.7") == 5


def test_no_request_waits_long_for_a_redis_that_does_not_answer(process: Process, servers: Infrastructure) -> None:
    with TcpProxy("127.0.0.1", servers.ports["redis"]) as proxy:
        client = process(REDIS_URL=f"redis://127.0.0.1:{proxy.port}/0")
        assert post(client).status_code == 422
        proxy.blackhole()
        seconds = []
        for number in range(40):
            began = time.perf_counter()
            post(client, f"192.0.2.{number}")
            seconds.append(time.perf_counter() - began)
        # One has waited for Redis, once; the others have not. Much is left for a slow machine.
        assert max(seconds) < REDIS_TIMEOUT + 0.2
        assert sum(each > REDIS_TIMEOUT / 2 for each in seconds) <= 3
        proxy.heal()
        trial = iter(f"198.51.100.{number}" for number in range(250))
        eventually(lambda: passing(client, next(trial)) == 10, within=10, every=0.2)


# --- the gateway as its processes -----------------------------------------------------------------------------------


@pytest.fixture
def gateway(servers: Infrastructure, store: redis.Redis, tmp_path: Path) -> Iterator[Stack]:
    """Two worker processes behind one port, without a broker; whom they take for their client is ours to say."""
    stack = Stack(
        {
            **scrub(os.environ, names_in(ROOT / "config.yaml")),
            **servers.environment(),
            "AMQP_URI": f"amqp://guest:guest@127.0.0.1:{free_port()}/",
            "GATEWAY_WORKERS": str(WORKERS),
            "TRUSTED_PROXIES": "127.0.0.1",
            "LOG_FORMAT": "json",
        },
        tmp_path,
    )
    yield stack
    stack.stop()


def start(stack: Stack) -> None:
    stack.start("gateway", wait=False)
    eventually(lambda: requests.get(f"{stack.url}/health/live", timeout=2).status_code == 200, within=20)


def codes(stack: Stack, address: str, times: int) -> list[int]:
    """Send each request over a connection of its own: the kernel deals these out to the workers."""
    return [
        requests.post(
            f"{stack.url}{LOGIN}", json={}, headers={"X-Forwarded-For": address, "Connection": "close"}, timeout=5
        ).status_code
        for _ in range(times)
    ]


def test_all_workers_and_their_successors_count_together(gateway: Stack, servers: Infrastructure) -> None:
    start(gateway)
    assert codes(gateway, "203.0.113.1", 14) == [422] * 10 + [429] * 4
    assert codes(gateway, "2001:db8:1:1::1", 5) == [422] * 5
    assert codes(gateway, "2001:db8:1:1:ffff::1", 7) == [422] * 5 + [429] * 2
    gateway.kill("gateway")
    start(gateway)
    assert codes(gateway, "203.0.113.1", 3) == [429] * 3
    assert codes(gateway, "203.0.113.2", 1) == [422]


def test_all_workers_together_are_strict_without_redis(gateway: Stack, servers: Infrastructure) -> None:
    servers.redis.kill()
    start(gateway)
    found = codes(gateway, "203.0.113.1", 60)
    # Ten of a minute are five for each of the two; which of them a connection comes to is chance.
    assert SHARE <= found.count(422) <= WORKERS * SHARE
    assert found.count(429) == 60 - found.count(422)
