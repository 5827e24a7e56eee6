"""What one stream sends, when it asks, and when it ends. Nobody waits here: the clock is moved by hand."""

from __future__ import annotations

import contextlib
import gc
import json
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
from flask import Flask
from nameko.exceptions import RpcTimeout, UnknownService

from gateway import feed as module
from gateway.feed import ASK_EVERY, HEARTBEAT_EVERY, PAGE, RETRY_EVERY, Feed
from gateway.lifetime import LONGEST
from gateway.notification_messages import HEARTBEAT
from gateway.revocations import Revocations
from gateway.state import EXTENSION, Gateway
from gateway.streams import ASKING, TooManyStreams
from lib import context
from lib.context import Actor, CallContext
from lib.errors import Unavailable
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import Configure
from tests.unit.gateway.revoking import KEEP, SESSION_ID, USER_ID, Source, event
from tests.unit.lib.fakes import Clock, Connection, message

AFTER = "users_svc.notifications_after"
OPENING = b"retry: 2000\nid: 3\n\n"

Open = Callable[..., Feed]


def news(*numbers: int) -> dict[str, Any]:
    return {"data": [{"number": number} for number in numbers], "last": max(numbers, default=3), "unread": 0}


def sent(*numbers: int) -> bytes:
    return b"".join(b'id: %d\nevent: notification\ndata: {"number":%d}\n\n' % (each, each) for each in numbers)


def end(reason: str) -> bytes:
    return b'event: end\ndata: {"reason":"%b"}\n\n' % reason.encode()


def rest(feed: Feed) -> list[bytes]:
    """Return what it still sends; not for ever, if it does not end."""
    return list(islice(feed, 9))


@pytest.fixture
def known(clock: Clock) -> Revocations:
    """What the process knows of revoked sessions."""
    return Revocations(Source(), keep=KEEP, clock=clock.monotonic)


@pytest.fixture
def link(known: Revocations) -> Connection:
    """The connection that it learns over; it has its snapshot."""
    connection = Connection()
    known.link_up(connection)  # type: ignore[arg-type]
    assert known.load()
    return connection


@pytest.fixture
def app(configure: Configure, cluster: FakeCluster, known: Revocations, link: Connection) -> Flask:
    assert link.deliver
    return configure(revocations=known, STREAMS=4)


@pytest.fixture
def own(app: Flask) -> Gateway:
    found: Gateway = app.extensions[EXTENSION]
    return found


