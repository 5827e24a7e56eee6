"""kill -9 and absence: what was acknowledged happens, once, and without hands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.local.infra import Infrastructure
from deploy.local.processes import family
from tests.e2e.client import PASSWORD, Client, unique_email
from tests.e2e.test_main_journey import rows
from tests.support import databases
from tests.support.stack import Stack
from tests.support.waiting import eventually, stays

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("point", ["relay.before_publish", "relay.after_publish"])
def test_killed_between_commit_and_publish_the_event_arrives_and_its_effect_once(
    stack: Stack, database: Any, point: str
) -> None:
    stack.stop(["auth_svc"])
    stack.start("auth_svc", FAULT_POINT=point)
    stack.wait_healthy("gateway")
    email = unique_email()
    requests.post(
        f"{stack.url}/auth/register", json={"email": email, "password": PASSWORD, "name": "Phoenix"}, timeout=20
    )
    assert stack.wait_end("auth_svc") == -9
    accounts = rows(database, "auth", "select id from accounts where email = :email", email=email)
    assert len(accounts) == 1, "the account was committed before the process died"
    user_id = accounts[0][0]
    unsent = "select 1 from outbox where envelope->>'subject' = :id and sent_at is null"
    assert rows(database, "auth", unsent, id=str(user_id))
    before = rows(database, "users", "select coalesce(sum(registrations), 0) from member_statistics")[0][0]
    arrived_early = rows(database, "users", "select 1 from profiles where id = :id", id=user_id)
    assert bool(arrived_early) <= (point == "relay.after_publish")

    stack.start("auth_svc")
    eventually(lambda: not rows(database, "auth", unsent, id=str(user_id)))
    eventually(lambda: rows(database, "users", "select 1 from profiles where id = :id", id=user_id))
    # The second handler counts: a second effect would show.
    expected = before + (0 if arrived_early else 1)
    eventually(lambda: rows(database, "users", "select sum(registrations) from member_statistics")[0][0] >= expected)
    stays(
        lambda: rows(database, "users", "select sum(registrations) from member_statistics")[0][0] <= before + 1,
        during=1.0,
    )


def test_registered_while_users_svc_was_dead_the_profile_appears_when_it_is_back(stack: Stack) -> None:
    stack.kill("users_svc")
    client = Client(stack.url).register(name="Lazarus")
    stack.start("users_svc")
    seen = eventually(lambda: _profile(stack, client.user_id), within=10)
    assert seen["display_name"] == "Lazarus"


def _profile(stack: Stack, user_id: str) -> Any:
    answer = requests.get(f"{stack.url}/users/{user_id}", timeout=5)
    return answer.json() if answer.status_code == 200 else None


def test_on_an_empty_broker_a_registration_before_users_svc_ever_ran_makes_a_profile_when_it_starts(
    lonely: Stack, database: Any
) -> None:
    databases.migrate(lonely.environment)  # as `make up` does, before any process starts
    lonely.start("auth_svc")
    lonely.start("gateway", wait=False)
    client = Client(lonely.url)
    eventually(lambda: requests.get(f"{lonely.url}/health/live", timeout=2).status_code == 200, within=20)
    registered = eventually(
        lambda: _created(
            client.post("/auth/register", {"email": unique_email(), "password": PASSWORD, "name": "First"})
        )
    )
    user_id = registered["user"]["id"]
    sent = "select 1 from outbox where sent_at is not null and envelope->>'subject' = :id"
    eventually(lambda: rows(database, "auth_lonely", sent, id=user_id))
    assert rows(database, "users_lonely", "select 1 from profiles") == []

    lonely.start("users_svc")
    eventually(lambda: rows(database, "users_lonely", "select 1 from profiles where id = :id", id=user_id))


def _created(answer: requests.Response) -> Any:
    return answer.json() if answer.status_code == 201 else None


def test_health_tells_truly_what_is_down(stack: Stack, infrastructure: Infrastructure) -> None:
    gateway, users = stack.health_url("gateway"), stack.health_url("users_svc")
    assert requests.get(gateway, timeout=5).json()["status"] == "pass"
    stack.kill("users_svc")
    eventually(lambda: requests.get(gateway, timeout=5).status_code == 503, within=5)
    stack.start("users_svc")
    eventually(lambda: requests.get(gateway, timeout=5).status_code == 200)

    infrastructure.postgres.stop()
    try:
        eventually(lambda: requests.get(users, timeout=10).status_code == 503)
        failed = requests.get(users, timeout=10).json()
        assert failed["status"] == "fail"
        assert failed["checks"]["postgresql:responseTime"][0]["status"] == "fail"
        assert requests.get(users + "/live", timeout=5).status_code == 200
    finally:
        infrastructure.postgres.start()
    eventually(lambda: requests.get(users, timeout=10).status_code == 200)

    infrastructure.redis.stop()
    try:
        warned = eventually(lambda: _warned(requests.get(gateway, timeout=5)), within=5)
        assert warned["status"] == "warn"
    finally:
        infrastructure.redis.start()


def _warned(answer: requests.Response) -> Any:
    return answer.json() if answer.status_code == 200 and answer.json()["status"] == "warn" else None


def test_a_restarted_broker_needs_no_hands(stack: Stack, infrastructure: Infrastructure) -> None:
    client = Client(stack.url).register()
    infrastructure.rabbitmq.stop()
    try:
        eventually(lambda: requests.get(f"{stack.url}/health", timeout=5).status_code == 503)
        down = client.get("/users/profile")
        assert (down.status_code, down.headers["Content-Type"]) == (503, "application/problem+json")
        assert down.headers["Retry-After"]
    finally:
        infrastructure.rabbitmq.start()
    eventually(lambda: requests.get(f"{stack.url}/health", timeout=5).status_code == 200, within=15)
    assert client.get("/users/profile").status_code == 200
    assert client.pay().status_code == 201


def test_a_gateway_whose_main_process_was_killed_starts_again(stack: Stack) -> None:
    client = Client(stack.url).register()
    orphans = family(stack.pid("gateway"))
    assert orphans
    os.kill(stack.pid("gateway"), signal.SIGKILL)  # not its workers, which hold the port
    assert stack.wait_end("gateway") == -9
    stack.start("gateway", wait=False)
    eventually(lambda: not any(Path(f"/proc/{each}").exists() for each in orphans))
    stack.wait_healthy("gateway")
    assert client.get("/users/profile").status_code == 200


def test_nameko_shell_calls_as_the_readme_shows(stack: Stack) -> None:
    client = Client(stack.url).register(name="Shell")
    eventually(lambda: _profile(stack, client.user_id))
    answer = subprocess.run(
        ["nameko", "shell", "--config", "config.yaml", "--interface", "plain"],
        input=f"print(n.rpc.users_svc.get_user(user_id={client.user_id!r})['display_name'])\n",
        cwd=databases.ROOT,
        env={**stack.environment, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Shell" in answer.stdout, answer.stderr
