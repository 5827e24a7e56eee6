"""Guessing passwords from everywhere at once: only the devices that are known are let through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.e2e.client import PASSWORD, Client, unique_email
from tests.support.stack import Stack

FAILURES = 3


@pytest.fixture
def guarded(stack: Stack) -> Iterator[Stack]:
    """The product with few failed sign-ins allowed, behind a proxy that names the clients' addresses."""
    stack.stop(["gateway"])
    stack.start(
        "gateway",
        RATE_LIMITS="on",
        LOGIN_FAILURES_GLOBAL=f"{FAILURES}/minute",
        LOGIN_FAILURES_PER_ADDRESS="5/10minute",
        TRUSTED_PROXIES="127.0.0.1",
    )
    yield stack
    stack.stop(["gateway"])
    stack.start("gateway")


def sign_in(stack: Stack, address: str, email: str, password: str = PASSWORD, **more: Any) -> requests.Response:
    body = {"email": email, "password": password, **more}
    return requests.post(f"{stack.url}/auth/login", json=body, headers={"X-Forwarded-For": address}, timeout=20)


def test_after_too_many_failures_everywhere_only_known_devices_sign_in(client: Client, guarded: Stack) -> None:
    mine, yours = unique_email(), unique_email()
    device = client.register(email=mine).tokens["device_token"]
    other = client.register(email=yours).tokens["device_token"]
    failures = [sign_in(guarded, f"192.0.2.{number}", mine, "guess") for number in range(FAILURES)]
    assert [each.status_code for each in failures] == [401] * FAILURES

    refused = [
        sign_in(guarded, f"192.0.2.{10 + number}", email, **shown)
        for number, (email, shown) in enumerate(
            (
                (mine, {}),
                (mine, {"device_token": "dt_made-up"}),
                (mine, {"device_token": device[:-2]}),
                (mine, {"device_token": other}),
                (unique_email(), {"device_token": device}),
                ("nobody", {"device_token": "dt_made-up"}),
            )
        )
    ]
    assert [each.status_code for each in refused] == [429] * len(refused)
    assert len({each.content.replace(each.headers["X-Request-ID"].encode(), b"") for each in refused}) == 1
    assert len({each.headers["RateLimit-Policy"] for each in refused}) == 1
    assert all(1 <= int(each.headers["Retry-After"]) <= 60 for each in refused)

    assert sign_in(guarded, "192.0.2.30", mine, "guess", device_token=device).status_code == 401
    assert sign_in(guarded, "192.0.2.30", mine, device_token=device).status_code == 200
    assert sign_in(guarded, "192.0.2.31", yours, device_token=other).status_code == 200