@pytest.fixture
def open_feed(own: Gateway, cluster: FakeCluster, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Return a function that opens a stream after notification 3, with 900 seconds to live."""
    monkeypatch.setattr(module, "TICK", 0)
    cluster.answers[AFTER] = news()
    feeds = []

    def make(first: dict[str, Any] | None = None, expires_in: float = 900) -> Feed:
        claims = {"exp": time.time() + expires_in}
        call = CallContext("request-1", actor=Actor("account", USER_ID, session_id=SESSION_ID, claims=claims))
        place = own.streams.enter(USER_ID)
        feeds.append(Feed(own, place, call, position=3, news=first or news(), clock=clock.monotonic))
        return feeds[-1]

    yield make
    for each in feeds:
        each.close()
    assert own.streams.count == 0


def numbers_asked(cluster: FakeCluster) -> list[int | None]:
    return [arguments["number"] for arguments in cluster.called(AFTER)]


def test_it_begins_with_where_the_client_stands(open_feed: Open) -> None:
    assert next(open_feed()) == OPENING
    feed = open_feed(news(4, 5))
    assert [next(feed) for _ in range(3)] == [OPENING, sent(4, 5), b""]


def test_a_message_is_one_line_whatever_is_in_it(open_feed: Open) -> None:
    text = "a\n\nb\r\ndata: c\x00\u2028\ud800 \u202eZoë"
    feed = open_feed({"data": [{"number": 4, "data": {"text": text}}], "last": 4, "unread": 1})
    next(feed)
    lines = next(feed).decode().split("\n")
    assert lines[:2] == ["id: 4", "event: notification"]
    assert lines[3:] == ["", ""]
    told = json.loads(lines[2].removeprefix("data: "))
    assert told["data"]["text"] == text.replace("\ud800", "?")


def test_the_bell_has_it_ask_after_the_last_one_it_has_sent(
    open_feed: Open, own: Gateway, cluster: FakeCluster
) -> None:
    feed = open_feed(news(4, 5))
    assert [next(feed), next(feed), next(feed)] == [OPENING, sent(4, 5), b""]
    assert numbers_asked(cluster) == []
    cluster.answers[AFTER] = news(6)
    own.streams.wake(USER_ID)
    # Who was asleep says something empty first.
    assert [next(feed), next(feed)] == [b"", sent(6)]
    assert numbers_asked(cluster) == [5]
    cluster.answers[AFTER] = news()
    # An event that comes twice, or before its time.
    own.streams.wake(USER_ID)
    assert [next(feed), next(feed)] == [b"", b""]
    assert numbers_asked(cluster) == [5, 6]
    (first, *_) = [call for call in cluster.calls if call.method == "notifications_after"]
    assert (first.context.correlation_id, first.context.actor.id) == ("request-1", USER_ID)
    assert first.timeout == module.ASK_WITHIN


def test_without_a_bell_it_asks_now_and_then(open_feed: Open, cluster: FakeCluster, clock: Clock) -> None:
    feed = open_feed()
    next(feed)
    clock.advance(ASK_EVERY - 1)
    assert next(feed) == HEARTBEAT
    assert numbers_asked(cluster) == []
    clock.advance(1)
    cluster.answers[AFTER] = news(4)
    assert next(feed) == sent(4)
    assert numbers_asked(cluster) == [3]


def test_of_a_full_page_it_asks_for_the_next_at_once(open_feed: Open, cluster: FakeCluster) -> None:
    first, second = range(4, 4 + PAGE), range(4 + PAGE, 4 + 2 * PAGE)
    pages = {first[-1]: news(*second), second[-1]: news()}
    cluster.answers[AFTER] = lambda user_id, number, limit: pages[number]
    feed = open_feed(news(*first))
    assert [next(feed) for _ in range(4)] == [OPENING, sent(*first), sent(*second), b""]


def test_a_comment_comes_when_nothing_else_has_come_for_a_while(
    open_feed: Open, own: Gateway, cluster: FakeCluster, clock: Clock
) -> None:
    feed = open_feed()
    next(feed)
    clock.advance(HEARTBEAT_EVERY - 1)
    assert next(feed) == b""
    clock.advance(1)
    assert [next(feed), next(feed)] == [HEARTBEAT, b""]
    clock.advance(HEARTBEAT_EVERY - 1)
    cluster.answers[AFTER] = news(4)
    own.streams.wake()
    assert [next(feed), next(feed)] == [b"", sent(4)]
    clock.advance(1)
    assert next(feed) == b""


@pytest.mark.parametrize(
    "error",
    [Fault("unavailable", "database_slow"), Fault("internal", "x"), Fault("conflict", "contended"), Unavailable("away"),
     RpcTimeout("5"), UnknownService("users_svc")],
    ids=repr,
)  # fmt: skip
def test_a_service_that_is_away_is_asked_again(
    open_feed: Open, own: Gateway, cluster: FakeCluster, clock: Clock, error: Exception
) -> None:
    feed = open_feed()
    next(feed)
    cluster.answers[AFTER] = error
    own.streams.wake()
    assert [next(feed) for _ in range(3)] == [b"", b"", b""]
    assert numbers_asked(cluster) == [3]
    cluster.answers[AFTER] = news(4)
    clock.advance(RETRY_EVERY)
    assert next(feed) == sent(4)
    # Nobody counts as asking any more.
    assert [own.streams.asking.acquire(blocking=False) for _ in range(ASKING)] == [True] * ASKING
    for _ in range(ASKING):
        own.streams.asking.release()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Fault("unauthenticated", "invalid_token"), "refused"),
        (Fault("forbidden", "forbidden"), "refused"),
        (Fault("not_found", "user_not_found"), "refused"),
        ({"data": None}, "failed"),
        ([], "failed"),
        (KeyError("x"), "failed"),
    ],
    ids=repr,
)
def test_a_refusal_ends_it(open_feed: Open, own: Gateway, cluster: FakeCluster, answer: Any, reason: str) -> None:
    feed = open_feed()
    next(feed)
    cluster.answers[AFTER] = answer
    own.streams.wake()
    assert rest(feed) == [b"", end(reason)]
    assert numbers_asked(cluster) == [3]


def test_the_end_of_the_token_ends_it(open_feed: Open, clock: Clock) -> None:
    feed = open_feed(expires_in=20)
    next(feed)
    clock.advance(19)
    assert next(feed) == HEARTBEAT
    clock.advance(1.5)
    assert rest(feed) == [end("token_expired")]


def test_a_token_that_is_over_already_gets_nothing(open_feed: Open) -> None:
    # The gateway is lenient by some seconds, because clocks differ.
    assert rest(open_feed(news(4), expires_in=-5)) == [OPENING, end("token_expired")]


@pytest.mark.parametrize(
    "told",
    [
        event(session_id=SESSION_ID, user_id=USER_ID, reason="logout"),
        event(user_id=USER_ID, not_before="2100-01-01T00:00:00Z", reason="logout"),
        event("user.disabled", id=USER_ID, reason="fraud", occurred_at="2100-01-01T00:00:00Z"),
    ],
    ids=["session", "account", "disabled"],
)
def test_a_logout_ends_it_before_it_says_another_word(open_feed: Open, link: Connection, told: Any) -> None:
    feed = open_feed(news(4))
    next(feed)
    link.deliver(message(told))
    assert rest(feed) == [end("session_ended")]


def test_no_stream_lives_for_ever(open_feed: Open, clock: Clock) -> None:
    feed = open_feed(expires_in=86_400)
    next(feed)
    clock.advance(LONGEST * 0.9 - 1)
    next(feed)
    clock.advance(LONGEST * 0.1 + 1)
    assert rest(feed) == [end("too_long")]


def test_the_end_of_the_process_ends_it(open_feed: Open, own: Gateway) -> None:
    feed = open_feed(news(4))
    next(feed)
    own.streams.close()
    assert rest(feed) == [end("shutting_down")]


def test_while_nobody_knows_who_is_revoked_nothing_is_told(
    open_feed: Open, own: Gateway, known: Revocations, cluster: FakeCluster, clock: Clock
) -> None:
    feed = open_feed()
    next(feed)
    known.link_down()
    own.streams.wake()
    assert [next(feed), next(feed)] == [b"", b""]
    assert numbers_asked(cluster) == []
    known.link_up(Connection())  # type: ignore[arg-type]
    assert known.load()
    cluster.answers[AFTER] = news(4)
    clock.advance(RETRY_EVERY)
    assert next(feed) == sent(4)


def test_only_some_ask_at_once(open_feed: Open, own: Gateway, cluster: FakeCluster, clock: Clock) -> None:
    feed = open_feed()
    next(feed)
    for _ in range(ASKING):
        assert own.streams.asking.acquire(blocking=False)
    own.streams.wake()
    assert [next(feed), next(feed)] == [b"", b""]
    assert numbers_asked(cluster) == []
    for _ in range(ASKING):
        own.streams.asking.release()
    clock.advance(RETRY_EVERY)
    assert next(feed) == b""
    assert numbers_asked(cluster) == [3]


def test_its_place_is_free_when_the_server_is_done_with_it(open_feed: Open, own: Gateway) -> None:
    ended = module.ENDED.labels("client_gone")
    before, feed = ended._value.get(), open_feed()
    next(feed)
    assert own.streams.count == 1
    feed.close()
    feed.close()
    assert own.streams.count == 0
    assert ended._value.get() == before + 1
    # The thread goes on to another request.
    assert context._current.get() is None


def test_its_place_is_free_if_nobody_ever_sends_it(own: Gateway, cluster: FakeCluster, clock: Clock) -> None:
    call = CallContext("request-1", actor=Actor("account", USER_ID, session_id=SESSION_ID, claims={"exp": 0}))
    feed = Feed(own, own.streams.enter(USER_ID), call, position=0, news=news(), clock=clock.monotonic)
    assert own.streams.count == 1
    del feed
    gc.collect()
    assert own.streams.count == 0


def test_a_feed_that_was_closed_is_gone_without_the_garbage_collector(
    own: Gateway, cluster: FakeCluster, clock: Clock
) -> None:
    call = CallContext("request-1", actor=Actor("account", USER_ID, session_id=SESSION_ID, claims={"exp": 0}))
    gc.collect()
    gc.disable()
    try:
        feed = Feed(own, own.streams.enter(USER_ID), call, position=0, news=news(), clock=clock.monotonic)
        next(feed)
        feed.close()
        gone = weakref.ref(feed)
        del feed
        assert gone() is None
    finally:
        gc.enable()


def test_the_garbage_collector_may_come_at_any_moment(own: Gateway, cluster: FakeCluster, clock: Clock) -> None:
    """Also to a thread that holds the lock of the places."""

    def circles() -> None:
        for _ in range(300):
            with contextlib.suppress(TooManyStreams):  # Until the collector has found the others.
                feed = Feed(own, own.streams.enter(USER_ID), call, position=0, news=news(), clock=clock.monotonic)
                next(feed)
                del feed
            own.streams.wake()

    call = CallContext("request-1", actor=Actor("account", USER_ID, session_id=SESSION_ID, claims={"exp": 0}))
    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        thread = threading.Thread(target=circles, daemon=True)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert own.streams.count == 0
