"""Notifications as they come, from an event of any service to clients at any gateway, through the whole product."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests.e2e.client import Client
from tests.support.event_stream import EventStream
from tests.support.stack import Stack
from tests.support.waiting import eventually, stays

STREAM = "/api/v1/users/notifications/stream"
WITHIN = 1.0

Listen = Callable[..., EventStream]


@pytest.fixture
def second(stack: Stack, tmp_path: Path) -> Iterator[Stack]:
    """Another gateway of the same product."""
    other = Stack(stack.environment, tmp_path)
    other.start("gateway", wait=False)
    eventually(lambda: requests.get(f"{other.url}/health/ready", timeout=5).status_code == 200, within=30)
    yield other
    other.stop()


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Return a function that opens a stream for a client at a gateway."""
    with ExitStack() as opened:

        def open_stream(client: Client, gateway: Stack, last_id: str | None = None) -> EventStream:
            headers = {"Authorization": f"Bearer {client.tokens['access_token']}"}
            stream = EventStream(
                f"{gateway.url}{STREAM}", headers if last_id is None else {**headers, "Last-Event-ID": last_id}
            )
            opened.callback(stream.close)
            assert stream.status == 200, stream.problem
            eventually(lambda: stream.opened)
            return stream

        yield open_stream


def test_news_come_within_a_second_at_any_gateway(stack: Stack, second: Stack, listen: Listen) -> None:
    ann, ben = Client(stack.url).register(name="Ann"), Client(stack.url).register(name="Ben")
    streams, other = [listen(ann, stack), listen(ann, second)], listen(ben, second)
    for number in (1, 2, 3):
        assert ann.pay(1000 + number).status_code == 201
        paid = time.monotonic()
        for stream in streams:
            eventually(lambda stream=stream, number=number: len(stream.numbers) == number, within=2 * WITHIN)
            assert stream.notifications[-1].at - paid < WITHIN
    inbox = ann.get("/users/notifications").json()
    for stream in streams:
        assert stream.numbers == [1, 2, 3]
        # The same as the inbox shows.
        assert [each.data for each in stream.notifications] == inbox["data"][::-1]
    assert other.numbers == []
    # Somebody who comes later begins where the others are, or where they say.
    assert listen(ann, stack).last_id == "3"
    resumed = listen(ann, second, "1")
    eventually(lambda: resumed.numbers == [2, 3])


def test_a_logout_ends_the_streams_of_its_session_alone(stack: Stack, second: Stack, listen: Listen) -> None:
    phone = Client(stack.url).register()
    laptop = Client(stack.url).login(phone.get("/auth/me").json()["email"])
    ended, lives = [listen(phone, stack), listen(phone, second)], listen(laptop, second)
    assert phone.post("/auth/logout", {"refresh_token": phone.tokens["refresh_token"]}).status_code == 204
    told = time.monotonic()
    for stream in ended:
        eventually(lambda stream=stream: stream.ended, within=2 * WITHIN)
        assert stream.ended_at is not None
        assert stream.ended_at - told < WITHIN
        assert stream.reason == "session_ended"
    assert laptop.pay().status_code == 201
    eventually(lambda: lives.numbers == [1])


def test_nothing_is_missed_or_comes_twice_when_services_are_killed(stack: Stack, second: Stack, listen: Listen) -> None:
    ann = Client(stack.url).register()
    stays_here, moves = listen(ann, second), listen(ann, stack)
    for victim in ("users_svc", "gateway"):
        for _ in range(4):
            assert ann.pay().status_code == 201
        stack.kill(victim)
        stack.start(victim)
    eventually(lambda: moves.ended)
    again = listen(ann, stack, moves.last_id)
    everything = list(range(1, 9))
    eventually(lambda: stays_here.numbers == everything, within=30)
    eventually(lambda: moves.numbers + again.numbers == everything)
    stays(lambda: stays_here.numbers == moves.numbers + again.numbers == everything, during=0.3)
