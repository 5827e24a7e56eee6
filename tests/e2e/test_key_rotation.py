"""Signing keys are rotated by command while everybody works: not one valid token is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
import requests

from tests.e2e.client import PASSWORD, Client, unique_email
from tests.support.databases import ROOT
from tests.support.stack import Stack
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.faults]

ROTATIONS = 2


def command(stack: Stack, *arguments: str) -> list[dict[str, Any]]:
    """Run a command as an operator does; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "lib.cli", "auth_svc", *arguments],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


class Person(Client):
    """Somebody whose app never rests: reads in every service, and renews its token, or signs in anew, all the time."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.email = unique_email()
        self.register(email=self.email)
        self.first_token = self.tokens["access_token"]
        self.answers: Counter[tuple[str, int]] = Counter()
        self.refused: list[tuple[str, str, str]] = []
        self.kids: set[str] = set()

    def live(self, renew: Callable[[], requests.Response], until: threading.Event) -> None:
        while not until.is_set():
            for path in ("/auth/me", "/users/profile", "/payments", "/auth/me"):
                self._note(path, self.get(path), self.tokens["access_token"])
            old = {"Authorization": f"Bearer {self.first_token}"}
            self._note("the first token", self.get("/auth/me", headers=old), self.first_token)
            answer = renew()
            self._note("renewal", answer, "")
            if answer.status_code == 200:
                self.tokens = {**self.tokens, **answer.json()}
                self.kids.add(kid_of(self.tokens["access_token"]))

    def refresh(self) -> requests.Response:
        return self.post("/auth/refresh", {"refresh_token": self.tokens["refresh_token"]})

    def log_in(self) -> requests.Response:
        return self.post("/auth/login", {"email": self.email, "password": PASSWORD})

    def _note(self, what: str, answer: requests.Response, token: str) -> None:
        self.answers[what, answer.status_code] += 1
        if answer.status_code == 401:
            self.refused.append((what, answer.text, kid_of(token) if token else ""))


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


@pytest.fixture
def two_instances(stack: Stack) -> Iterator[Stack]:
    """One may have heard of a rotation while the other signs with the old key, or answers with the old key set."""
    stack.start("auth_svc#2")
    yield stack
    stack.stop(["auth_svc#2"])


def test_not_one_valid_token_is_refused_while_keys_are_rotated_under_load(two_instances: Stack) -> None:
    stack = two_instances
    people = [Person(stack.url) for _ in range(4)]
    done = threading.Event()
    threads = [
        threading.Thread(target=person.live, args=(person.log_in if index == 0 else person.refresh, done))
        for index, person in enumerate(people)
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in range(ROTATIONS):
            (active,) = (key["kid"] for key in command(stack, "rotate-keys", "--at-once") if key["state"] == "active")
            eventually(lambda kid=active: all(kid in person.kids for person in people), within=20)
        # The tokens of the last key are used for a while, too.
        enough = sum(sum(person.answers.values()) for person in people) + 100
        eventually(lambda: sum(sum(person.answers.values()) for person in people) > enough, within=20)
    finally:
        done.set()
        for thread in threads:
            thread.join(timeout=30)
    assert [each for person in people for each in person.refused] == []
    answers = sum((person.answers for person in people), Counter())
    assert sum(count for (_, status), count in answers.items() if status != 200) == 0, answers
    assert len(set().union(*(person.kids for person in people))) == ROTATIONS + 1


def test_a_key_that_is_withdrawn_signs_nothing_more(stack: Stack) -> None:
    person = Person(stack.url)
    before = kid_of(person.first_token)
    published = command(stack, "withdraw-key", before)
    assert before not in [key["kid"] for key in published]
    began = time.monotonic()

    def renewed() -> bool:
        answer = person.refresh()
        person.tokens = {**person.tokens, **answer.json()}
        return kid_of(person.tokens["access_token"]) != before

    eventually(renewed, within=10, every=0.5)
    assert time.monotonic() - began < 10
    # The gateway and each service find the new key by themselves.
    for path in ("/auth/me", "/users/profile", "/payments"):
        assert eventually(lambda path=path: person.get(path).status_code == 200, within=10, every=0.5)
