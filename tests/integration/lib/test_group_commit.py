"""Group commit: what shares a message is saved, refused and told as if each had been alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import eventlet
import pytest
import sqlalchemy as sa
from eventlet.green import threading as green_threading
from eventlet.green import time as green_time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2 import extensions

from deploy.local.infra import Infrastructure
from lib import database, group_commit, writes
from lib.database import Sessions
from lib.errors import OutcomeUnknown
from lib.writes import Form, Write
from tests.integration.lib.direct_messages import database_of, open_engine, taken
from tests.support import databases
from tests.support.statements import statements
from tests.support.waiting import eventually

NOTE = Form("INSERT INTO notes (text) VALUES (:text)", {})
#: seconds; who is alone waits for a lock nearly half as long
STATEMENT_TIMEOUT = 16


@pytest.fixture(scope="module")
def place(infrastructure: Infrastructure) -> Iterator[sa.URL]:
    with database_of(infrastructure.environment()["POSTGRES_SUPERUSER_URL"], "group_commit") as url:
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sa.text("create table notes (text text primary key)"))
            connection.execute(
                sa.text(
                    "create table pairs (id int primary key, other int references pairs deferrable initially deferred)"
                )
            )
            connection.execute(sa.text("create table counts (id int primary key, seen int not null)"))
        engine.dispose()
        yield url


@pytest.fixture
def sessions(place: sa.URL) -> Iterator[Sessions]:
    engine = open_engine(place, pool_size=12, statement_timeout=STATEMENT_TIMEOUT)
    with engine.begin() as connection:
        connection.execute(sa.text("truncate notes, counts, pairs"))
    yield Sessions(engine)
    assert taken(engine) == 0
    # The message of somebody who was killed comes to its end all the same, and is not to do so in the next test.
    busy = "select count(*) from pg_stat_activity where datname = current_database() and state = 'active'"

    def active() -> int:
        with engine.connect() as connection:
            return int(connection.execute(sa.text(busy)).scalar_one())

    eventually(lambda: active() == 1)
    engine.dispose()


def note(*texts: str) -> list[Write]:
    return [Write(NOTE, {"text": each}) for each in texts]


def notes(sessions: Sessions) -> set[str]:
    with sessions() as session:
        return set(session.scalars(sa.text("select text from notes")))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(12) as pool:
        yield pool


class Held:
    """A text that somebody else is inserting: who inserts it, too, waits until that has ended."""

    def __init__(self, sessions: Sessions) -> None:
        self._session = sessions()

    def __enter__(self) -> Held:
        self._session.execute(sa.text("insert into notes values ('held')"))
        return self

    def release(self) -> None:
        self._session.rollback()

    def __exit__(self, *_: object) -> None:
        self._session.close()


FIRST = [Write(Form("SELECT 'the first message'", {}), {})]


@contextmanager
def first_message_held(sessions: Sessions, pool: ThreadPoolExecutor) -> Iterator[None]:
    """A message is on its way for as long as the block takes."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> tuple[str, Any]:
        if "the first message" in statement:
            begun.set()
            assert go_on.wait(30)
        return statement, values

    sa.event.listen(sessions.engine, "before_cursor_execute", hold, retval=True)
    try:
        first = pool.submit(sessions.group.commit, FIRST)
        assert begun.wait(10)
        yield
        go_on.set()
        first.result(10)
    finally:
        go_on.set()
        sa.event.remove(sessions.engine, "before_cursor_execute", hold)


def together(pool: ThreadPoolExecutor, sessions: Sessions, *units: list[Write]) -> list[Future[None]]:
    """Have these units commit in one message: all come while another one's is on its way."""
    futures = []
    with first_message_held(sessions, pool):
        for number, unit in enumerate(units, 1):
            futures.append(pool.submit(sessions.group.commit, unit))
            # One after the other, so that their order is known.
            eventually(lambda number=number: len(sessions.group._waiting) == number)
    return futures


def outcomes(futures: list[Future[None]]) -> list[type[BaseException] | None]:
    return [None if (error := each.exception(20)) is None else type(error) for each in futures]


