"""PostgreSQL away, silent, full, slow, locked: what a client of the gateway sees of it, and for how long.

A stock Nameko service answers these with a `RemoteError` (500 at its gateway) or not at all: what was seen stands in
`tests/integration/lib/test_database_faults.py` and `test_database_locks.py`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from deploy.local.infra import Infrastructure
from deploy.local.processes import family
from tests.e2e.client import PASSWORD, Client, unique_email
from tests.support.stack import Stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults

STATEMENT_TIMEOUT = 3.0  # of config.yaml
AT_ONCE = 1.5  # with a password's hash in it, on a machine that is busy with other things


def timed(request: Callable[[], requests.Response]) -> tuple[requests.Response, float]:
    started = time.monotonic()
    return request(), time.monotonic() - started


def refused(request: Callable[[], requests.Response], status: int, code: str, *, within: float) -> None:
    """Make a request, which must be refused like this, as a problem document, in time."""
    answer, seconds = timed(request)
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) >= 1
    assert seconds < within


def fine(request: Callable[[], requests.Response], status: int = 200, *, within: float = AT_ONCE) -> Any:
    """Make a request, which must succeed in time, and return its body."""
    answer, seconds = timed(request)
    assert answer.status_code == status, answer.text
    assert seconds < within
    return answer.json()


def registration(client: Client) -> Callable[[], requests.Response]:
    body = {"email": unique_email(), "password": PASSWORD, "name": "Somebody New"}
    return lambda: client.post("/auth/register", body)


@pytest.fixture
def ada(stack: Stack) -> Client:
    """Signed in, and known to every service."""
    client = Client(stack.url).register(name="Ada")
    eventually(lambda: client.get("/users/profile").status_code == 200)
    eventually(lambda: client.pay().status_code == 201)
    return client


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_while_postgresql_is_away_the_answer_is_503_and_afterwards_everything_works(
    stack: Stack, infrastructure: Infrastructure, ada: Client, end: str
) -> None:
    with ThreadPoolExecutor(8) as pool:  # several connections in each pool
        assert all(pool.map(lambda _: ada.get("/payments").ok and ada.get("/users/profile").ok, range(8)))
    fresh = registration(Client(stack.url))
    getattr(infrastructure.postgres, end)()
    try:
        for request in (
            lambda: ada.get("/users/profile"),
            lambda: ada.get("/auth/me"),
            lambda: ada.get("/payments"),
            ada.pay,
            fresh,
        ):
            refused(request, 503, "database_unavailable", within=AT_ONCE)
        assert requests.get(f"{stack.url}/health/live", timeout=5).status_code == 200
        fine(lambda: Client(stack.url).get("/auth/me"), 401)
    finally:
        infrastructure.postgres.start()
    # Nobody waits for anything here: the first request is the one that finds out.
    fine(lambda: ada.get("/users/profile"), within=2)
    assert len(fine(lambda: ada.get("/payments"), within=2)["data"]) == 1, "what was paid, and not what was refused"
    grace = Client(stack.url)
    grace.tokens = fine(fresh, 201, within=2)
    eventually(lambda: grace.get("/users/profile").status_code == 200)
    fine(ada.pay, 201)


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """Have a process and its children stand still, as a machine does whose storage has gone."""
    everybody = [pid, *family(pid)]
    try:
        for each in everybody:
            os.kill(each, signal.SIGSTOP)
        yield
    finally:
        for each in everybody:
            os.kill(each, signal.SIGCONT)


def test_a_postgresql_that_hangs_is_503_in_time_and_harmless_when_it_goes_on(
    stack: Stack, infrastructure: Infrastructure, ada: Client
) -> None:
    pid = infrastructure.postgres.daemon.pid
    assert pid is not None
    reads = [lambda: ada.get("/users/profile"), lambda: ada.get("/auth/me"), lambda: ada.get("/payments")]
    with ThreadPoolExecutor(6) as pool:
        with paused(pid):
            waiting = [
                pool.submit(refused, each, 503, "database_unavailable", within=STATEMENT_TIMEOUT + 2)
                for each in (*reads, *reads)
            ]
            fine(lambda: Client(stack.url).get("/auth/me"), 401)
            assert requests.get(f"{stack.url}/health/live", timeout=5).status_code == 200
            for each in waiting:
                each.result()
        for request in reads:
            fine(request, within=2)


def test_who_registers_while_postgresql_hangs_is_told_that_it_may_have_happened(
    stack: Stack, infrastructure: Infrastructure, ada: Client
) -> None:
    """Nothing is asked before it is written, and what was sent is written when PostgreSQL goes on."""
    pid = infrastructure.postgres.daemon.pid
    assert pid is not None
    fine(lambda: ada.get("/auth/me"))  # auth_svc has a connection
    fresh = registration(Client(stack.url))
    with paused(pid):
        refused(fresh, 503, "outcome_unknown", within=STATEMENT_TIMEOUT + 2)
    eventually(lambda: fresh().json().get("code") == "email_taken", within=10)


def test_a_service_without_connections_refuses_at_once_and_the_others_do_not_care(
    stack: Stack, ada: Client, database: Any
) -> None:
    try:
        with database("users") as admin:
            admin.execute(sa.text("alter role users_app connection limit 0"))
            end = sa.text("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'users_app'")
            eventually(lambda: not admin.execute(end).all())
        for _ in range(3):
            refused(lambda: ada.get("/users/profile"), 503, "database_unavailable", within=AT_ONCE)
            fine(lambda: ada.get("/auth/me"))
            fine(lambda: ada.get("/payments"))
    finally:
        with database("users") as admin:
            admin.execute(sa.text("alter role users_app connection limit -1"))
    fine(lambda: ada.get("/users/profile"), within=2)


def test_a_row_that_stays_locked_is_409_for_who_wants_it_and_nothing_for_the_others(
    stack: Stack, ada: Client, database: Any
) -> None:
    grace = Client(stack.url).register(name="Grace")

    def refresh(client: Client) -> requests.Response:
        return client.post("/auth/refresh", {"refresh_token": client.tokens["refresh_token"]})

    with database("auth") as holder, ThreadPoolExecutor(1) as pool:
        holder.execute(sa.text("begin"))
        rows = holder.execute(
            sa.text("select id from sessions where account_id = :id for update"), {"id": ada.user_id}
        ).all()
        assert rows
        waiting = pool.submit(refused, lambda: refresh(ada), 409, "contended", within=STATEMENT_TIMEOUT / 2 + 1)
        fine(lambda: refresh(grace))
        fine(lambda: ada.get("/auth/me"))
        fine(lambda: ada.get("/users/profile"))
        waiting.result()
        holder.execute(sa.text("rollback"))
    assert fine(lambda: refresh(ada))["refresh_token"] != ada.tokens["refresh_token"], "the token was not used up"


SLOW_INSERT = """
create function take_long() returns trigger language plpgsql as 'begin perform pg_sleep(60); return new; end';
create trigger take_long before insert on payments for each row execute function take_long()
"""


def test_a_statement_that_takes_too_long_is_503_and_leaves_nothing_behind(
    stack: Stack, ada: Client, database: Any
) -> None:
    # Three people: one person's payments are claimed one after the other.
    people = [ada, *(Client(stack.url).register() for _ in range(2))]
    with database("payments") as admin, ThreadPoolExecutor(4) as pool:
        admin.execute(sa.text(SLOW_INSERT))
        try:
            waiting = [
                pool.submit(
                    refused, lambda each=each: each.pay(key="slow"), 503, "database_slow", within=STATEMENT_TIMEOUT + 1
                )
                for each in people
            ]
            for _ in range(3):
                fine(lambda: ada.get("/payments"))
                fine(lambda: ada.get("/users/profile"))
            for each in waiting:
                each.result()
        finally:
            admin.execute(sa.text("drop function take_long cascade"))
    fine(lambda: ada.pay(key="slow"), 201)
    assert len(fine(lambda: ada.get("/payments"))["data"]) == 2
