"""The broker and the way to it break under HTTP traffic: 503 in time, never 500, never a hang, back without hands.

The same shape on stock Nameko 2.14.1 (Flask with a kept `ClusterRpcProxy`), seen on RabbitMQ 3.10: after a broker's
stop with a call in flight every later request is a 500 (`RuntimeError: This consumer has been disconnected`), and a
request during a memory or disk alarm, or into a black hole, hangs past every timeout.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.local.infra import Infrastructure
from deploy.local.processes import family
from tests.e2e.client import PASSWORD, Client, unique_email
from tests.e2e.test_main_journey import rows
from tests.support.broker import Load, alarm, started
from tests.support.stack import SERVICES, Stack
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults

AT_ONCE = 1.0
RECOVERY = 10.0
#: seconds after which a request has certainly had its answer; a payment may ask its provider
DEADLINE, PAYMENT_DEADLINE = 5.0, 12.0


class Traffic:
    """Requests as apps send them, each checked; the ids of those who were told that they are registered."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.email = unique_email()
        self.signed_in = Client(url).register(email=self.email)
        self.registered = [self.signed_in.user_id]
        self.routes: list[Callable[[Client], requests.Response]] = [
            lambda client: client.get(f"/users/{client.user_id}"),
            lambda client: client.get("/users/profile"),
            lambda client: client.get("/payments"),
            lambda client: client.pay(),
            lambda client: client.post("/auth/login", {"email": self.email, "password": PASSWORD}),
        ]

    def client(self) -> Client:
        """One for one thread."""
        client = Client(self.url)
        client.tokens = self.signed_in.tokens
        return client

    def register(self, name: str) -> str:
        """Register somebody; return "ok" or the answer's status."""
        body = {"email": unique_email(), "password": PASSWORD, "name": name}
        answer = Client(self.url).post("/auth/register", body)
        if answer.status_code == 201:
            self.registered.append(answer.json()["user"]["id"])
        return outcome(answer)

    def use(self, name: str) -> str:
        """Use one route, another one each time."""
        return outcome(self.routes[int(name.rpartition("-")[2]) % len(self.routes)](self.client()))

    def all_work(self) -> bool:
        return {outcome(route(self.client())) for route in self.routes} == {"ok"}


def outcome(answer: requests.Response) -> str:
    """Return "ok" or the status of a proper refusal; anything else is a bug and comes out."""
    if answer.status_code < 300:
        return "ok"
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    assert answer.status_code in {503, 504}, answer.text
    if answer.status_code == 503:
        assert int(answer.headers["Retry-After"]) >= 1
    return str(answer.status_code)


def too_late(load: Load, *, since: float, deadline: float) -> list[Any]:
    """Return the failures that took longer than a second, from the fault or the request on, or than the deadline."""
    limits = {"503": AT_ONCE, "504": deadline + 0.5}
    return [each for each in load.failed() if each.ended - max(each.began, since) > limits[each.outcome]]


def processes(stack: Stack) -> dict[str, set[int]]:
    """Return the numbers of all processes of the product, the gateway's workers among them."""
    return {name: {stack.pid(name), *family(stack.pid(name))} for name in (*SERVICES, "gateway")}


def without_profile(database: Any, ids: list[str]) -> set[str]:
    found = rows(database, "users", "select id from profiles where id = any(cast(:ids as uuid[]))", ids=ids)
    return set(ids) - {str(each.id) for each in found}


@pytest.fixture
def traffic(stack: Stack, database: Any) -> Iterator[Traffic]:
    """All routes work, before and after."""
    traffic = Traffic(stack.url)
    eventually(traffic.all_work)
    yield traffic
    eventually(traffic.all_work)


