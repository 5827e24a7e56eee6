"""Failed logins look alike and take equally long, whatever is wrong: nobody finds out who has an account here."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import sqlalchemy as sa

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
def locking(stack: Stack, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """The product with a service that locks accounts; as another program, if the test names one."""
    program = getattr(request, "param", None)
    usual = stack.command
    stack.stop(["auth_svc"])
    with monkeypatch.context() as patch:
        if program is not None:
            command = [sys.executable, "-m", program, "auth_svc"]
            patch.setattr(stack, "command", lambda name: command if name == "auth_svc" else usual(name))
        stack.start("auth_svc", RATE_LIMITS="on", LOCKOUT_ATTEMPTS="100")
    yield stack
    stack.stop(["auth_svc"])
    stack.start("auth_svc")


@pytest.fixture
def kinds(locking: Stack, database: Any) -> dict[str, dict[str, str]]:
    """What is sent for each kind of failed login."""
    people = {}
    for kind in ("wrong", "empty", "locked", "disabled"):
        people[kind] = unique_email()
        Client(locking.url).register(email=people[kind])
    people["invited"] = unique_email()
    requests.post(f"{locking.url}/users", json={"email": people["invited"], "name": "Grace"}, timeout=10)
    people["unknown"] = unique_email()
    with database("auth") as connection:
        connection.execute(
            sa.text("update accounts set status = 'disabled', disabled_at = now() where email = :email"),
            {"email": people["disabled"]},
        )
        connection.execute(sa.text("delete from login_attempts"))
    requests.post(f"{locking.url}/auth/login", json={"email": people["locked"], "password": "wrong"}, timeout=10)
    with database("auth") as connection:
        connection.execute(sa.text("update login_attempts set attempts = 1000"))
    passwords = {"wrong": "WrongPass123!", "empty": "", "unknown": PASSWORD}
    return {kind: {"email": email, "password": passwords.get(kind, PASSWORD)} for kind, email in sorted(people.items())}


class Trial:
    """Failed logins of all kinds in turns, measured where an attacker measures: at the gateway."""

    def __init__(self, stack: Stack, kinds: dict[str, dict[str, str]], database: Any) -> None:
        self._url, self._database = f"{stack.url}/auth/login", database
        self._http = requests.Session()
        self.answers: set[tuple[int, str, str]] = set()
        self._actions = {kind: lambda body=body: self._fail(body) for kind, body in kinds.items()}
        interleaved(self._actions, 3)

    def round(self) -> list[str]:
        """Return which kinds can be told apart."""
        with self._database("auth") as connection:
            # Nobody but the locked one is locked out by the rounds before.
            connection.execute(sa.text("delete from login_attempts where attempts < 1000"))
        samples = interleaved(self._actions, SAMPLES)
        return differences(samples, delta=DELTA, seconds=one_hash() * SHARE_OF_A_HASH)

    def _fail(self, body: dict[str, str]) -> float:
        started = time.perf_counter()
        answer = self._http.post(self._url, json=body, timeout=20)
        took = time.perf_counter() - started
        document = answer.json()
        document.pop("request_id")
        self.answers.add((answer.status_code, str(document), answer.headers["WWW-Authenticate"]))
        return took


@pytest.mark.timeout(400)
def test_every_kind_of_failed_login_has_the_same_answer_after_the_same_time(
    locking: Stack, kinds: dict[str, dict[str, str]], database: Any
) -> None:
    trial = Trial(locking, kinds, database)
    found = ["not measured"]
    for _ in range(ROUNDS):
        if not (found := trial.round()):
            break
    assert found == []
    assert len(trial.answers) == 1


@pytest.mark.timeout(400)
@pytest.mark.parametrize("locking", ["tests.services.undummied"], indirect=True)
def test_without_the_dummy_hash_every_round_of_it_finds_the_difference(
    locking: Stack, kinds: dict[str, dict[str, str]], database: Any
) -> None:
    trial = Trial(locking, kinds, database)
    for _ in range(2):
        told = " ".join(trial.round())
        assert "unknown / wrong" in told
        assert "invited / wrong" in told


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