def test_who_comes_while_a_message_is_on_its_way_shares_the_next(sessions: Sessions, pool: ThreadPoolExecutor) -> None:
    with statements(sessions) as sent:
        futures = together(pool, sessions, *(note(f"a{number}", f"b{number}") for number in range(8)))
        assert outcomes(futures) == [None] * 8
    assert len(sent) == 2
    assert notes(sessions) == {f"{letter}{number}" for letter in "ab" for number in range(8)}


def test_a_lone_one_is_one_message_and_leaves_the_connection_as_it_was(sessions: Sessions) -> None:
    limit = sa.text("show lock_timeout")
    with sessions.engine.connect() as connection:
        before, one = connection.execute(limit).scalar(), connection.connection.dbapi_connection
    with statements(sessions) as sent:
        sessions.group.commit(note("x"))
    assert len(sent) == 1
    with sessions.engine.connect() as connection:
        assert connection.connection.dbapi_connection is one
        assert connection.execute(limit).scalar() == before == f"{STATEMENT_TIMEOUT * 450}ms"
    assert not sessions.group._is_led


def test_one_that_is_refused_takes_nobody_along(sessions: Sessions, pool: ThreadPoolExecutor) -> None:
    sessions.group.commit(note("taken"))
    futures = together(pool, sessions, note("a"), note("b", "taken"), note("c"))
    assert outcomes(futures) == [None, sa.exc.IntegrityError, None]
    assert notes(sessions) == {"taken", "a", "c"}


def test_a_lone_one_that_is_refused_is_not_sent_again(sessions: Sessions) -> None:
    sessions.group.commit(note("taken"))
    with statements(sessions) as sent, pytest.raises(sa.exc.IntegrityError):
        sessions.group.commit(note("taken"))
    assert len(sent) == 1


def test_of_two_in_a_message_that_exclude_each_other_one_is_saved(sessions: Sessions, pool: ThreadPoolExecutor) -> None:
    futures = together(pool, sessions, note("same"), note("same"))
    assert set(outcomes(futures)) == {None, sa.exc.IntegrityError}
    assert notes(sessions) == {"same"}


def test_who_waits_for_a_row_holds_up_the_others_for_a_moment_only(
    sessions: Sessions, pool: ThreadPoolExecutor
) -> None:
    with Held(sessions) as held:
        futures = together(pool, sessions, note("a"), note("held"), note("b"))
        began = time.monotonic()
        assert outcomes([futures[0], futures[2]]) == [None, None]
        # And what comes after goes on its way as ever.
        sessions.group.commit(note("c"))
        # Alone it would be seven seconds.
        assert time.monotonic() - began < 3
        assert not futures[1].done()
        held.release()
        assert outcomes(futures) == [None] * 3
    assert notes(sessions) == {"a", "b", "c", "held"}


def test_a_lone_one_waits_for_a_row_as_long_as_ever(sessions: Sessions, pool: ThreadPoolExecutor) -> None:
    with Held(sessions) as held, statements(sessions) as sent:
        future = pool.submit(sessions.group.commit, note("held"))
        eventually(lambda: len(sent) == 2, within=5)
        # It has given up its place: nobody waits for it.
        sessions.group.commit(note("other"))
        held.release()
        assert outcomes([future]) == [None]
    assert notes(sessions) == {"held", "other"}


def waits_for_a_lock(sessions: Sessions, text: str) -> bool:
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like :text"
    with sessions() as session:
        return bool(session.scalar(sa.text(waiting), {"text": f"%{text}%"}))


