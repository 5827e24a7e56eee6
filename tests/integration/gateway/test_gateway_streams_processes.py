"""Live notifications from gateways as they run: processes with their own HTTP server, on one broker."""

from __future__ import annotations

import json
import os
import secrets
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from deploy.local.environment import names_in, scrub
from deploy.local.infra import Infrastructure
from lib.ids import new_id
from tests.conftest import ROOT
from tests.integration.gateway.conftest import Broker
from tests.integration.gateway.inboxes import Inboxes
from tests.integration.gateway.stand_in import StandIn
from tests.support.event_stream import EventStream
from tests.support.stack import Stack
from tests.support.waiting import eventually, stays

pytestmark = pytest.mark.faults

STREAM, USER = "/api/v1/users/notifications/stream", f"/api/v1/users/{new_id()}"
#: the default
PLACES, PER_ACCOUNT = 64, 5
WITHIN = 1.0


class Gateway(Stack):
    """A gateway, one worker process, with a port of its own."""

    #: what the process runs before it is a gateway
    before = ""

    def command(self, name: str) -> list[str]:
        if not self.before:
            return super().command(name)
        run = f"import sys; from gateway import __main__ as gateway; {self.before}; sys.exit(gateway.main())"
        return [*super().command(name)[:1], "-c", run]

    def begin(self) -> None:
        self.start("gateway", wait=False)
        eventually(lambda: requests.get(f"{self.url}/health/ready", timeout=5).status_code == 200, within=30)

    def metric(self, name: str) -> float:
        lines = requests.get(f"{self.url}/metrics", timeout=5).text.splitlines()
        return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0.0)

    @property
    def open(self) -> int:
        """How many streams it says are open."""
        return int(self.metric("gateway_streams_open"))


@dataclass
class Place:
    """A virtual host of the broker, with the services that streams need and whatever gateways a test starts."""

    broker: Broker
    auth: StandIn
    inboxes: Inboxes
    folder: Any
    running: list[Gateway] = field(default_factory=list)

    def gateway(self, kind: type[Gateway] = Gateway, **changes: str) -> Gateway:
        environment = {
            **scrub(os.environ, names_in(ROOT / "config.yaml")),
            "AMQP_URI": self.broker.uri,
            "GATEWAY_WORKERS": "1",
            "RATE_LIMITS": "off",
            "LOG_FORMAT": "json",
            "DRAIN_TIMEOUT": "15",
            **changes,
        }
        gateway = kind(environment, self.folder / f"gateway-{len(self.running)}")
        self.running.append(gateway)
        gateway.begin()
        return gateway


