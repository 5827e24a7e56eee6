"""Failed logins look alike and take equally long, whatever is wrong: nobody finds out who has an account here."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from auth_svc.application.register_account import register_account
from auth_svc.application.sign_in import sign_in
from auth_svc.domain.account import InvalidCredentials
from auth_svc.infrastructure.argon2 import Argon2Hasher
from tests.e2e.client import PASSWORD, Client, unique_email
from tests.support.stack import Stack
from tests.support.timing import cliffs_delta, differences, interleaved

ROUNDS, SAMPLES = 3, 40
DELTA, SHARE_OF_A_HASH = 0.3, 0.15


def one_hash() -> float:
    """Return the median seconds of a hash with the parameters that the service uses."""
    hasher = Argon2Hasher(lambda function, *arguments: function(*arguments))
    times = []
    for _ in range(9):
        started = time.perf_counter()
        hasher.hash(PASSWORD)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


@pytest.fixture
def kinds(stack: Stack, database: Any) -> dict[str, dict[str, str]]:
    """What is sent for each kind of failed login, to a service that locks accounts."""
    stack.stop(["auth_svc"])
    stack.start("auth_svc", RATE_LIMITS="on", LOCKOUT_ATTEMPTS="100")
    people = {}
    for kind in ("wrong", "empty", "locked", "disabled"):
        people[kind] = unique_email()
        Client(stack.url).register(email=people[kind])
    people["invited"] = unique_email()
    requests.post(f"{stack.url}/users", json={"email": people["invited"], "name": "Grace"}, timeout=10)
    people["unknown"] = unique_email()
    with database("auth") as connection:
        connection.execute(
            sa.text("update accounts set status = 'disabled', disabled_at = now() where email = :email"),
            {"email": people["disabled"]},
        )
        connection.execute(sa.text("delete from login_attempts"))
    requests.post(f"{stack.url}/auth/login", json={"email": people["locked"], "password": "wrong"}, timeout=10)
    with database("auth") as connection:
        connection.execute(sa.text("update login_attempts set attempts = 1000"))
    passwords = {"wrong": "WrongPass123!", "empty": "", "unknown": PASSWORD}
    return {kind: {"email": email, "password": passwords.get(kind, PASSWORD)} for kind, email in sorted(people.items())}


@pytest.mark.timeout(400)
def test_every_kind_of_failed_login_has_the_same_answer_after_the_same_time(
    stack: Stack, kinds: dict[str, dict[str, str]], database: Any
) -> None:
    http = requests.Session()
    answers = set()

    def fail(body: dict[str, str]) -> float:
        started = time.perf_counter()
        answer = http.post(f"{stack.url}/auth/login", json=body, timeout=20)
        took = time.perf_counter() - started
        document = answer.json()
        document.pop("request_id")
        answers.add((answer.status_code, str(document), answer.headers["WWW-Authenticate"]))
        return took

    actions = {kind: lambda body=body: fail(body) for kind, body in kinds.items()}
    interleaved(actions, 3)
    found = []
    try:
        for _ in range(ROUNDS):
            with database("auth") as connection:
                # Nobody but the locked one is locked out by the rounds before.
                connection.execute(sa.text("delete from login_attempts where attempts < 1000"))
            found = differences(interleaved(actions, SAMPLES), delta=DELTA, seconds=one_hash() * SHARE_OF_A_HASH)
            if not found:
                break
    finally:
        stack.stop(["auth_svc"])
        stack.start("auth_svc")
    assert found == []
    assert len(answers) == 1


def test_without_the_dummy_hash_the_same_comparison_finds_the_difference(instance):
    ports = replace(instance(LOCKOUT_ATTEMPTS=100), hasher=Argon2Hasher(lambda function, *args: function(*args)))
    register_account(ports, email="ann@example.com", password=PASSWORD, name="Ann")

    class WithoutDummy:
        is_outdated = ports.hasher.is_outdated

        def verify(self, password_hash, password):
            return password_hash is not None and ports.hasher.verify(password_hash, password)

    def fail(ports, email):
        started = time.perf_counter()
        with pytest.raises(InvalidCredentials):
            sign_in(ports, email=email, password="WrongPass123!")
        return time.perf_counter() - started

    def compare(ports):
        actions = {email: lambda email=email: fail(ports, email) for email in ("ann@example.com", "nobody@example.com")}
        return differences(interleaved(actions, 20), delta=DELTA, seconds=one_hash() * SHARE_OF_A_HASH)

    assert compare(replace(ports, hasher=WithoutDummy()))


@pytest.mark.parametrize(
    "first, second, expected",
    [
        ([1, 2, 3], [1, 2, 3], 0.0),
        ([4, 5], [1, 2], 1.0),
        ([1, 2], [4, 5], -1.0),
        ([1, 3], [2, 2], 0.0),
        ([2, 3], [2, 2], 0.5),
    ],
)
def test_cliffs_delta(first, second, expected):
    assert cliffs_delta(first, second) == expected
