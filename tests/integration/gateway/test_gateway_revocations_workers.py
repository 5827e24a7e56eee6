"""Revoked sessions in the gateway as it runs: worker processes behind one port, each with a copy of its own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from deploy.local.environment import names_in, scrub
from lib.ids import new_id
from tests.conftest import ROOT
from tests.integration.gateway.conftest import Broker
from tests.integration.gateway.stand_in import StandIn
from tests.support.stack import Stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults

WORKERS = 2
#: connections, each of which the kernel gives to one worker or the other
MANY = 16
SNAPSHOT = "gateway_revocations_snapshot_timestamp_seconds"


@pytest.fixture
def gateway(broker: Broker, auth: StandIn, tmp_path: Path) -> Iterator[Stack]:
    clean = scrub(os.environ, names_in(ROOT / "config.yaml"))
    stack = Stack(
        {**clean, "AMQP_URI": broker.uri, "GATEWAY_WORKERS": str(WORKERS), "RATE_LIMITS": "off", "LOG_FORMAT": "json"},
        tmp_path,
    )
    stack.start("gateway", wait=False)
    yield stack
    stack.stop()


def get(stack: Stack, path: str, **headers: str) -> requests.Response:
    return requests.get(f"{stack.url}{path}", headers={"Connection": "close", **headers}, timeout=5)


def all_are(stack: Stack, status: int, path: str, **headers: str) -> bool:
    return all(get(stack, path, **headers).status_code == status for _ in range(MANY))


def workers(stack: Stack) -> list[int]:
    main = stack.pid("gateway")
    return [int(each) for each in Path(f"/proc/{main}/task/{main}/children").read_text().split()]


def metric(stack: Stack, name: str) -> float:
    lines = get(stack, "/metrics").text.splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0.0)


def test_an_answer_without_a_body_has_no_length(gateway: Stack, auth: StandIn) -> None:
    eventually(lambda: all_are(gateway, 200, "/health/ready"), within=30)
    token = {"Authorization": f"Bearer {auth.issuer.token(sid=str(new_id()))}"}
    response = get(gateway, "/api/v1/auth/me", **token, **{"If-None-Match": "*"})
    assert response.status_code == 304
    assert response.headers["ETag"] == get(gateway, "/api/v1/auth/me", **token).headers["ETag"]
    assert "Content-Length" not in response.headers
    assert response.content == b""


def test_each_worker_follows_what_is_revoked(gateway: Stack, broker: Broker, auth: StandIn) -> None:
    # The metric is that of the worker that is last.
    eventually(lambda: len(broker.followers()) == WORKERS, within=30)
    eventually(lambda: metric(gateway, SNAPSHOT) > 0, within=20)
    eventually(lambda: all_are(gateway, 200, "/health/ready"), within=20)
    user, session, other = str(new_id()), str(new_id()), str(new_id())
    ended = {"Authorization": f"Bearer {auth.issuer.token(sub=user, sid=session)}"}
    lives = {"Authorization": f"Bearer {auth.issuer.token(sub=user, sid=other)}"}
    assert all_are(gateway, 200, "/api/v1/auth/me", **ended)
    auth.tell("session.revoked", session_id=session, user_id=user, reason="logout")
    told = time.monotonic()
    while time.monotonic() < told + 1.0 and not all_are(gateway, 401, "/api/v1/auth/me", **ended):
        pass
    assert all_are(gateway, 401, "/api/v1/auth/me", **ended)
    assert all_are(gateway, 200, "/api/v1/auth/me", **lives)
    assert metric(gateway, "gateway_revocations_held") == 1
    taken = metric(gateway, SNAPSHOT)
    assert time.time() - 60 < taken <= time.time()

    # A worker that is killed is replaced by one that has everything from its own snapshot.
    auth.revoke(session)
    queues, killed = set(broker.followers()), set(workers(gateway))
    for victim in killed:
        os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(set(workers(gateway)) - killed) == WORKERS, within=20)
    eventually(lambda: len(set(broker.followers()) - queues) == WORKERS, within=20)
    # The metrics are those of the living.
    eventually(lambda: metric(gateway, SNAPSHOT) > taken, within=20)
    eventually(lambda: all_are(gateway, 200, "/health/ready"), within=20)
    assert all_are(gateway, 401, "/api/v1/auth/me", **ended)
    assert all_are(gateway, 200, "/api/v1/auth/me", **lives)