@pytest.fixture(scope="module")
def place(infrastructure: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    broker = Broker(infrastructure, f"streams-{secrets.token_hex(4)}")
    broker.ask("PUT", f"vhosts/{broker.name}")
    broker.permit("guest")
    auth, inboxes = StandIn(broker.uri), Inboxes(broker.uri)
    place = Place(broker, auth, inboxes, tmp_path_factory.mktemp("streams"))
    yield place
    for gateway in place.running:
        gateway.stop()
    inboxes.stop()
    auth.stop()
    broker.ask("DELETE", f"vhosts/{broker.name}")


@pytest.fixture(scope="module")
def first(place: Place) -> Gateway:
    """A gateway that every test leaves as it was."""
    return place.gateway()


@pytest.fixture(scope="module")
def second(place: Place) -> Gateway:
    """Another process."""
    return place.gateway()


@dataclass
class Person:
    """Somebody with a session, and their streams."""

    auth: StandIn
    opened: ExitStack
    id: str = field(default_factory=lambda: str(new_id()))
    session: str = field(default_factory=lambda: str(new_id()))

    def headers(self, **claims: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.auth.issuer.token(sub=self.id, sid=self.session, **claims)}"}

    def connect(
        self, gateway: Gateway, last_id: str | None = None, exp: int | None = None, **headers: str
    ) -> EventStream:
        """Ask for a stream, whatever comes of it."""
        claims = {} if exp is None else {"exp": exp}
        resumed = {} if last_id is None else {"Last-Event-ID": last_id}
        stream = EventStream(f"{gateway.url}{STREAM}", {**self.headers(**claims), **resumed, **headers})
        self.opened.callback(stream.close)
        return stream

    def listen(self, gateway: Gateway, last_id: str | None = None, **claims: Any) -> EventStream:
        """Open a stream, and return it when it is open."""
        stream = self.connect(gateway, last_id, **claims)
        assert stream.status == 200, stream.problem
        eventually(lambda: stream.opened)
        return stream


@pytest.fixture
def person(place: Place) -> Iterator[Callable[[], Person]]:
    with ExitStack() as opened:
        yield lambda: Person(place.auth, opened)


@pytest.fixture
def ann(person: Callable[[], Person]) -> Person:
    return person()


# --- delivery ---


def test_a_notification_comes_within_a_second_at_every_process(
    place: Place, first: Gateway, second: Gateway, ann: Person, person: Callable[[], Person]
) -> None:
    place.inboxes.add(ann.id, note="before anybody listened")
    streams = [ann.listen(first), ann.listen(second)]
    other = person().listen(first)
    for number in (2, 3):
        began = time.monotonic()
        place.inboxes.notify(ann.id, note=f"number {number}\n\nid: 7\nZoë \u202e")
        for stream in streams:
            eventually(lambda stream=stream, number=number: number in stream.numbers, within=WITHIN)
            assert stream.notifications[-1].at - began < WITHIN
    for stream in streams:
        assert [each.id for each in stream.notifications] == ["2", "3"]
        told = stream.notifications[-1].data
        assert set(told) == {"id", "number", "type", "data", "actor", "created_at", "read_at"}
        assert told["data"] == {"note": "number 3\n\nid: 7\nZoë \u202e"}
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert stream.headers["Cache-Control"] == "no-store"
        assert stream.headers["X-Accel-Buffering"] == "no"
    assert other.numbers == []
    assert other.last_id == "0"


def test_a_stream_has_an_id_and_lines_in_the_log(place: Place, first: Gateway, ann: Person) -> None:
    stream = ann.connect(first, **{"X-Request-ID": f"stream-{ann.id}"})
    assert stream.headers["X-Request-ID"] == f"stream-{ann.id}"

    def lines() -> list[dict[str, Any]]:
        told = [json.loads(line) for line in first.log("gateway").splitlines() if line.startswith("{")]
        return [each for each in told if each.get("request_id") == f"stream-{ann.id}"]

    # At its beginning: an answer of an hour that is only told of at its end is told of too late.
    (line,) = eventually(lines)
    assert (line["event"], line["route"], line["status"]) == ("request", STREAM, 200)
    assert line["actor"] == ann.id
    place.inboxes.notify(ann.id)
    eventually(lambda: stream.numbers == [1])
    stream.close()
    end = eventually(lambda: lines()[1])
    assert (end["event"], end["reason"], end["sent"]) == ("a stream has ended", "client_gone", 1)


@pytest.mark.parametrize("given", ["first", "none yet"])
def test_after_a_gateway_is_killed_nothing_is_missed_and_nothing_comes_twice(
    place: Place, second: Gateway, ann: Person, given: str
) -> None:
    doomed = place.gateway()
    stream = ann.listen(doomed)
    total = 300
    if given == "none yet":
        # It knows where it stood from the first lines alone.
        doomed.kill("gateway")
        place.inboxes.notify(ann.id, total)
    else:
        writer = threading.Thread(target=place.inboxes.notify, args=(ann.id, total))
        writer.start()
        eventually(lambda: len(stream.numbers) > 20)
        doomed.kill("gateway")
        writer.join(30)
    eventually(lambda: stream.ended)
    before = stream.numbers
    assert before == list(range(1, len(before) + 1))
    again = ann.listen(second, stream.last_id)
    eventually(lambda: len(before) + len(again.numbers) >= total)
    stays(lambda: before + again.numbers == list(range(1, total + 1)), during=0.3)


def test_what_is_told_while_there_is_no_broker_comes_when_it_is_back(place: Place, first: Gateway, ann: Person) -> None:
    def gateways() -> list[str]:
        told = place.broker.ask("GET", f"vhosts/{place.broker.name}/connections")
        return [each["name"] for each in told if each.get("user_provided_name", "").startswith("gateway on")]

    stream = ann.listen(first)
    # Nobody hears of it: a process has to look for itself when it has a connection again.
    place.inboxes.add(ann.id)
    stays(lambda: stream.numbers == [], during=0.5)
    for name in eventually(gateways):
        place.broker.ask("DELETE", f"connections/{requests.utils.quote(name, safe='')}")
    eventually(lambda: stream.numbers == [1], within=15)
    place.inboxes.notify(ann.id)
    eventually(lambda: stream.numbers == [1, 2], within=WITHIN)


def test_a_service_that_is_away_for_a_while_ends_no_stream(place: Place, first: Gateway, ann: Person) -> None:
    stream = ann.listen(first)
    place.inboxes.answering.clear()
    try:
        place.inboxes.notify(ann.id)
        stays(lambda: not stream.ended, during=2.5)
    finally:
        place.inboxes.answering.set()
    eventually(lambda: stream.numbers == [1])


# --- the end ---


def test_the_end_of_the_token_ends_the_stream(place: Place, first: Gateway, ann: Person) -> None:
    until = int(time.time()) + 2
    stream = ann.listen(first, exp=until)
    place.inboxes.notify(ann.id)
    eventually(lambda: stream.numbers == [1])
    assert not stream.ended
    eventually(lambda: stream.ended, within=5)
    assert until <= time.time() < until + 1.5
    assert stream.reason == "token_expired"
    place.inboxes.notify(ann.id)
    assert stream.numbers == [1]


@pytest.mark.parametrize("how", ["session", "account", "disabled"])
def test_a_logout_ends_the_streams_of_the_session_at_every_process(
    place: Place, first: Gateway, second: Gateway, ann: Person, person: Callable[[], Person], how: str
) -> None:
    streams, ben = [ann.listen(first), ann.listen(second)], person()
    other = ben.listen(first)
    if how == "session":
        place.auth.tell("session.revoked", session_id=ann.session, user_id=ann.id, reason="logout")
    elif how == "account":
        later = "2100-01-01T00:00:00Z"
        place.auth.tell("session.revoked", user_id=ann.id, not_before=later, reason="password_changed")
    else:
        place.auth.tell("user.disabled", id=ann.id, reason="fraud")
    told = time.monotonic()
    for stream in streams:
        eventually(lambda stream=stream: stream.ended, within=2 * WITHIN)
        assert stream.ended_at is not None
        assert stream.ended_at - told < WITHIN
        assert stream.reason == "session_ended"
    place.inboxes.notify(ann.id)
    place.inboxes.notify(ben.id)
    eventually(lambda: other.numbers == [1])
    assert [stream.numbers for stream in streams] == [[], []]
    assert ann.connect(first).status == 401


def test_a_shutdown_ends_the_streams_at_once(place: Place, ann: Person, person: Callable[[], Person]) -> None:
    leaving = place.gateway()
    streams = [each.listen(leaving) for each in (ann, person(), person())]
    leaving.terminate("gateway")
    asked = time.monotonic()
    for stream in streams:
        eventually(lambda stream=stream: stream.ended, within=2 * WITHIN)
        assert stream.ended_at is not None
        assert stream.ended_at - asked < WITHIN
        assert stream.reason == "shutting_down"
    # Long before DRAIN_TIMEOUT.
    assert leaving.wait_end("gateway", within=6) == 0


def test_a_client_that_goes_away_frees_its_place(first: Gateway, ann: Person) -> None:
    eventually(lambda: first.open == 0)
    stream = ann.listen(first)
    assert first.open == 1
    stream.close()
    eventually(lambda: first.open == 0, within=3)


# --- limits ---


@contextmanager
def held(gateway: Gateway, people: list[Person], each: int) -> Iterator[list[socket.socket]]:
    """Hold streams open without reading them: `each` for every person."""
    with ExitStack() as opened:
        sockets = []
        for one in people:
            head = "".join(f"{name}: {value}\r\n" for name, value in one.headers().items())
            for _ in range(each):
                connection = opened.enter_context(socket.create_connection(("127.0.0.1", port_of(gateway)), timeout=10))
                connection.sendall(f"GET {STREAM} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
                answer = b""
                while b"retry:" not in answer:
                    part = connection.recv(65536)
                    assert part, answer
                    answer += part
                assert answer.startswith(b"HTTP/1.1 200 ")
                sockets.append(connection)
        yield sockets


def port_of(gateway: Gateway) -> int:
    return int(gateway.environment["GATEWAY_PORT"])


def p50_of_reads(gateway: Gateway, times: int = 150) -> float:
    """Return the median time of a small read, in seconds."""
    with requests.Session() as session:
        samples = []
        for _ in range(times):
            began = time.perf_counter()
            response = session.get(f"{gateway.url}{USER}", timeout=5)
            samples.append(time.perf_counter() - began)
            assert response.status_code == 200
    return statistics.median(samples)


@contextmanager
def news_for(place: Place, crowd: list[Person]) -> Iterator[list[int]]:
    """Notify all of them four times a second until the end of the block; give the numbers of the notifications."""
    told: list[int] = []
    over = threading.Event()

    def tell() -> None:
        while not over.is_set():
            for each in crowd:
                told.extend(place.inboxes.notify(each.id))
            over.wait(0.25)

    waking = threading.Thread(target=tell)
    waking.start()
    try:
        yield told
    finally:
        over.set()
        waking.join(10)


def test_at_the_cap_streams_are_refused_and_reads_stay_quick(
    place: Place, first: Gateway, person: Callable[[], Person]
) -> None:
    # 64 is no multiple of 5: the last one has fewer.
    crowd, last = [person() for _ in range(PLACES // PER_ACCOUNT)], person()
    rounds = []
    for _ in range(3):
        eventually(lambda: first.open == 0, within=5)
        alone = p50_of_reads(first)
        with held(first, crowd, PER_ACCOUNT), held(first, [last], PLACES % PER_ACCOUNT):
            assert first.open == PLACES
            refused = person().connect(first)
            assert (refused.status, refused.problem["code"]) == (503, "too_many_streams")
            assert int(refused.headers["Retry-After"]) > 0
            crowded = p50_of_reads(first)
            # All of them have news, again and again, for as long as somebody reads: the median read is one of these.
            with news_for(place, crowd) as told:
                busy = p50_of_reads(first, times=600)
            assert len(told) >= 2 * len(crowd), "too few were awake to tell anything"
        rounds.append((alone, crowded, busy))
        if max(crowded, busy) < 2 * alone:
            break
    assert max(crowded, busy) < 2 * alone, f"medians in seconds, alone, at the cap and with news for all: {rounds}"
    # Their places are free again.
    eventually(lambda: first.open == 0, within=3)
    assert person().listen(first).status == 200


def test_an_account_has_a_share_of_the_places(first: Gateway, ann: Person, person: Callable[[], Person]) -> None:
    streams = [ann.listen(first) for _ in range(PER_ACCOUNT)]
    refused = ann.connect(first)
    assert (refused.status, refused.problem["code"]) == (503, "too_many_streams")
    assert refused.problem["request_id"] == refused.headers["X-Request-ID"]
    assert person().listen(first).status == 200
    streams[0].close()
    eventually(lambda: ann.connect(first).status == 200, within=3)


class Impatient(Gateway):
    """Gives clients two seconds to take what was sent to them."""

    before = "gateway.TAKEN_WITHIN_MS = 2000"


def test_a_client_that_reads_nothing_holds_nobody_and_loses_its_place(
    place: Place, ann: Person, person: Callable[[], Person]
) -> None:
    gateway = place.gateway(Impatient, STREAMS="2")
    with held(gateway, [ann], 1) as (deaf,):
        ben = person()
        stream = ben.listen(gateway)
        # More than all buffers between the two of us hold.
        place.inboxes.notify(ann.id, 100, text="x" * 100_000)
        place.inboxes.notify(ben.id)
        eventually(lambda: stream.numbers == [1], within=WITHIN)
        eventually(lambda: gateway.open == 1, within=10)
        assert person().listen(gateway).status == 200
        # It stays with the client until now.
        assert deaf.fileno() > 0


def test_streams_take_neither_turns_nor_threads_of_requests(place: Place, person: Callable[[], Person]) -> None:
    # More than the server has spare threads.
    gateway = place.gateway(GATEWAY_THREADS="1", STREAMS="120")
    with held(gateway, [person() for _ in range(24)], PER_ACCOUNT):
        assert requests.get(f"{gateway.url}{USER}", timeout=5).status_code == 200
        # What is refused leaves nothing behind.
        assert person().connect(gateway).status == 503
        assert requests.get(f"{gateway.url}{USER}", timeout=5).status_code == 200


# --- rights ---


def test_the_gateways_own_user_of_the_broker_may_follow_notifications(place: Place, ann: Person) -> None:
    name, definitions = place.broker.name, ROOT / "deploy/docker/rabbitmq/definitions.json"
    told = json.loads(definitions.read_text())
    user = f"gateway-{secrets.token_hex(4)}"
    place.broker.ask("PUT", f"users/{user}", {"password": "secret", "tags": ""})
    try:
        (rule,) = [each for each in told["permissions"] if each["user"] == "gateway"]
        place.broker.permit(user, rule["configure"], rule["write"], rule["read"])
        for topic in told["topic_permissions"]:
            if topic["user"] == "gateway":
                body = {each: topic[each] for each in ("exchange", "write", "read")}
                place.broker.ask("PUT", f"topic-permissions/{name}/{user}", body)
        gateway = place.gateway(AMQP_URI=place.broker.uri.replace("guest:guest@", f"{user}:secret@"))
        stream = ann.listen(gateway)
        place.inboxes.notify(ann.id)
        eventually(lambda: stream.numbers == [1], within=WITHIN)
        gateway.stop()
    finally:
        place.broker.ask("DELETE", f"users/{user}")
