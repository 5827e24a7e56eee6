"""Group commit: what shares a message is saved, refused and told as if each had been alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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
from lib import database, group_commit
from lib.database import Sessions
from lib.errors import OutcomeUnknown
from lib.writes import Form, Write
from tests.integration.lib.direct_messages import database_of, open_engine, taken
from tests.support import databases
from tests.support.statements import statements
from tests.support.waiting import eventually

NOTE = Form("INSERT INTO notes (text) VALUES (:text)", {})
#: what one connection may do in these tests; a lock is waited for half as long
STATEMENT_TIMEOUT = 4


@pytest.fixture(scope="module")
def place(infrastructure: Infrastructure) -> Iterator[sa.URL]:
    with database_of(infrastructure.environment()["POSTGRES_SUPERUSER_URL"], "group_commit") as url:
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sa.text("create table notes (text text primary key)"))
            connection.execute(sa.text("create table counts (id int primary key, seen int not null)"))
        engine.dispose()
        yield url


@pytest.fixture
def sessions(place: sa.URL) -> Iterator[Sessions]:
    engine = open_engine(place, pool_size=12, statement_timeout=STATEMENT_TIMEOUT)
    with engine.begin() as connection:
        connection.execute(sa.text("truncate notes, counts"))
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


def together(pool: ThreadPoolExecutor, sessions: Sessions, *units: list[Write]) -> list[Future[None]]:
    """Have these units commit in one message: all come while another one's is on its way."""
    slow = Write(Form("SELECT pg_sleep(0.5)", {}), {})
    first = pool.submit(sessions.group.commit, [slow])
    eventually(lambda: sessions.group._is_led and not sessions.group._waiting)
    futures = []
    for number, unit in enumerate(units, 1):
        futures.append(pool.submit(sessions.group.commit, unit))
        # One after the other, so that their order is known.
        eventually(lambda number=number: len(sessions.group._waiting) == number)
    first.result(10)
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
        assert outcomes([futures[0], futures[2]]) == [None, None]
        # And what comes after goes on its way as ever.
        sessions.group.commit(note("c"))
        assert not futures[1].done()
        held.release()
        assert outcomes(futures) == [None] * 3
    assert notes(sessions) == {"a", "b", "c", "held"}


def test_a_lone_one_waits_for_a_row_as_long_as_ever(sessions: Sessions, pool: ThreadPoolExecutor) -> None:
    with Held(sessions) as held:
        future = pool.submit(sessions.group.commit, note("held"))
        eventually(lambda: not sessions.group._is_led, within=5)
        held.release()
        assert outcomes([future]) == [None]
    assert notes(sessions) == {"held"}


def test_groups_and_others_that_want_the_same_rows_in_another_order_all_get_them(
    sessions: Sessions, pool: ThreadPoolExecutor
) -> None:
    """What would be a deadlock ends after a moment, and nobody hears of it."""
    count = Form("UPDATE counts SET seen = seen + 1 WHERE id = :id", {})
    with sessions.engine.begin() as connection:
        connection.execute(sa.text("insert into counts values (1, 0), (2, 0)"))
    with sessions.engine.connect() as other:
        other.execute(sa.text("update counts set seen = seen + 1 where id = 2"))
        futures = together(pool, sessions, [Write(count, {"id": 1})], [Write(count, {"id": 2})])
        # By now the group has the first row and waits for the second, or has been taken apart.
        other.execute(sa.text("update counts set seen = seen + 1 where id = 1"))
        other.commit()
    assert outcomes(futures) == [None, None]
    with sessions() as session:
        assert session.execute(sa.text("select id, seen from counts order by id")).all() == [(1, 2), (2, 2)]


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


def test_without_a_server_each_hears_that_nothing_was_sent(place: sa.URL, pool: ThreadPoolExecutor) -> None:
    engine = open_engine(place.set(port=1), pool_size=3)
    sessions = Sessions(engine)
    futures = [pool.submit(sessions.group.commit, note(f"{number}")) for number in range(6)]
    assert outcomes(futures) == [sa.exc.OperationalError] * 6
    assert not sessions.group._is_led
    engine.dispose()


def test_a_message_has_a_bounded_number_of_them(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor
) -> None:
    monkeypatch.setattr(group_commit, "AT_MOST", 3)
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
        for number in range(20):
            greenlets.start(f"{number}", note(f"{number}"))
        greenlets.until(lambda: len(greenlets.ended) == 20)
    assert set(greenlets.ended.values()) == {None}
    assert len(sent) == 1
    assert len(notes(sessions)) == 20


@pytest.mark.usefixtures("green")
@pytest.mark.parametrize("victim", ["first", "second", "third"])
def test_the_others_go_on_when_one_is_killed(sessions: Sessions, victim: str) -> None:
    """… be it the one whose message is on its way, the one that is to send the next, or one more."""
    greenlets = Greenlets(sessions)
    slow = Write(Form("SELECT pg_sleep(0.5)", {}), {})
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
def test_who_shares_the_message_of_one_that_is_killed_does_not_know_the_outcome(sessions: Sessions) -> None:
    greenlets = Greenlets(sessions)
    slow = Write(Form("SELECT pg_sleep(0.5)", {}), {})
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