def test_groups_and_others_that_want_the_same_rows_in_another_order_all_get_them(
    sessions: Sessions, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be a deadlock ends before PostgreSQL looks for one, and nobody hears of it."""
    monkeypatch.setattr(group_commit, "_BRIEFLY", Write(Form("SET LOCAL lock_timeout = 400", {}), {}))
    count = Form("UPDATE counts SET seen = seen + 1 WHERE id = :id", {})
    with sessions.engine.begin() as connection:
        connection.execute(sa.text("insert into counts values (1, 0), (2, 0)"))
    with sessions.engine.connect() as other:
        other.execute(sa.text("update counts set seen = seen + 1 where id = 2"))
        futures = together(pool, sessions, [Write(count, {"id": 1})], [Write(count, {"id": 2})])
        # The group has the first row and waits for the second.
        eventually(lambda: waits_for_a_lock(sessions, "SET LOCAL"), every=0.01)
        other.execute(sa.text("update counts set seen = seen + 1 where id = 1"))
        other.commit()
    assert outcomes(futures) == [None, None]
    with sessions() as session:
        assert session.execute(sa.text("select id, seen from counts order by id")).all() == [(1, 2), (2, 2)]


def test_a_group_gives_in_before_postgresql_looks_for_deadlocks(sessions: Sessions) -> None:
    """… also if it waits for a row of each of its units."""
    with sessions() as session:
        milliseconds = session.scalar(sa.text("select setting::int from pg_settings where name = 'deadlock_timeout'"))
    assert milliseconds > group_commit.LARGEST_GROUP * group_commit.WAIT_FOR_ROWS


def test_a_server_that_goes_away_leaves_the_outcome_open_for_each(
    sessions: Sessions, pool: ThreadPoolExecutor, place: sa.URL
) -> None:
    slow = Write(Form("SELECT pg_sleep(3)", {}), {})
    futures = together(pool, sessions, note("a"), [slow, *note("b")], note("c"))
    admin = databases.admin(place.render_as_string(hide_password=False))

    def end() -> Any:
        with admin.connect() as connection:
            return connection.execute(
                sa.text(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where query like '%pg_sleep(3)%' and state = 'active' and pid <> pg_backend_pid()"
                )
            ).all()

    eventually(end)
    assert outcomes(futures) == [OutcomeUnknown] * 3
    assert len({id(each.exception()) for each in futures}) == 3
    sessions.group.commit(note("d"))
    assert notes(sessions) == {"d"}


@pytest.mark.parametrize("lack", ["a server", "a place in the pool"])
def test_without_a_connection_each_hears_that_nothing_was_sent_and_none_asks_for_one_more(
    place: sa.URL, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, lack: str
) -> None:
    engine = open_engine(place if lack == "a place in the pool" else place.set(port=1), pool_size=1, pool_timeout=0.5)
    held = engine.connect() if lack == "a place in the pool" else None
    sessions = Sessions(engine)
    asked: list[int] = []
    go_on = threading.Event()
    connect = engine.raw_connection

    def ask() -> sa.PoolProxiedConnection:
        asked.append(1)
        assert go_on.wait(10)
        return connect()

    monkeypatch.setattr(engine, "raw_connection", ask)
    futures = [pool.submit(sessions.group.commit, note("0"))]
    eventually(lambda: asked)
    futures += [pool.submit(sessions.group.commit, note(f"{number}")) for number in range(1, 7)]
    eventually(lambda: len(sessions.group._waiting) == 6)
    go_on.set()
    assert outcomes(futures) == [sa.exc.TimeoutError if held else sa.exc.OperationalError] * 7
    assert len(asked) == 2
    assert len({id(each.exception()) for each in futures}) == 7
    assert not sessions.group._is_led
    if held:
        held.close()
    engine.dispose()


@pytest.mark.parametrize("value", ["\x00", object()], ids=["text with a NUL", "what cannot be sent"])
def test_a_value_that_cannot_be_sent_is_the_error_of_its_own_unit(
    sessions: Sessions, pool: ThreadPoolExecutor, value: Any
) -> None:
    futures = together(pool, sessions, note("a"), [Write(NOTE, {"text": value})], note("b"))
    first, second, third = outcomes(futures)
    assert (first, third) == (None, None)
    assert second in (ValueError, sa.exc.ProgrammingError)
    assert notes(sessions) == {"a", "b"}


def test_what_is_checked_at_the_end_of_a_transaction_is_the_error_of_its_own_unit(
    sessions: Sessions, pool: ThreadPoolExecutor
) -> None:
    pair = Form("INSERT INTO pairs (id, other) VALUES (:id, :other)", {})

    def of(one: int, two: int) -> list[Write]:
        return [Write(pair, {"id": one, "other": two})]

    futures = together(pool, sessions, of(1, 1), of(2, 9), [*of(3, 4), *of(4, 3)])
    assert outcomes(futures) == [None, sa.exc.IntegrityError, None]
    with sessions() as session:
        assert set(session.scalars(sa.text("select id from pairs"))) == {1, 3, 4}


def test_units_as_large_as_may_be_do_not_take_each_others_values(sessions: Sessions, pool: ThreadPoolExecutor) -> None:
    units = [[f"{letter}{number}" for number in range(writes.AT_MOST)] for letter in "abc"]
    futures = together(pool, sessions, *(note(*unit) for unit in units))
    assert outcomes(futures) == [None] * 3
    assert notes(sessions) == {each for unit in units for each in unit}
    with pytest.raises(ValueError, match="more than 16 writes"):
        writes.write_together(sessions.engine, [note(*(f"{number}" for number in range(writes.AT_MOST + 1)))])


def test_a_message_has_a_bounded_number_of_them(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor
) -> None:
    monkeypatch.setattr(group_commit, "LARGEST_GROUP", 3)
    with statements(sessions) as sent:
        futures = together(pool, sessions, *(note(f"{number}") for number in range(7)))
        assert outcomes(futures) == [None] * 7
    assert [each.count("INSERT") for each in sent] == [0, 3, 3, 1]
    assert notes(sessions) == {f"{number}" for number in range(7)}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=3), min_size=1, max_size=10))
def test_whatever_comes_at_once_each_is_saved_as_a_whole_or_refused(sessions: Sessions, units: list[list[str]]) -> None:
    with sessions.engine.begin() as connection:
        connection.execute(sa.text("truncate notes"))
    barrier = threading.Barrier(len(units))

    def commit(unit: list[str]) -> str | None:
        barrier.wait(10)
        try:
            sessions.group.commit(note(*unit))
        except (sa.exc.IntegrityError, sa.exc.OperationalError) as exc:
            return str(getattr(exc.orig, "pgcode", None))
        return None

    with ThreadPoolExecutor(len(units)) as pool:
        codes = list(pool.map(commit, units))
    # Also the loser of a deadlock between two that are sent by themselves, as ever.
    assert set(codes) <= {None, "23505", "40P01"}
    saved = [unit for unit, code in zip(units, codes, strict=True) if code is None]
    assert notes(sessions) == {each for unit in saved for each in unit}
    assert sum(len(unit) for unit in saved) == len(notes(sessions))
    assert not sessions.group._is_led
    assert sessions.group._waiting == []


# --- as greenlets do it -----------------------------------------------------------------------------------------------


@pytest.fixture
def green(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All waiting is as in a service."""
    monkeypatch.setattr(database, "_longest_wait", 3.0)
    monkeypatch.setattr(group_commit, "threading", green_threading)
    monkeypatch.setattr(group_commit, "time", green_time)
    extensions.set_wait_callback(database._wait)
    yield
    extensions.set_wait_callback(None)


class Greenlets:
    """Commits in greenlets, and how each ended."""

    def __init__(self, sessions: Sessions) -> None:
        self.group = group_commit.GroupCommit(sessions.engine, database.saving)
        self.ended: dict[str, BaseException | None] = {}

    def start(self, name: str, writes: list[Write]) -> Any:
        def run() -> None:
            try:
                self.group.commit(writes)
            except BaseException as exc:
                self.ended[name] = exc
            else:
                self.ended[name] = None

        return eventlet.spawn(run)

    def until(self, probe: Callable[[], Any]) -> None:
        with eventlet.Timeout(10):
            while not probe():
                eventlet.sleep(0.01)


@pytest.mark.usefixtures("green")
def test_a_burst_is_one_message(sessions: Sessions) -> None:
    """The first one lets the others come along, who are about to commit in the same round of the event loop."""
    greenlets = Greenlets(sessions)
    with statements(sessions) as sent:
        for number in range(group_commit.LARGEST_GROUP):
            greenlets.start(f"{number}", note(f"{number}"))
        greenlets.until(lambda: len(greenlets.ended) == group_commit.LARGEST_GROUP)
    assert set(greenlets.ended.values()) == {None}
    assert len(sent) == 1
    assert len(notes(sessions)) == group_commit.LARGEST_GROUP


@pytest.mark.usefixtures("green")
@pytest.mark.parametrize("victim", ["first", "second", "third"])
def test_the_others_go_on_when_one_is_killed(sessions: Sessions, victim: str) -> None:
    """… be it the one whose message is on its way, the one that is to send the next, or one more."""
    greenlets = Greenlets(sessions)
    slow = Write(Form("SELECT pg_sleep(1)", {}), {})
    started = {"first": greenlets.start("first", [slow, *note("first")])}
    eventlet.sleep(0.1)
    started |= {name: greenlets.start(name, note(name)) for name in ("second", "third", "fourth")}
    greenlets.until(lambda: len(greenlets.group._waiting) == 3)
    started[victim].kill()
    greenlets.until(lambda: len(greenlets.ended) == 4)
    others = {name: error for name, error in greenlets.ended.items() if name != victim}
    assert isinstance(greenlets.ended[victim], eventlet.greenlet.GreenletExit)
    assert set(others.values()) == {None}
    assert notes(sessions) >= set(others)
    # Who was killed while waiting in line has saved nothing; the first one's message was on its way.
    assert victim == "first" or victim not in notes(sessions)
    assert not greenlets.group._is_led
    assert taken(sessions.engine) == 0


@pytest.mark.usefixtures("green")
def test_one_that_is_killed_when_the_next_message_is_its_own_leaves_that_to_another(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    greenlets = Greenlets(sessions)
    started: dict[str, Any] = {}
    leave = greenlets.group._leave

    def leave_and_kill(unit: Any) -> None:
        leave(unit)
        if started and greenlets.group._waiting and greenlets.group._waiting[0].leads:
            # It was told, and has not run since.
            started.pop("second").kill()

    monkeypatch.setattr(greenlets.group, "_leave", leave_and_kill)
    greenlets.start("first", [Write(Form("SELECT pg_sleep(0.3)", {}), {})])
    eventlet.sleep(0.1)
    started["second"] = greenlets.start("second", note("second"))
    for name in ("third", "fourth"):
        greenlets.start(name, note(name))
    greenlets.until(lambda: len(greenlets.ended) == 4)
    assert isinstance(greenlets.ended["second"], eventlet.greenlet.GreenletExit)
    assert [greenlets.ended[name] for name in ("first", "third", "fourth")] == [None] * 3
    assert notes(sessions) == {"third", "fourth"}
    assert not greenlets.group._is_led


@pytest.mark.usefixtures("green")
def test_who_shares_the_message_of_one_that_is_killed_does_not_know_the_outcome(sessions: Sessions) -> None:
    greenlets = Greenlets(sessions)
    slow = Write(Form("SELECT pg_sleep(1)", {}), {})
    leader = greenlets.start("leader", note("leader"))
    greenlets.start("follower", [slow, *note("follower")])
    eventlet.sleep(0.1)
    late = greenlets.start("late", note("late"))
    eventlet.sleep(0)
    leader.kill()
    greenlets.until(lambda: len(greenlets.ended) == 3)
    assert isinstance(greenlets.ended["leader"], eventlet.greenlet.GreenletExit)
    assert isinstance(greenlets.ended["follower"], OutcomeUnknown)
    assert greenlets.ended["late"] is None
    assert "late" in notes(sessions)
    assert late.dead


@pytest.mark.usefixtures("green")
def test_one_that_is_killed_before_it_has_sent_anything_leaves_its_place_to_the_next(sessions: Sessions) -> None:
    greenlets = Greenlets(sessions)
    first = greenlets.start("first", note("first"))
    greenlets.start("second", note("second"))
    # Both have come to their commit, and the first one lets others come along.
    with statements(sessions) as sent:
        eventlet.sleep(0)
        assert greenlets.group._is_led
        first.kill()
        greenlets.until(lambda: len(greenlets.ended) == 2)
    assert isinstance(greenlets.ended["first"], eventlet.greenlet.GreenletExit)
    assert greenlets.ended["second"] is None
    assert notes(sessions) == {"second"}
    assert len(sent) == 1
