"""A service with no instance, seen from outside: 503 at once, although its durable queue would take the call.

Stock Nameko 2.14.1: the proxy of the usual gateway waited its whole timeout there, 5.05 s of 5, for each request.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import requests

from tests.e2e.client import Client
from tests.support.stack import Stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults


def test_without_an_instance_of_a_service_its_calls_are_503_within_a_second(stack: Stack) -> None:
    client = Client(stack.url).register()
    stack.kill("users_svc")
    killed = time.monotonic()

    def get(delay: float = 0.0) -> tuple[float, float, requests.Response]:
        """Ask so long after the kill; return when it was asked, how long the answer took, and the answer."""
        time.sleep(max(0.0, killed + delay - time.monotonic()))
        asked = time.monotonic()
        answer = requests.get(f"{stack.url}/api/v1/users/{uuid4()}", timeout=20)
        return asked - killed, time.monotonic() - asked, answer

    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(get, [number / 10 for number in range(20)]))
    for asked, took, answer in outcomes:
        assert answer.headers["Content-Type"] == "application/problem+json"
        if asked > 1:
            assert took < 1
            assert int(answer.headers["Retry-After"]) >= 1
            assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
        else:
            # Asked when the gateway could not know yet: at the deadline, at the latest.
            assert took < 7
            assert answer.status_code in (503, 504)
    # The others are not concerned.
    assert client.pay().status_code == 201
    stack.start("users_svc")
    eventually(lambda: get()[2].status_code == 404)
