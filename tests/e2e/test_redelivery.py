"""kill -9 after the commit and before the reply: the broker hands the request to the next worker.

The second run changes nothing, and nobody is told a wrong answer: the right one, or that the outcome is not known and
how to find out. Stock Nameko 2.14.1: the next worker runs the method again as if nothing had happened, seen with a
service that wrote two accounts for one ``register``, and told its caller so with a success.
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
import requests

from tests.e2e.client import PASSWORD, Client, unique_email
from tests.e2e.test_main_journey import rows
from tests.support.stack import Stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults

# Long enough for a service to come back, and within the grace that `refresh` is given below.
PATIENCE, GRACE = "18", "60"
HANDED_OVER_WITHIN = 3.0


class Asked(NamedTuple):
    """One request: who made it, with what, and what it was answered."""

    client: Client
    about: str
    answer: requests.Response


Ask = Callable[[], Asked]


@pytest.fixture(scope="module")
def patient(
    running_stack: Stack, migrated: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A second gateway, whose callers are still there when a killed service has been started again."""
    gateway = Stack(
        {**migrated, "RPC_TIMEOUT": PATIENCE, "RPC_TIMEOUT_PAYMENTS": PATIENCE}, tmp_path_factory.mktemp("patient")
    )
    try:
        gateway.start("gateway")
        yield gateway
    finally:
        gateway.stop()


class Deaths:
    """Kills the worker of one request, and has the request handed to the next one."""

    def __init__(self, stack: Stack, gateway: Stack, way: str) -> None:
        self.stack = stack
        self.gateway = gateway
        self.way = way
        self.changed: set[str] = set()

    def before_reply(self, service: str, method: str, ask: Ask, **environment: str) -> Asked:
        """Return the request whose worker died."""
        run = self._restarted if self.way == "restarted" else self._taken_over
        asked = run(service, ask, {"FAULT_POINT": f"rpc.before_reply.{method}"}, environment)
        self.gateway.wait_healthy("gateway")
        return asked

    def _restarted(self, service: str, ask: Ask, fault: dict[str, str], environment: dict[str, str]) -> Asked:
        """There is one instance, and it is started again."""
        self.stack.stop([service])
        self.changed.add(service)
        self.stack.start(service, **fault, **environment)
        self.gateway.wait_healthy("gateway")
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(ask)
            assert self.stack.wait_end(service) == -9
            self.stack.start(service, **environment)
            if not environment:
                self.changed.discard(service)
            return asked.result()

    def _taken_over(self, service: str, ask: Ask, fault: dict[str, str], environment: dict[str, str]) -> Asked:
        """There are two instances; the requests of one after the other go to each in turn, until one is dead."""
        doomed = f"{service}#{secrets.token_hex(4)}"
        self.changed.add(doomed)
        self.stack.start(doomed, **fault, **environment)
        for turn in range(10):
            asked = ask()
            if turn % 2:
                # Each payment is followed by the provider's message: two calls, of which the same one gets the first
                # each time, were it not for one more.
                asked.client.get("/payments")
            with contextlib.suppress(subprocess.TimeoutExpired):
                assert self.stack.wait_end(doomed, within=0.3) == -9
                assert asked.answer.elapsed.total_seconds() < HANDED_OVER_WITHIN
                return asked
        raise AssertionError(f"{doomed} was never asked")

    def end(self) -> None:
        """Leave nothing armed; `stack` starts what is missing."""
        self.stack.stop(name for name in self.changed if self.stack.running(name))


@pytest.fixture(params=["restarted", "taken over"])
def deaths(request: pytest.FixtureRequest, stack: Stack, patient: Stack) -> Iterator[Deaths]:
    deaths = Deaths(stack, patient, request.param)
    yield deaths
    deaths.end()


def post(gateway: Stack, path: str, body: dict[str, Any], **headers: str) -> requests.Response:
    return Client(gateway.url).post(path, body, headers=headers)