def test_killed_under_traffic_the_broker_takes_nothing_with_it(
    stack: Stack, traffic: Traffic, database: Any, infrastructure: Infrastructure
) -> None:
    rabbitmq, before = infrastructure.rabbitmq, processes(stack)
    with (
        Load("Registered", traffic.register, threads=2) as registrations,
        Load("used", traffic.use, threads=2) as uses,
    ):
        eventually(lambda: len(traffic.registered) > 10)
        killed_at = time.monotonic()
        rabbitmq.kill()
        try:
            gone_at = time.monotonic()
            eventually(lambda: min(len(registrations.failed()), len(uses.failed())) > 20)
        finally:
            accepting_at = started(rabbitmq, rabbitmq.start)
        back_at = max(load.first_ok_after(accepting_at - 1) for load in (registrations, uses))
        assert back_at - accepting_at < RECOVERY
        eventually(traffic.all_work, within=accepting_at + RECOVERY - time.monotonic())
    assert {each.outcome for load in (registrations, uses) for each in load.attempts if each.began > gone_at} == {
        "ok",
        "503",
    }
    assert too_late(registrations, since=killed_at, deadline=DEADLINE) == []
    assert too_late(uses, since=killed_at, deadline=PAYMENT_DEADLINE) == []
    eventually(lambda: without_profile(database, traffic.registered) == set())
    assert processes(stack) == before
    # RabbitMQ 3.10 does not bear it when a quorum queue is deleted right after a start of the broker.
    eventually(lambda: time.monotonic() > accepting_at + 2)


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_in_an_alarm_requests_are_refused_at_once_and_nobody_who_registered_is_lost(
    stack: Stack, traffic: Traffic, database: Any, infrastructure: Infrastructure, kind: str
) -> None:
    before = processes(stack)
    with Load("Registered", traffic.register, threads=2) as registrations:
        eventually(lambda: len(traffic.registered) > 5)
        with alarm(infrastructure.rabbitmq, kind):
            raised = time.monotonic()
            for route in traffic.routes:
                began = time.monotonic()
                assert outcome(route(traffic.client())) == "503"
                assert time.monotonic() - began < AT_ONCE
            assert requests.get(stack.health_url("gateway"), timeout=5).status_code == 503
            assert requests.get(f"{stack.url}/health/live", timeout=5).status_code == 200
        cleared = time.monotonic()
        eventually(traffic.all_work, within=RECOVERY)
        assert registrations.first_ok_after(cleared) - cleared < RECOVERY
    # An answer that was on its way may be what the broker does not take: such a call ends at its deadline.
    assert [each for each in registrations.failed() if each.began > raised and each.seconds > AT_ONCE] == []
    assert max(each.seconds for each in registrations.attempts) < DEADLINE + 1
    eventually(lambda: without_profile(database, traffic.registered) == set())
    assert processes(stack) == before


@pytest.fixture
def proxy(infrastructure: Infrastructure) -> Iterator[TcpProxy]:
    """In front of the broker."""
    with TcpProxy("127.0.0.1", infrastructure.rabbitmq.ports["amqp"]) as proxy:
        yield proxy


@pytest.fixture
def proxied(
    stack: Stack, proxy: TcpProxy, infrastructure: Infrastructure, traffic: Traffic, tmp_path: Path
) -> Iterator[Traffic]:
    """Traffic on a second gateway, whose way to the broker is the proxy; the services' is not."""
    uri = stack.environment["AMQP_URI"].replace(f":{infrastructure.rabbitmq.ports['amqp']}/", f":{proxy.port}/")
    second = Stack({**stack.environment, "AMQP_URI": uri}, tmp_path)
    try:
        second.start("gateway")
        assert proxy.connections == 1
        traffic.url = second.url
        eventually(traffic.all_work)
        yield traffic
    finally:
        traffic.url = stack.url
        second.stop()


def test_resets_under_traffic_cost_no_more_than_what_was_in_flight(proxied: Traffic, proxy: TcpProxy) -> None:
    with Load("used", proxied.use) as uses:
        for _ in range(3):
            reset_at = time.monotonic()
            proxy.reset()
            assert uses.first_ok_after(reset_at) - reset_at < RECOVERY
    assert {each.outcome for each in uses.failed()} <= {"503"}
    assert max(each.seconds for each in uses.attempts) < DEADLINE


def test_a_black_hole_behind_the_gateway_hangs_nobody(proxied: Traffic, proxy: TcpProxy) -> None:
    with Load("used", proxied.use) as uses:
        eventually(lambda: len(uses.with_outcome("ok")) > 10)
        proxy.blackhole()
        eventually(lambda: requests.get(f"{proxied.url}/health", timeout=5).status_code == 503, within=DEADLINE)
        known = time.monotonic()
        eventually(lambda: len([each for each in uses.failed() if each.began > known]) > 20)
        assert [each for each in uses.failed() if each.began > known and each.seconds > AT_ONCE] == []
        proxy.heal()
        healed = time.monotonic()
        assert uses.first_ok_after(healed) - healed < RECOVERY
        eventually(proxied.all_work)
    assert max(each.seconds for each in uses.attempts) < DEADLINE + 1
