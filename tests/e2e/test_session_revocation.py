"""A session that has ended is over at every gateway process within a second, and nothing revives it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import requests

from tests.e2e.client import PASSWORD, Client, unique_email
from tests.e2e.mailbox import Mailbox
from tests.support.databases import ROOT
from tests.support.stack import Stack
from tests.support.waiting import eventually

ENOUGH = 12


@pytest.fixture
def two_workers(stack: Stack) -> Iterator[Stack]:
    """The product with two gateway processes behind its port."""
    stack.stop(["gateway"])
    before = len(stack.log("gateway"))
    stack.start("gateway", GATEWAY_WORKERS="2")
    # One of them answers that it is healthy while the other has no broker yet, or no keys; and it may answer all.
    connected = re.compile(r"/(\d+): connected")
    eventually(lambda: len(set(connected.findall(stack.log("gateway")[before:]))) == 2, within=20)
    for _ in range(3):
        eventually(lambda: answers(f"{stack.url}/health/ready", {}) == {200}, within=20)
    yield stack
    stack.stop(["gateway"])
    stack.start("gateway")


@pytest.fixture
def limited(stack: Stack) -> Iterator[Stack]:
    """The product with the limits that its clients meet."""
    stack.stop(["gateway"])
    stack.start("gateway", RATE_LIMITS="on")
    yield stack
    stack.stop(["gateway"])
    stack.start("gateway")


def statuses(stack: Stack, token: str) -> set[int]:
    """Ask with a token, at every gateway process."""
    return answers(f"{stack.url}/auth/me", {"Authorization": f"Bearer {token}"})


def answers(url: str, headers: dict[str, str]) -> set[int]:
    """Ask over so many connections at once that every gateway process gets some."""

    def ask(_: int) -> int:
        return requests.get(url, headers={**headers, "Connection": "close"}, timeout=10).status_code

    with ThreadPoolExecutor(ENOUGH) as pool:
        return set(pool.map(ask, range(ENOUGH)))


def refused_within_a_second(stack: Stack, token: str) -> None:
    eventually(lambda: statuses(stack, token) == {401}, within=1.0, every=0.05)
    for _ in range(3):
        assert statuses(stack, token) == {401}


def refused_in_the_end(stack: Stack, token: str) -> None:
    """503 while a process has no broker, no keys or no snapshot; never a 200."""
    seen: set[int] = set()

    def is_refused() -> bool:
        found = statuses(stack, token)
        seen.update(found)
        return found == {401}

    eventually(is_refused, within=30, every=0.1)
    assert seen <= {401, 503}


def cli(stack: Stack, *arguments: str) -> str:
    command = [sys.executable, "-m", "lib.cli", "auth_svc", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=stack.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def administrator(stack: Stack) -> Client:
    email = unique_email()
    Client(stack.url).register(email=email)
    token = Mailbox(stack.mail).token(email, "verification")
    requests.post(f"{stack.url}/auth/email/verify", json={"token": token}, timeout=10)
    cli(stack, "create-admin", email)
    return Client(stack.url).login(email)


def test_every_way_to_end_a_session_holds_at_every_gateway_process(two_workers: Stack) -> None:
    stack = two_workers
    client = Client(stack.url)
    email = unique_email()
    client.register(email=email)
    phone, laptop, tablet = (Client(stack.url).login(email) for _ in range(3))
    assert statuses(stack, phone.tokens["access_token"]) == {200}

    assert phone.post("/auth/logout").status_code == 204
    refused_within_a_second(stack, phone.tokens["access_token"])

    listed = client.get("/auth/sessions").json()["data"]
    assert [each["current"] for each in listed].count(True) == 1
    assert len(listed) == 3
    tablets = laptop.get("/auth/sessions").json()["data"][0]["id"]
    assert client.request("DELETE", f"/auth/sessions/{tablets}").status_code == 204
    refused_within_a_second(stack, tablet.tokens["access_token"])
    assert statuses(stack, laptop.tokens["access_token"]) == {200}

    assert client.post("/auth/logout?scope=others").status_code == 204
    refused_within_a_second(stack, laptop.tokens["access_token"])
    assert statuses(stack, client.tokens["access_token"]) == {200}

    assert client.post("/auth/logout?scope=global").status_code == 204
    refused_within_a_second(stack, client.tokens["access_token"])
    # Whoever signs in afterwards is in, whatever the clocks say.
    assert statuses(stack, Client(stack.url).login(email).tokens["access_token"]) == {200}


def test_a_closed_account_is_out_within_a_second_and_stays_out(two_workers: Stack) -> None:
    stack = two_workers
    email = unique_email()
    client = Client(stack.url).register(email=email)
    answer = client.pay()
    assert answer.status_code == 201, answer.text
    paid = answer.json()["id"]
    admin = administrator(stack)
    path = f"/admin/accounts/{client.user_id}"
    assert client.post(f"{path}/disable", {"reason": "me"}).status_code == 403
    answer = admin.post(f"{path}/disable", {"reason": "chargebacks"})
    assert (answer.status_code, answer.json()["status"]) == (200, "disabled")
    refused_within_a_second(stack, client.tokens["access_token"])
    assert Client(stack.url).post("/auth/login", {"email": email, "password": PASSWORD}).status_code == 401
    refreshed = requests.post(
        f"{stack.url}/auth/refresh", json={"refresh_token": client.tokens["refresh_token"]}, timeout=10
    )
    assert (refreshed.status_code, refreshed.json()["code"]) == (401, "refresh_invalid")
    # Others do not see the person any more.
    url = f"{stack.url}/users/{client.user_id}"
    eventually(lambda: requests.get(url, timeout=5).status_code == 404, within=2)

    assert admin.post(f"{path}/enable", {"reason": "settled"}).json()["status"] == "active"
    eventually(lambda: requests.get(url, timeout=5).status_code == 200, within=2)
    refused_within_a_second(stack, client.tokens["access_token"])
    again = Client(stack.url).login(email)
    assert again.get(f"/payments/{paid}").status_code == 200
    eventually(lambda: again.pay().status_code == 201, within=2)


@pytest.mark.faults
def test_nothing_revives_an_ended_session(two_workers: Stack, infrastructure: Any) -> None:
    stack = two_workers
    client = Client(stack.url).register()
    token = client.tokens["access_token"]
    client.post("/auth/logout")
    refused_within_a_second(stack, token)

    redis.Redis.from_url(stack.environment["REDIS_URL"]).flushall()
    assert statuses(stack, token) == {401}

    stack.stop(["gateway"])
    stack.start("gateway", GATEWAY_WORKERS="2")
    refused_in_the_end(stack, token)

    stack.kill("auth_svc")
    stack.start("auth_svc")
    assert statuses(stack, token) == {401}

    infrastructure.rabbitmq.stop()
    infrastructure.rabbitmq.start()
    refused_in_the_end(stack, token)


def test_fifty_parallel_refreshes_give_one_successor(client: Client, limited: Stack) -> None:
    """The limits do not stand in the way of it: a refresh token is nothing to guess at."""
    client.register()
    body = {"refresh_token": client.tokens["refresh_token"]}

    def refresh(_: int) -> requests.Response:
        return requests.post(f"{limited.url}/auth/refresh", json=body, timeout=20)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(refresh, range(50)))
    assert {each.status_code for each in answers} == {200}
    assert all("RateLimit" in each.headers for each in answers)
    assert len({each.json()["refresh_token"] for each in answers}) == 1


def test_a_refresh_token_that_comes_back_ends_the_session_and_its_descendants(client: Client, stack: Stack) -> None:
    client.register()
    chain = [client.tokens["refresh_token"]]
    accesses = [client.tokens["access_token"]]
    for _ in range(3):
        answer = requests.post(f"{stack.url}/auth/refresh", json={"refresh_token": chain[-1]}, timeout=10)
        chain.append(answer.json()["refresh_token"])
        accesses.append(answer.json()["access_token"])
    stolen = requests.post(f"{stack.url}/auth/refresh", json={"refresh_token": chain[0]}, timeout=10)
    assert (stolen.status_code, stolen.json()["code"]) == (401, "refresh_reused")
    for token in chain:
        dead = requests.post(f"{stack.url}/auth/refresh", json={"refresh_token": token}, timeout=10)
        assert (dead.status_code, dead.json()["code"]) == (401, "refresh_reused")
    for access in accesses:
        refused_within_a_second(stack, access)
