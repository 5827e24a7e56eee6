"""The relay on PostgreSQL: few round trips, and no transaction that is left open, whatever happens."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from greenlet import GreenletExit
from sqlalchemy.exc import DBAPIError, OperationalError

from deploy.local.infra import Infrastructure
from lib import outbox, relay
from lib.confirmation import BrokerUnavailable, Confirmation
from lib.database import Sessions, make_engine
from lib.errors import Unavailable
from lib.ids import new_id, utc_now
from tests.support import databases
from tests.support.round_trips import round_trips
from tests.support.waiting import eventually

NAME = "relays"
SERVICE = "some_svc"
metadata = sa.MetaData()
events = outbox.outbox_table(metadata)


class Link:
    """A broker that has everything at once, unless a test says otherwise.

    :param during: is called with the number of each message
    """

    def __init__(self, during: Callable[[int], None] = lambda number: None) -> None:
        self.sent: list[str] = []
        self.bodies: list[str] = []
        self._during = during

    def publish_confirmed(self, **message: Any) -> Confirmation:
        self.sent.append(message["properties"]["message_id"])
        self.bodies.append(message["body"])
        self._during(len(self.sent))
        confirmation = Confirmation()
        confirmation.settle()
        return confirmation


@pytest.fixture(scope="module")
def uri(infrastructure: Infrastructure) -> Iterator[str]:
    superuser = infrastructure.environment()["POSTGRES_SUPERUSER_URL"]
    admin = databases.admin(superuser)
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {NAME}"))
    uri = databases.on_database(superuser, NAME)
    yield uri
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {NAME} WITH (FORCE)"))


@pytest.fixture
def watcher(uri: str) -> Iterator[sa.Engine]:
    """A way into the database beside the relay's."""
    engine = sa.create_engine(uri)
    metadata.drop_all(engine)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(uri: str, watcher: sa.Engine) -> Iterator[Sessions]:
    """A pool of one connection, which is open: who comes after the relay gets what it has left."""
    engine = make_engine(uri, statement_timeout=5, pool_size=1, application_name="relay")
    with engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    yield Sessions(engine)
    engine.dispose()


@pytest.fixture
def put(watcher: sa.Engine) -> Callable[[int], list[str]]:
    """Commit so many events; return their ids."""

    def put(count: int) -> list[str]:
        ids = [str(new_id()) for _ in range(count)]
        rows = [
            {"event_id": each, "type": "thing.done", "envelope": {"id": each}, "headers": {}, "created_at": utc_now()}
            for each in ids
        ]
        with watcher.begin() as connection:
            connection.execute(events.insert(), rows)
        return ids

    return put


@pytest.fixture
def unsent(watcher: sa.Engine) -> Callable[[], list[str]]:
    """The ids of the events that are not marked."""

    def ids() -> list[str]:
        query = sa.select(events.c.event_id).where(events.c.sent_at.is_(None)).order_by(events.c.position)
        with watcher.connect() as connection:
            return [str(each) for each in connection.scalars(query)]

    return ids


@pytest.fixture
def states(watcher: sa.Engine) -> Callable[[], list[tuple[int, str]]]:
    """The relay's connections as the server sees them: process and state."""

    def ask() -> list[tuple[int, str]]:
        asked = sa.text("select pid, state from pg_stat_activity where application_name = 'relay'")
        with watcher.connect() as connection:
            return [(row.pid, row.state) for row in connection.execute(asked)]

    return ask


def test_an_event_leaves_as_it_was_written(sessions: Sessions, watcher: sa.Engine) -> None:
    texts = ["Ünïcode", "\U0001f407", "\u2028", '"\\', "__type__", "\x7f", ""]
    envelope = {"id": str(new_id()), "data": {"texts": texts, "__type__": "x", "n": [2**70, -1, 1e-7, 0.1, None, True]}}
    row = {"event_id": envelope["id"], "type": "a.b", "envelope": envelope, "headers": {}, "created_at": utc_now()}
    with watcher.begin() as connection:
        connection.execute(events.insert(), [row])
    link = Link()
    assert relay.send_batch(sessions, link, SERVICE) == 1
    assert link.sent == [envelope["id"]]
    assert [json.loads(each) for each in link.bodies] == [envelope]


# --- round trips ---


def test_a_batch_is_two_round_trips_and_leaves_its_connection_as_it_was(
    sessions: Sessions, put: Any, unsent: Any, states: Any
) -> None:
    ids, link, before = put(5), Link(), states()
    with round_trips() as sent:
        assert relay.send_batch(sessions, link, SERVICE) == 5
    assert len(sent) == 2
    assert link.sent == ids
    assert unsent() == []
    assert states() == before == [(before[0][0], "idle")]


def test_to_look_for_unsent_events_is_one_round_trip_and_no_transaction(
    sessions: Sessions, put: Any, states: Any
) -> None:
    with round_trips() as sent:
        assert relay.measure_lag(sessions, SERVICE) is False
    assert len(sent) == 1
    put(1)
    with round_trips() as sent:
        assert relay.measure_lag(sessions, SERVICE) is True
    assert len(sent) == 1
    assert [state for _, state in states()] == ["idle"]


