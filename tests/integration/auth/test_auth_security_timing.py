"""Whoever asks for a mail finds out by no clock whether somebody has the address. Sign-in has a test of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from auth_svc.application.ensure_signing_key import ensure_signing_key
from auth_svc.application.forgot_password import forgot_password
from auth_svc.application.register_account import register_account
from auth_svc.domain.email import Email
from auth_svc.infrastructure.argon2 import Argon2Hasher
from lib.ids import new_id
from tests.support.timing import differences, interleaved

PASSWORD = "umbrella lantern gravel"
ROUNDS, SAMPLES = 3, 60
DELTA = 0.3

Timed = Callable[[], float]


def timed(action: Callable[[], object]) -> Timed:
    def run() -> float:
        started = time.perf_counter()
        action()
        return time.perf_counter() - started

    return run


def compared(actions: dict[str, Timed], *, seconds: float, delta: float = DELTA, samples: int = SAMPLES) -> list[str]:
    """Return what can be told apart, in the best of some rounds."""
    interleaved(actions, 3)
    found = ["nothing was compared"]
    for _ in range(ROUNDS):
        found = differences(interleaved(actions, samples), delta=delta, seconds=seconds)
        if not found:
            break
    return found


@pytest.fixture
def ports(instance: Any) -> Any:
    ports = instance(PRIVATE_REGISTRATION=1, MAILS_PER_HOUR=1000)
    ensure_signing_key(ports)
    register_account(ports, email="ann@example.com", password=PASSWORD, name="Ann")
    return ports


def unknown() -> str:
    return f"{new_id().hex}@example.com"


def test_asking_for_a_reset_takes_as_long_for_nobody(ports: Any) -> None:
    actions = {
        "known": timed(lambda: forgot_password(ports, email="ann@example.com")),
        "unknown": timed(lambda: forgot_password(ports, email=unknown())),
    }
    assert compared(actions, seconds=0.001) == []


def test_the_comparison_finds_an_answer_that_comes_early(ports: Any) -> None:
    """As it would without the rows that are written for nobody."""

    def hasty(address: str) -> None:
        with ports.unit_of_work() as uow:
            account = uow.accounts.find_by_email(Email(address))
        if account is not None:
            forgot_password(ports, email=address)

    actions = {"known": timed(lambda: hasty("ann@example.com")), "unknown": timed(lambda: hasty(unknown()))}
    assert differences(interleaved(actions, SAMPLES), delta=DELTA, seconds=0.001)


def test_a_private_registration_takes_as_long_for_an_address_that_is_taken(ports: Any) -> None:
    slow = replace(ports, hasher=Argon2Hasher(lambda function, *arguments: function(*arguments)))

    def register(address: str) -> None:
        assert register_account(slow, email=address, password=PASSWORD, name="Somebody") is None

    actions = {"taken": timed(lambda: register("ann@example.com")), "free": timed(lambda: register(unknown()))}
    # A row more or less, beside a hash that takes seven times as long as what is allowed here.
    assert compared(actions, seconds=0.15 * 0.03, delta=0.5, samples=30) == []