def test_an_interrupted_registration_makes_one_account_and_is_not_called_a_success(
    deaths: Deaths, patient: Stack, database: Any
) -> None:
    def body(email: str) -> dict[str, Any]:
        return {"email": email, "password": PASSWORD, "name": "Twice"}

    def ask() -> Asked:
        client, email = Client(patient.url), unique_email()
        return Asked(client, email, client.post("/auth/register", body(email)))

    client, email, answer = deaths.before_reply("auth_svc", "register", ask)
    assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown"), answer.text
    assert answer.headers["Retry-After"]

    ((user_id,),) = rows(database, "auth", "select id::text from accounts where email = :email", email=email)
    assert _events(database, "auth", user_id) == ["user.registered", "mail.requested"]
    assert len(rows(database, "auth", "select 1 from sessions where account_id = :id", id=user_id)) == 1
    eventually(lambda: rows(database, "users", "select 1 from profiles where id = :id", id=user_id))
    assert len(rows(database, "users", "select 1 from profiles where email = :email", email=email)) == 1

    again = client.post("/auth/register", body(email))
    assert (again.status_code, again.json()["code"]) == (409, "email_taken")
    login = client.post("/auth/login", {"email": email, "password": PASSWORD})
    assert login.status_code == 200, login.text
    client.tokens = login.json()
    assert client.get("/users/profile").json()["email"] == email


def test_an_interrupted_refresh_gives_the_same_successor_and_keeps_the_session(
    deaths: Deaths, patient: Stack, database: Any
) -> None:
    def ask() -> Asked:
        client = Client(patient.url).register()
        token = client.tokens["refresh_token"]
        return Asked(client, token, client.post("/auth/refresh", {"refresh_token": token}))

    client, token, answer = deaths.before_reply("auth_svc", "refresh", ask, REFRESH_GRACE=GRACE)
    assert answer.status_code == 200, answer.text
    successor = answer.json()["refresh_token"]
    assert successor != token
    session = "select generation, revoked_reason from sessions where account_id = :id"
    assert rows(database, "auth", session, id=client.user_id) == [(1, None)]
    assert (
        rows(database, "auth", "select 1 from outbox where envelope->'data'->>'user_id' = :id", id=client.user_id) == []
    )

    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert client.get("/auth/me", headers=headers).json()["id"] == client.user_id
    assert client.post("/auth/refresh", {"refresh_token": successor}).status_code == 200
    assert rows(database, "auth", session, id=client.user_id) == [(2, None)]


@pytest.mark.parametrize(
    "deaths, keyed", [("restarted", True), ("taken over", True), ("taken over", False)], indirect=["deaths"]
)
def test_an_interrupted_create_user_is_answered_with_the_one_user(
    deaths: Deaths, patient: Stack, database: Any, keyed: bool
) -> None:
    def ask() -> Asked:
        email = unique_email()
        headers = {"Idempotency-Key": email} if keyed else {}
        return Asked(Client(patient.url), email, post(patient, "/users", {"email": email, "name": "Jane"}, **headers))

    _, email, answer = deaths.before_reply("users_svc", "create_user", ask)
    _check_created_user(patient, database, email, answer, keyed=keyed)


@pytest.mark.parametrize("deaths", ["taken over"], indirect=True)
def test_an_interrupted_reservation_behind_create_user_reserves_one_account(
    deaths: Deaths, patient: Stack, database: Any
) -> None:
    """One service further on: the caller whose worker died is users_svc."""

    def ask() -> Asked:
        email = unique_email()
        answer = post(patient, "/users", {"email": email, "name": "Jane"}, **{"Idempotency-Key": email})
        return Asked(Client(patient.url), email, answer)

    _, email, answer = deaths.before_reply("auth_svc", "reserve_account", ask)
    _check_created_user(patient, database, email, answer, keyed=True)


