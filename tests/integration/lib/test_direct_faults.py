"""A message past SQLAlchemy's execution fails as it fails there, and leaves in the pool what that would leave."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import eventlet
import pytest
import sqlalchemy as sa
from psycopg2 import extensions

from deploy.local.infra import Infrastructure
from lib import database
from lib.ids import new_id
from tests.integration.lib.direct_messages import (
    ID,
    backend,
    database_of,
    open_engine,
    send,
    send_as_sqlalchemy_does,
    taken,
)
from tests.support import databases
from tests.support.tcp_proxy import TcpProxy


@pytest.fixture(scope="module")
def place(infrastructure: Infrastructure) -> Iterator[sa.URL]:
    with database_of(infrastructure.environment()["POSTGRES_SUPERUSER_URL"], "direct_faults") as url:
        yield url


@pytest.fixture
def engine(place: sa.URL) -> Iterator[sa.Engine]:
    engine = open_engine(place)
    yield engine
    engine.dispose()


END = "select pg_terminate_backend(pg_backend_pid())"
FAILURES: dict[str, tuple[str, dict[str, Any], type[Exception]]] = {
    "a constraint": ("insert into kinds (id) values (%(id)s)", {"id": ID}, sa.exc.IntegrityError),
    "a mistake in the text": ("selec %(x)s", {"x": 1}, sa.exc.ProgrammingError),
    "a value": ("select 1 / %(x)s", {"x": 0}, sa.exc.DataError),
    "a value that cannot be sent": ("select %(x)s", {"x": object()}, sa.exc.ProgrammingError),
    "a value that cannot be text": ("select %(x)s", {"x": "\x00"}, ValueError),
    "a value that is missing": ("select %(x)s", {"y": 1}, KeyError),
    "a statement that takes too long": ("select pg_sleep(5), %(x)s", {"x": "secret"}, sa.exc.OperationalError),
    "a connection that is lost": (f"{END}, %(x)s", {"x": "secret"}, sa.exc.OperationalError),
}


def described(error: BaseException) -> tuple[Any, ...]:
    orig = getattr(error, "orig", None)
    wanted = ("statement", "hide_parameters", "connection_invalidated", "ismulti")
    diag = getattr(orig, "diag", None)
    text = str(error).partition("object at 0x")[0]
    told = (type(orig), getattr(orig, "pgcode", None), getattr(diag, "constraint_name", None))
    return type(error), text, *(getattr(error, each, None) for each in wanted), *told


@pytest.mark.parametrize("name", FAILURES)
def test_it_fails_as_sqlalchemy_fails_and_leaves_the_pool_as_that_does(engine: sa.Engine, name: str) -> None:
    sql, values, kind = FAILURES[name]
    seen = []
    for way in (send, send_as_sqlalchemy_does):
        before = backend(engine)
        with pytest.raises(kind) as failed:
            way(engine, sql, **values)
        seen.append((described(failed.value), before == backend(engine), taken(engine)))
    assert seen[0] == seen[1]
    assert "secret" not in str(seen)
    assert seen[0][1] is (name != "a connection that is lost")


def test_of_several_statements_the_first_that_fails_undoes_all(engine: sa.Engine) -> None:
    row, number = new_id(), "select count(*) from kinds where id = %(id)s"
    with pytest.raises(sa.exc.DataError):
        send(engine, "insert into kinds (id) values (%(id)s); select 1 / 0", id=row)
    assert send(engine, number, id=row) == [(0,)]


def test_a_lock_is_waited_for_less_than_a_statement(engine: sa.Engine) -> None:
    lock = "select id from kinds where id = %(id)s for update"
    with engine.connect() as holder:
        holder.exec_driver_sql(lock, {"id": ID})
        with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            send(engine, lock, id=ID)
    assert send(engine, lock, id=ID) == [(ID,)]


def test_a_server_that_cannot_be_reached_is_told_as_sqlalchemy_tells_it(place: sa.URL) -> None:
    for way in (send, send_as_sqlalchemy_does):
        nowhere = open_engine(place.set(port=1))
        with pytest.raises(sa.exc.OperationalError, match="refused"):
            way(nowhere, "select %(x)s", x=1)


def test_connections_that_died_in_the_pool_are_not_handed_out(engine: sa.Engine, place: sa.URL) -> None:
    for _ in range(2):
        ended = backend(engine)
        with databases.admin(place.render_as_string(hide_password=False)).connect() as admin:
            admin.execute(sa.text("select pg_terminate_backend(:pid, 5000)"), {"pid": ended})
        assert send(engine, "select %(x)s", x=1) == [(1,)]
        assert backend(engine) != ended


def test_a_full_pool_is_waited_for_no_longer_than_may_be(place: sa.URL) -> None:
    narrow = open_engine(place, pool_size=1, pool_timeout=0.2)
    with narrow.connect(), pytest.raises(sa.exc.TimeoutError):
        send(narrow, "select %(x)s", x=1)
    assert send(narrow, "select %(x)s", x=1) == [(1,)]
    narrow.dispose()


# --- as greenlets do it -----------------------------------------------------------------------------------------------


@pytest.fixture
def green(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """psycopg2 waits as in a service."""
    monkeypatch.setattr(database, "_longest_wait", 3.0)
    extensions.set_wait_callback(database._wait)
    yield
    extensions.set_wait_callback(None)


@pytest.mark.parametrize("end", [eventlet.greenlet.GreenletExit, eventlet.Timeout, ZeroDivisionError])
@pytest.mark.usefixtures("green")
def test_who_is_killed_while_waiting_leaves_no_half_used_connection(
    engine: sa.Engine, caplog: pytest.LogCaptureFixture, end: type[BaseException]
) -> None:
    """Its answer would be read as that of the next statement. And the pool need not find that out by an error."""
    used: list[int] = []
    failed: list[BaseException] = []

    def wait() -> None:
        try:
            send(engine, "select 'late' from pg_sleep(%(seconds)s)", seconds=1)
        except BaseException as exc:
            failed.append(exc)

    used.append(backend(engine))
    waiting = eventlet.spawn(wait)
    eventlet.sleep(0.1)
    assert taken(engine) == 1
    waiting.kill(end)
    assert [type(each) for each in failed] == [end]
    assert taken(engine) == 0
    assert send(engine, "select %(x)s", x=1) == [(1,)]
    assert backend(engine) not in used
    # Others are at work in this process, too.
    assert [each for each in caplog.records if each.name.startswith("sqlalchemy")] == []


@pytest.mark.usefixtures("green")
def test_after_a_server_was_silent_no_connection_from_before_is_tried(place: sa.URL) -> None:
    """Each of them would cost somebody the same wait."""
    with TcpProxy("127.0.0.1", place.port or 0) as proxy:
        engine = open_engine(place.set(host="127.0.0.1", port=proxy.port))

        def all_of_the_pool() -> set[int]:
            with engine.connect() as first, engine.connect() as second, engine.connect() as third:
                return {each.connection.dbapi_connection.info.backend_pid for each in (first, second, third)}  # type: ignore[union-attr]

        before = all_of_the_pool()
        proxy.blackhole()
        with pytest.raises(sa.exc.OperationalError) as failed:
            send(engine, "select %(x)s", x=1)
        assert failed.value.connection_invalidated
        proxy.heal()
        assert not before & all_of_the_pool()
        engine.dispose()


def test_many_who_share_few_connections_get_their_own_answers(engine: sa.Engine) -> None:
    wrong: list[int] = []

    def ask(number: int) -> None:
        for at in range(50):
            if send(engine, "select %(x)s", x=number * 1000 + at) != [(number * 1000 + at,)]:
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert wrong == []
    assert taken(engine) == 0
