"""How an export goes on when payments_svc is away, and how it ends. Nobody waits: the clock is moved by hand."""

from __future__ import annotations

import csv
import gc
import io
import json
import time
import weakref
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask
from nameko.exceptions import RpcTimeout, UnknownService

from gateway import export as module
from gateway.export import ENDED, LONGEST_PAUSE, PAUSE, Export
from gateway.lifetime import LONGEST
from gateway.revocations import Revocations
from gateway.routes.transactions import COLUMNS, CsvLines, JsonLines
from gateway.shapes import EXAMPLES
from gateway.state import EXTENSION, Gateway
from lib import context
from lib.context import Actor, CallContext
from lib.errors import Unavailable
from lib.faults import Fault
from lib.rpc_client import CallInterrupted, ServiceUnavailable
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import Configure
from tests.unit.gateway.revoking import KEEP, SESSION_ID, USER_ID, Source, event
from tests.unit.lib.fakes import Clock, Connection, message

METHOD = "payments_svc.export_transactions"
ROW = EXAMPLES["Transaction"]
WAIT = 30.0

Open = Callable[..., Export]


class History:
    """Pages of two rows; each page can be made to fail."""

    def __init__(self, pages: int) -> None:
        self.pages = pages
        self.failures: dict[int, list[Any]] = {}

    def __call__(self, user_id: str, cursor: str = "0") -> dict[str, Any]:
        assert user_id == USER_ID
        number = int(cursor)
        if self.failures.get(number):
            failure = self.failures[number].pop(0)
            if isinstance(failure, Exception):
                raise failure
            answer: dict[str, Any] = failure
            return answer
        rows = [{**ROW, "amount": 2 * number + each} for each in (0, 1)]
        return {"data": rows, "next_cursor": str(number + 1) if number + 1 < self.pages else None}


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
def own(configure: Configure, cluster: FakeCluster, known: Revocations, link: Connection) -> Gateway:
    assert link.deliver
    app: Flask = configure(revocations=known, STREAMS=4, EXPORT_WAIT=WAIT)
    found: Gateway = app.extensions[EXTENSION]
    return found


@pytest.fixture
def history(cluster: FakeCluster) -> History:
    found = cluster.answers[METHOD] = History(4)
    return found