def test_a_second_run_that_fails_is_not_told_as_if_nothing_had_happened(
    stack: Stack, patient: Stack, database: Any
) -> None:
    """users_svc is back, and auth_svc, which it needs, is not: that this run did nothing says nothing of the first."""
    stack.stop(["users_svc"])
    stack.start("users_svc", FAULT_POINT="rpc.before_reply.create_user")
    patient.wait_healthy("gateway")
    email = unique_email()
    body, key = {"email": email, "name": "Jane"}, {"Idempotency-Key": email}
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(post, patient, "/users", body, **key)
        assert stack.wait_end("users_svc") == -9
        stack.kill("auth_svc")
        stack.start("users_svc", wait=False)
        answer = asked.result()
    assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown"), answer.text

    stack.start("auth_svc")
    stack.wait_healthy("users_svc")
    patient.wait_healthy("gateway")
    _check_created_user(patient, database, email, post(patient, "/users", body, **key), keyed=True)


def _check_created_user(gateway: Stack, database: Any, email: str, answer: requests.Response, *, keyed: bool) -> None:
    assert answer.status_code == 201, answer.text
    user_id = answer.json()["id"]
    assert answer.json() == {"id": user_id, "email": email, "name": "Jane"}
    account = "select id::text, status from accounts where email = :email"
    assert rows(database, "auth", account, email=email) == [(user_id, "invited")]
    assert _events(database, "auth", user_id) == ["user.registered", "mail.requested"]
    assert rows(database, "users", "select id::text from profiles where email = :email", email=email) == [(user_id,)]

    headers = {"Idempotency-Key": email} if keyed else {}
    again = post(gateway, "/users", {"email": email, "name": "Jane"}, **headers)
    if keyed:
        assert (again.status_code, again.json()) == (201, answer.json())
    else:
        assert (again.status_code, again.json()["code"]) == (409, "email_taken")


def test_an_interrupted_payment_is_charged_once_and_told_as_it_is(
    deaths: Deaths, patient: Stack, database: Any
) -> None:
    def ask() -> Asked:
        client, key = Client(patient.url).register(), secrets.token_hex(8)
        return Asked(client, key, client.pay(1999, key=key))

    client, key, answer = deaths.before_reply("payments_svc", "create_payment", ask)
    assert answer.status_code == 201, answer.text
    payment = answer.json()
    assert (payment["status"], payment["amount"], payment["amount_captured"]) == ("succeeded", 1999, 1999)

    made = "select id::text, status from payments where customer_id = :id"
    charged = """
        select calls from sandbox_charges join idempotency_claims using (attempt_id) where user_id = :id
    """
    again = client.pay(1999, key=key)
    assert (again.status_code, again.json()) == (201, payment)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert rows(database, "payments", made, id=client.user_id) == [(payment["id"], "succeeded")]
    assert rows(database, "payments", charged, id=client.user_id) == [(1,)]
    assert _events(database, "payments", payment["id"]) == ["payment.created", "payment.succeeded"]


def test_when_nobody_takes_over_in_time_the_caller_is_told_so_and_the_key_still_gives_the_one_user(
    stack: Stack, database: Any
) -> None:
    """The request's time is over when the service is back: nobody runs it for a caller who has gone."""
    stack.stop(["users_svc"])
    stack.start("users_svc", FAULT_POINT="rpc.before_reply.create_user")
    stack.wait_healthy("gateway")
    email = unique_email()
    body, key = {"email": email, "name": "Jane"}, {"Idempotency-Key": email}
    started = time.monotonic()
    answer = post(stack, "/users", body, **key)
    waited = time.monotonic() - started
    assert (answer.status_code, answer.json()["code"]) == (504, "timeout"), answer.text
    assert 4 < waited < 8, "the deadline is RPC_TIMEOUT, 5 s"
    assert stack.wait_end("users_svc") == -9

    before = len(stack.log("users_svc"))
    stack.start("users_svc")
    stack.wait_healthy("gateway")
    again = post(stack, "/users", body, **key)
    assert stack.log("users_svc")[before:].count("Rpc create_user") == 1, "only the repetition ran"
    _check_created_user(stack, database, email, again, keyed=True)


def _events(database: Any, service: str, subject: str) -> list[str]:
    statement = "select type from outbox where envelope->>'subject' = :id order by position"
    return [type_ for (type_,) in rows(database, service, statement, id=subject)]
