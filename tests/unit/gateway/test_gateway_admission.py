"""How many requests are worked on at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from gateway import admission
from gateway.admission import Turns
from gateway.shapes import EXAMPLES
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import USER_ID, Configure

USER = f"/api/v1/users/{USER_ID}"


class Hanging:
    """A service that answers when it is told to."""

    def __init__(self) -> None:
        self.busy = threading.Semaphore(0)
        self.go_on = threading.Event()

    def __call__(self, **_: Any) -> Any:
        self.busy.release()
        assert self.go_on.wait(10)
        return EXAMPLES["PublicProfile"]


@pytest.fixture
def hanging(cluster: FakeCluster) -> Hanging:
    service = Hanging()
    cluster.answers["users_svc.get_user"] = service
    return service


@pytest.fixture
def small(configure: Configure, hanging: Hanging) -> Flask:
    """An application that works on one request at a time."""
    return configure(GATEWAY_THREADS=1)


def _in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    return thread, results


def _eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_who_has_no_turn_in_time_is_sent_away(small: Flask, hanging: Hanging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "TURN_WITHIN", 0.05)
    thread, results = _in_thread(lambda: small.test_client().get(USER).status_code)
    assert hanging.busy.acquire(timeout=5)
    response = small.test_client().get(USER)
    assert response.status_code == 503
    assert response.json is not None
    assert response.json["code"] == "overloaded"
    hanging.go_on.set()
    thread.join(5)
    assert results == [200]
    assert small.test_client().get(USER).status_code == 200


def test_who_waits_has_a_turn_after_the_others(small: Flask, hanging: Hanging) -> None:
    first, first_results = _in_thread(lambda: small.test_client().get(USER).status_code)
    assert hanging.busy.acquire(timeout=5)
    second, second_results = _in_thread(lambda: small.test_client().get(USER).status_code)
    hanging.go_on.set()
    first.join(5)
    second.join(5)
    assert first_results == second_results == [200]


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/metrics"])
def test_operators_do_not_wait(small: Flask, hanging: Hanging, path: str) -> None:
    thread, _ = _in_thread(lambda: small.test_client().get(USER))
    assert hanging.busy.acquire(timeout=5)
    started = time.monotonic()
    assert small.test_client().get(path).status_code == 200
    assert time.monotonic() - started < 1
    hanging.go_on.set()
    thread.join(5)


def test_errors_give_their_place_back(small: Flask) -> None:
    client = small.test_client()
    for _ in range(3):
        assert client.get("/nowhere").status_code == 404
        assert client.post("/users", data=b"{", content_type="application/json").status_code == 400
        assert client.post("/users").status_code == 415


class _SlowBody:
    def __init__(self) -> None:
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def read(self, _size: int) -> bytes:
        self.asked.set()
        assert self.go_on.wait(10)
        return b""


def test_a_body_that_does_not_come_takes_nobodys_turn(small: Flask, hanging: Hanging) -> None:
    body = _SlowBody()
    thread, results = _in_thread(
        lambda: (
            small.test_client()
            .post(
                "/users",
                content_type="application/json",
                environ_overrides={"wsgi.input": body, "CONTENT_LENGTH": "5"},
            )
            .status_code
        )
    )
    assert body.asked.wait(5)
    hanging.go_on.set()
    assert small.test_client().get(USER).status_code == 200
    body.go_on.set()
    thread.join(5)
    assert results == [400]


def test_only_so_many_bodies_are_waited_for(small: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small.extensions["gateway"].admission, "_reading", Turns(0))
    response = small.test_client().post("/users", json={})
    assert response.status_code == 503
    assert response.json is not None
    assert response.json["code"] == "overloaded"
    assert small.test_client().get("/nowhere").status_code == 404


def test_turns_are_taken_in_the_order_of_asking() -> None:
    turns = Turns(1)
    assert turns.acquire(0)
    order: list[int] = []

    def wait(number: int) -> None:
        assert turns.acquire(5)
        order.append(number)
        turns.release()

    threads = []
    for number in range(5):
        thread = threading.Thread(target=wait, args=(number,))
        thread.start()
        threads.append(thread)
        _eventually(lambda expected=number + 1: len(turns._waiting) == expected)  # type: ignore[misc]
    turns.release()
    for thread in threads:
        thread.join(5)
    assert order == [0, 1, 2, 3, 4]


def test_who_gave_up_is_not_given_a_turn() -> None:
    turns = Turns(1)
    assert turns.acquire(0)
    assert not turns.acquire(0)
    assert not turns.acquire(0.01)
    turns.release()
    assert turns.acquire(0)
    assert not turns.acquire(0)


def test_no_place_is_ever_lost_or_made() -> None:
    turns = Turns(3)
    working, most = 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal working, most
        for _ in range(200):
            if turns.acquire(0.0005):
                with lock:
                    working += 1
                    most = max(most, working)
                with lock:
                    working -= 1
                turns.release()

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most <= 3
    assert [turns.acquire(0) for _ in range(4)] == [True, True, True, False]