@pytest.fixture
def open_export(own: Gateway, history: History, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Return a function that begins an export, with 900 seconds to live."""
    monkeypatch.setattr(module, "TICK", 0)
    exports = []

    def make(lines: Any = None, expires_in: float = 900) -> Export:
        call = CallContext(
            "request-1",
            actor=Actor("account", USER_ID, session_id=SESSION_ID, claims={"exp": time.time() + expires_in}),
        )
        place = own.streams.enter(USER_ID)

        def ask(view: Any, cursor: str) -> Any:
            return view.payments_svc.export_transactions(user_id=USER_ID, cursor=cursor)

        first = history(USER_ID)
        exports.append(
            Export(own, place, call, first=first, ask=ask, lines=lines or JsonLines(), clock=clock.monotonic)
        )
        return exports[-1]

    yield make
    for each in exports:
        each.close()
    assert own.streams.count == 0


def lines(chunks: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(chunks).splitlines()]


def rest(export: Export, clock: Clock | None = None) -> list[bytes]:
    """Return what it still sends; not for ever, if it does not end. Each empty chunk is a tenth of a second."""
    found = []
    for chunk in export:
        found.append(chunk)
        assert len(found) < 2_000
        if not chunk and clock is not None:
            clock.advance(0.1)
    return found


def amounts(found: list[dict[str, Any]]) -> list[int]:
    return [each["amount"] for each in found if "amount" in each]


def broken(code: str) -> dict[str, str]:
    return {"type": "error", "code": code}


WHOLE = [0, 1, 2, 3, 4, 5, 6, 7]
AWAY = [
    ServiceUnavailable("payments_svc is not running"),
    CallInterrupted("the connection was lost"),
    RpcTimeout("5"),
    UnknownService("payments_svc"),
    Unavailable("away"),
    Fault("unavailable", "database_unavailable"),
    Fault("internal", "x"),
    Fault("conflict", "contended"),
]


def test_it_ends_with_how_many_rows_there_were(open_export: Open, cluster: FakeCluster, own: Gateway) -> None:
    found = lines(rest(open_export()))
    assert amounts(found) == WHOLE
    assert found[-1] == {"type": "end", "rows": 8}
    (call, *_) = cluster.calls
    assert (call.context.correlation_id, call.context.actor.id) == ("request-1", USER_ID)
    assert call.timeout == own.settings.rpc_timeout


@pytest.mark.parametrize("error", AWAY, ids=repr)
def test_a_page_that_cannot_be_read_now_is_read_again(
    open_export: Open, history: History, clock: Clock, error: Exception
) -> None:
    history.failures = {1: [error] * 3, 3: [error]}
    found = lines(rest(open_export(), clock))
    assert amounts(found) == WHOLE
    assert found[-1] == {"type": "end", "rows": 8}


def test_its_tries_become_rarer(open_export: Open, history: History, cluster: FakeCluster, clock: Clock) -> None:
    times: list[float] = []

    def answer(**arguments: Any) -> Any:
        if arguments["cursor"] == "1" and len(times) < 8:
            times.append(clock.monotonic())
            raise ServiceUnavailable("away")
        return history(**arguments)

    cluster.answers[METHOD] = answer
    assert lines(rest(open_export(), clock))[-1]["type"] == "end"
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert PAUSE <= pauses[0] < 2 * PAUSE
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE, abs=0.2)
    assert pauses == sorted(pauses)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AWAY[0], "service_unavailable"),
        (AWAY[1], "call_interrupted"),
        (AWAY[2], "timeout"),
        (AWAY[3], "service_unavailable"),
        (AWAY[5], "database_unavailable"),
        (AWAY[6], "internal_error"),
    ],
    ids=repr,
)
def test_a_service_that_stays_away_ends_it_with_an_error(
    open_export: Open, history: History, clock: Clock, error: Exception, code: str
) -> None:
    history.failures[2] = [error] * 1_000
    began = clock.monotonic()
    found = lines(rest(open_export(), clock))
    assert amounts(found) == WHOLE[:4]
    assert found[4:] == [broken(code)]
    assert WAIT - LONGEST_PAUSE <= clock.monotonic() - began <= WAIT


def test_a_call_that_hangs_does_not_outlast_the_wait(
    open_export: Open, history: History, cluster: FakeCluster, clock: Clock
) -> None:
    def answer(**_: Any) -> Any:
        clock.advance(cluster.calls[-1].timeout or 0)
        raise RpcTimeout("x")

    export = open_export()
    cluster.answers[METHOD] = answer
    began = clock.monotonic()
    assert lines(rest(export, clock))[-1] == broken("timeout")
    assert clock.monotonic() - began <= WAIT + 0.2


def test_each_outage_has_its_own_time(open_export: Open, history: History, clock: Clock) -> None:
    history.failures = {1: [AWAY[0]] * 14, 2: [AWAY[0]] * 14}
    began = clock.monotonic()
    assert lines(rest(open_export(), clock))[-1] == {"type": "end", "rows": 8}
    assert clock.monotonic() - began > WAIT


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Fault("unauthenticated", "token_expired"), "token_expired"),
        (Fault("forbidden", "forbidden"), "forbidden"),
        (Fault("malformed", "invalid_cursor"), "invalid_cursor"),
        ({"data": None, "next_cursor": None}, "internal_error"),
        ({"rows": []}, "internal_error"),
        (KeyError("secret"), "internal_error"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("form", [JsonLines(), CsvLines()], ids=["ndjson", "csv"])
def test_what_another_try_would_not_change_ends_it(
    open_export: Open, history: History, cluster: FakeCluster, answer: Any, code: str, form: Any
) -> None:
    history.failures[1] = [answer]
    last = rest(open_export(form))[-1]
    assert last == form.error(code)
    assert b"secret" not in last
    assert len(cluster.called(METHOD)) == 1


# --- what is looked at before each page ---


@pytest.mark.parametrize(
    "told",
    [
        event(session_id=SESSION_ID, user_id=USER_ID, reason="logout"),
        event(user_id=USER_ID, not_before="2100-01-01T00:00:00Z", reason="logout"),
        event("user.disabled", id=USER_ID, reason="fraud", occurred_at="2100-01-01T00:00:00Z"),
    ],
    ids=["session", "account", "disabled"],
)
def test_a_logout_ends_it_before_the_next_page(
    open_export: Open, cluster: FakeCluster, link: Connection, told: Any
) -> None:
    export = open_export()
    next(export), next(export)
    link.deliver(message(told))
    assert lines(rest(export)) == [broken("session_ended")]
    assert len(cluster.called(METHOD)) == 1


def test_a_logout_ends_one_that_waits(open_export: Open, history: History, link: Connection, clock: Clock) -> None:
    history.failures[1] = [AWAY[0]] * 1_000
    export = open_export()
    assert [bool(next(export)) for _ in range(3)] == [True, False, False]
    link.deliver(message(event(session_id=SESSION_ID, user_id=USER_ID, reason="logout")))
    clock.advance(PAUSE)
    assert lines(rest(export)) == [broken("session_ended")]


def test_the_end_of_the_token_ends_it(open_export: Open, clock: Clock) -> None:
    export = open_export(expires_in=20)
    next(export)
    clock.advance(19)
    assert amounts(lines([next(export)])) == [2, 3]
    clock.advance(1.5)
    assert lines(rest(export)) == [broken("token_expired")]


def test_no_export_takes_for_ever(open_export: Open, clock: Clock) -> None:
    export = open_export(expires_in=86_400)
    next(export)
    clock.advance(LONGEST * 0.9 - 1)
    assert amounts(lines([next(export)])) == [2, 3]
    clock.advance(LONGEST * 0.1 + 1)
    assert lines(rest(export)) == [broken("too_long")]


def test_the_end_of_the_process_ends_it(open_export: Open, history: History, own: Gateway) -> None:
    history.failures[2] = [AWAY[0]] * 1_000
    goes, waits = open_export(), open_export()
    next(goes)
    assert [bool(next(waits)) for _ in range(3)] == [True, True, False]
    own.streams.close()
    assert lines(rest(goes)) == lines(rest(waits)) == [broken("shutting_down")]


def test_while_nobody_knows_who_is_revoked_nothing_is_told(
    open_export: Open, known: Revocations, cluster: FakeCluster, clock: Clock
) -> None:
    export = open_export()
    next(export)
    known.link_down()
    assert [next(export), next(export)] == [b"", b""]
    assert cluster.called(METHOD) == []
    known.link_up(Connection())  # type: ignore[arg-type]
    assert known.load()
    assert amounts(lines(rest(export, clock))) == WHOLE[2:]


# --- as a file ---


def test_csv_says_it_in_its_own_columns(open_export: Open, history: History, clock: Clock) -> None:
    for failures, last in ([], ("end", "8")), ([AWAY[0]] * 1_000, ("error", "service_unavailable")):
        history.failures[1] = failures
        text = b"".join(rest(open_export(CsvLines()), clock)).decode()
        table = list(csv.reader(io.StringIO(text, newline="")))
        assert tuple(table[0]) == COLUMNS
        assert {len(row) for row in table} == {len(COLUMNS)}
        assert table[-1][0] == last[0]
        assert [each for each in table[-1][1:] if each] == [last[1]]
        assert [row[0] for row in table[1:-1]] == [ROW["type"]] * (len(table) - 2)


def test_a_row_that_cannot_be_written_down_ends_it(open_export: Open, history: History) -> None:
    history.failures[1] = [{"data": [{"id": "x"}], "next_cursor": None}]
    assert rest(open_export(CsvLines()))[1:] == [CsvLines().error("internal_error")]


# --- its place ---


def test_its_place_is_free_when_the_server_is_done_with_it(open_export: Open, own: Gateway, history: History) -> None:
    def counted() -> list[float]:
        return [ENDED.labels(each)._value.get() for each in ("complete", "broken", "client_gone")]

    before = counted()
    history.failures[1] = [KeyError("x")]
    breaks, whole, left = open_export(), open_export(), open_export()
    assert own.streams.count == 3
    rest(breaks), rest(whole), next(left)
    for each in (breaks, whole, left, left):
        each.close()
    assert own.streams.count == 0
    assert counted() == [each + 1 for each in before]
    # The thread goes on to another request.
    assert context._current.get() is None


def test_it_is_gone_without_the_garbage_collector(own: Gateway, history: History, clock: Clock) -> None:
    call = CallContext("request-1", actor=Actor("account", USER_ID, session_id=SESSION_ID, claims={"exp": 0}))
    gc.collect()
    gc.disable()
    try:
        for sent in (0, 1):
            place = own.streams.enter(USER_ID)
            export = Export(
                own, place, call, first=history(USER_ID), ask=lambda view, cursor: {}, lines=JsonLines(),
                clock=clock.monotonic,
            )  # fmt: skip
            for _ in range(sent):
                next(export)
                export.close()
            gone = weakref.ref(export)
            del export
            assert gone() is None
            assert own.streams.count == 0
    finally:
        gc.enable()