def test_a_batch_that_finds_nothing_leaves_no_transaction_open(sessions: Sessions, states: Any) -> None:
    before = states()
    with round_trips() as sent:
        assert relay.send_batch(sessions, Link(), SERVICE) == 0
    assert len(sent) == 2
    assert states() == before == [(before[0][0], "idle")]


def test_a_broker_that_is_away_costs_no_connection(sessions: Sessions, put: Any, unsent: Any, states: Any) -> None:
    def away(number: int) -> None:
        raise BrokerUnavailable("away")

    ids, before = put(2), states()
    for _ in range(3):
        with pytest.raises(Unavailable):
            relay.send_batch(sessions, Link(away), SERVICE)
    assert unsent() == ids
    assert states() == before == [(before[0][0], "idle")]


def test_what_was_confirmed_before_the_broker_went_is_marked_and_nothing_else(
    sessions: Sessions, put: Any, unsent: Any
) -> None:
    def goes(number: int) -> None:
        if number == 3:
            raise BrokerUnavailable("away")

    ids = put(4)
    with pytest.raises(Unavailable):
        relay.send_batch(sessions, Link(goes), SERVICE)
    assert unsent() == ids[2:]


# --- several relays ---


def test_several_relays_share_the_rows_and_none_waits_for_another(
    uri: str, sessions: Sessions, put: Any, unsent: Any
) -> None:
    ids = put(relay.BATCH + 20)
    first_has_some, other_is_done = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        first_has_some.set()
        assert other_is_done.wait(10)

    other = Sessions(make_engine(uri, statement_timeout=5, pool_size=1, application_name="other"))
    slow, quick = Link(hold), Link()
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(relay.send_batch, sessions, slow, SERVICE)
        assert first_has_some.wait(10)
        try:
            assert relay.send_batch(other, quick, SERVICE) == 20
        finally:
            other_is_done.set()
        assert sending.result() == relay.BATCH
    other.engine.dispose()
    assert sorted(slow.sent + quick.sent) == sorted(ids), "each of them once"
    assert unsent() == []


# --- ends that nobody wants ---


def check_that_another_one_goes_on(sessions: Sessions, ids: list[str], unsent: Any, states: Any, pid: int) -> None:
    """The rows are not held, and whoever gets a connection next gets one without a transaction of others."""
    assert unsent() == ids
    eventually(lambda: pid not in [each for each, _ in states()])
    with sessions() as session:
        assert session.scalar(sa.text("select pg_backend_pid()")) != pid
    link = Link()
    assert relay.send_batch(sessions, link, SERVICE) == len(ids)
    assert link.sent == ids
    assert unsent() == []


def test_a_greenlet_that_is_killed_between_the_messages_leaves_nothing_open(
    sessions: Sessions, put: Any, unsent: Any, states: Any
) -> None:
    def killed(number: int) -> None:
        raise GreenletExit

    ids, ((pid, _),) = put(2), states()
    with round_trips() as sent, pytest.raises(GreenletExit):
        relay.send_batch(sessions, Link(killed), SERVICE)
    assert len(sent) == 1, "somebody who is being killed waits for nothing"
    check_that_another_one_goes_on(sessions, ids, unsent, states, pid)


@pytest.mark.parametrize("message", [1, 2])
def test_a_greenlet_that_is_killed_while_it_waits_for_an_answer_leaves_nothing_open(
    sessions: Sessions, put: Any, unsent: Any, states: Any, message: int
) -> None:
    def killed(number: int) -> None:
        if number == message:
            raise GreenletExit

    ids, ((pid, _),) = put(2), states()
    with round_trips(killed), pytest.raises(GreenletExit):
        relay.send_batch(sessions, Link(), SERVICE)
    eventually(lambda: pid not in [each for each, _ in states()])
    # The mark may have come to its end without anybody who heard of it.
    left = unsent()
    assert left in ([ids] if message == 1 else [ids, []])
    check_that_another_one_goes_on(sessions, left, unsent, states, pid)


def test_a_connection_that_is_lost_between_the_messages_is_given_up_and_all_is_sent_again(
    sessions: Sessions, put: Any, unsent: Any, states: Any, watcher: sa.Engine
) -> None:
    ids, ((pid, _),) = put(3), states()

    def lost(number: int) -> None:
        if number == 1:
            with watcher.connect() as connection:
                connection.execute(sa.text("select pg_terminate_backend(:pid)"), {"pid": pid})
            eventually(lambda: states() == [])

    with pytest.raises(OperationalError):
        relay.send_batch(sessions, Link(lost), SERVICE)
    check_that_another_one_goes_on(sessions, ids, unsent, states, pid)


def test_a_mark_that_fails_gives_the_connection_up_and_all_is_sent_again(
    sessions: Sessions, put: Any, unsent: Any, states: Any, watcher: sa.Engine
) -> None:
    ids, ((pid, _),) = put(3), states()
    with watcher.begin() as connection:
        connection.execute(sa.text("alter table outbox add check (sent_at is null) not valid"))
    with pytest.raises(DBAPIError):
        relay.send_batch(sessions, Link(), SERVICE)
    with watcher.begin() as connection:
        connection.execute(sa.text("alter table outbox drop constraint outbox_sent_at_check"))
    check_that_another_one_goes_on(sessions, ids, unsent, states, pid)
