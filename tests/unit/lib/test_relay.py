"""The outbox's relay: a row is marked as sent when the broker has confirmed it, and not one moment earlier."""

import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from greenlet import GreenletExit
from hypothesis import given
from hypothesis import strategies as st
from kombu import serialization
from psycopg2 import extensions
from sqlalchemy.exc import OperationalError

from lib import metrics, outbox, relay
from lib.errors import Unavailable
from lib.ids import utc_now
from tests.unit.lib.fakes import Clock, FakeLink


class Row:
    """One row of the outbox, as the query gives it."""

    def __init__(self, position):
        self.position = position
        self.type = "thing.happened"
        self.id = f"e{position}"
        self.body = json.dumps({"id": self.id, "type": self.type, "data": {"n": position}})
        self.headers = {"correlation_id": f"c{position}", "traceparent": "00-t"}
        self.created_at = utc_now()


class Database:
    """A pool with one connection to a few rows; knows which are marked, and whether the mark was committed."""

    def __init__(self, *positions):
        self.rows = [Row(position) for position in positions]
        self.marked = []
        self.committed = 0
        self.messages = []
        self.given_up = 0
        self.lost_at = None

    @property
    def engine(self):
        return self

    @contextmanager
    def connect(self):
        driver = SimpleNamespace(autocommit=False, closed=0, info=SimpleNamespace(transaction_status=0))
        self.connection = SimpleNamespace(dbapi_connection=driver)
        yield self
        assert driver.closed or (driver.info.transaction_status, driver.autocommit) == (0, False)

    def exec_driver_sql(self, message, parameters=None):
        driver = self.connection.dbapi_connection
        assert driver.autocommit, "psycopg2 would begin a transaction of its own"
        self.messages.append(message)
        if len(self.messages) == self.lost_at:
            driver.info.transaction_status = extensions.TRANSACTION_STATUS_UNKNOWN
            raise OperationalError(message, {}, Exception("lost"))
        if message.startswith("BEGIN; SELECT"):
            driver.info.transaction_status = extensions.TRANSACTION_STATUS_INTRANS
        elif message == "ROLLBACK":
            driver.info.transaction_status = 0
        elif message.startswith("UPDATE") and message.endswith("; COMMIT"):
            driver.info.transaction_status = 0
            self.marked = parameters["positions"]
            self.committed += 1
        return self

    def all(self):
        return self.rows

    def invalidate(self):
        self.given_up += 1
        self.connection.dbapi_connection.closed = 1

    @property
    def open(self):
        driver = self.connection.dbapi_connection
        return not driver.closed and driver.info.transaction_status != 0


class Session:
    """Runs anything."""

    rowcount = 7

    def __init__(self, value=None):
        self.asked = []
        self.value = value

    def __call__(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        pass

    def execute(self, statement):
        self.asked.append(statement)
        return self

    def scalar(self, statement):
        return self.value

    def commit(self):
        pass


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(relay, "time", clock)
    monkeypatch.setattr(relay, "CONFIRM_WITHIN", 0.001)
    return clock


def test_all_that_the_broker_confirms_is_marked():
    database, link = Database(1, 2, 3), FakeLink()
    assert relay.send_batch(database, link, "some_svc") == 3
    assert (database.marked, database.committed, database.open) == ([1, 2, 3], 1, False)
    assert (len(database.messages), database.given_up) == (2, 0)


def test_nothing_to_send_touches_nothing():
    database, link = Database(), FakeLink()
    assert relay.send_batch(database, link, "some_svc") == 0
    assert (link.sent, database.committed, database.open, database.given_up) == ([], 0, False, 0)


def test_a_row_that_cannot_be_sent_keeps_no_other_one_back(caplog):
    database, link = Database(1, 2, 3), FakeLink()
    database.rows[1].headers = ["no mapping"]
    assert relay.send_batch(database, link, "some_svc") == 2
    assert (database.marked, database.committed) == ([1, 3], 1)
    assert "row 2 cannot be sent" in caplog.text


@pytest.mark.parametrize(
    ("outcomes", "marked"),
    [
        (("nack", "ack", "ack"), [2, 3]),
        (("ack", "nack", "ack"), [1, 3]),
        (("ack", "silence", "ack"), [1, 3]),
        (("silence", "silence", "silence"), []),
        (("away",), []),
        (("ack", "away"), [1]),
        (("ack", "ack", "away"), [1, 2]),
        (("nack", "away"), []),
        (("silence", "ack", "away"), [2]),
    ],
)
def test_what_is_not_confirmed_is_not_marked_and_stays_for_the_next_time(outcomes, marked):
    database, link = Database(1, 2, 3), FakeLink(*outcomes)
    with pytest.raises(Unavailable):
        relay.send_batch(database, link, "some_svc")
    assert database.marked == marked
    assert database.committed == bool(marked)
    # The broker may be away for long: that is no reason to connect anew for each try.
    assert (database.open, database.given_up) == (False, 0)


@given(st.lists(st.sampled_from(["ack", "nack", "silence", "away"]), min_size=1, max_size=8))
def test_exactly_what_was_confirmed_is_marked(outcomes):
    database, link = Database(*range(len(outcomes))), FakeLink(*outcomes)
    stop = outcomes.index("away") if "away" in outcomes else len(outcomes)
    try:
        relay.send_batch(database, link, "some_svc")
        failed = False
    except Unavailable:
        failed = True
    assert list(database.marked) == [position for position in range(stop) if outcomes[position] == "ack"]
    assert failed == (set(outcomes) != {"ack"})


@pytest.mark.parametrize("message", [1, 2])
def test_a_connection_that_is_lost_is_given_up_and_nothing_counts_as_sent(message):
    database, link = Database(1, 2), FakeLink()
    database.lost_at = message
    before = metrics.OUTBOX_SENT.labels("some_svc")._value.get()
    with pytest.raises(OperationalError):
        relay.send_batch(database, link, "some_svc")
    assert (database.marked, database.open, database.given_up) == ([], False, 1)
    assert metrics.OUTBOX_SENT.labels("some_svc")._value.get() == before


def test_who_is_killed_between_the_messages_leaves_no_open_transaction_in_the_pool():
    database, link = Database(1), FakeLink()

    def killed(**message):
        raise GreenletExit

    link.publish_confirmed = killed
    with pytest.raises(GreenletExit):
        relay.send_batch(database, link, "some_svc")
    assert (database.marked, database.open, database.given_up) == ([], False, 1)


def test_waiting_for_confirmations_has_one_end_for_all_of_them(clock, monkeypatch):
    waits = []

    class Slow:
        def wait(self, timeout):
            waits.append(timeout)
            clock.advance(2)

    monkeypatch.setattr(relay, "CONFIRM_WITHIN", 5.0)
    link = FakeLink()
    link.publish_confirmed = lambda **message: Slow()
    relay.send_batch(Database(1, 2, 3), link, "some_svc")
    assert waits == [5, 3, 1]


def test_a_message_is_what_subscribers_and_nameko_expect():
    link = FakeLink()
    relay.send_batch(Database(1), link, "some_svc")
    (message,) = link.sent
    assert (message["exchange"], message["routing_key"]) == ("some_svc.events", "thing.happened")
    properties = message["properties"]
    assert properties["delivery_mode"] == 2
    assert properties["message_id"] == "e1"
    assert properties["application_headers"] == {"nameko.correlation_id": "c1", "nameko.traceparent": "00-t"}
    body = serialization.loads(message["body"], properties["content_type"], properties["content_encoding"])
    assert body == {"id": "e1", "type": "thing.happened", "data": {"n": 1}}


def test_rows_are_taken_oldest_first_and_those_of_other_relays_are_left_alone():
    database = Database()
    relay.send_batch(database, FakeLink(), "some_svc")
    text = database.messages[0]
    assert "sent_at IS NULL" in text
    assert text.index("ORDER BY position") < text.index("FOR UPDATE SKIP LOCKED")


@pytest.mark.parametrize(("age", "seconds"), [(None, 0.0), (timedelta(seconds=90), 90.0), (timedelta(seconds=-5), 0.0)])
def test_the_age_of_the_oldest_event(age, seconds):
    session = Session(None if age is None else utc_now() - age)
    assert relay.oldest_unsent(session) == pytest.approx(seconds, abs=1)


def test_purging_deletes_only_what_is_old_and_in_portions():
    session = Session()
    assert relay.purge(session) == 14
    outbox_text, inbox_text = [str(each) for each in session.asked]
    assert outbox_text.startswith("DELETE FROM outbox")
    assert inbox_text.startswith("DELETE FROM inbox")
    for text in (outbox_text, inbox_text):
        assert "<" in text
        assert "LIMIT" in text
    limit = next(v for v in session.asked[0].compile().params.values() if isinstance(v, datetime))
    assert datetime.now(UTC) - limit >= relay.KEEP_SENT - timedelta(minutes=1)


# --- the loop -------------------------------------------------------------------------------------------------------


class Thread:
    def __init__(self, run):
        self.run = run

    def wait(self):
        self.run()


class Container:
    """Runs a managed thread when somebody waits for it."""

    service_name = "some_svc"

    def spawn_managed_thread(self, run, identifier=None):
        return Thread(run)


class Broker:
    link = None


@pytest.fixture
def running(monkeypatch):
    """``running(3, 0)`` → a relay whose batches have these results, and the list of batches it asked for."""

    def make(*results):
        asked = []
        left = list(results)

        def send_batch(sessions, link, service):
            asked.append(service)
            result = left.pop(0)
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr(relay, "send_batch", send_batch)
        monkeypatch.setattr(relay, "measure_lag", lambda sessions, service: True)
        made = relay.Relay()
        made.container, made.broker = Container(), Broker()
        made.begin(lambda: None)
        return made, asked

    return make


@pytest.mark.parametrize(
    ("results", "batches"),
    [
        ((0,), 1),
        ((200, 200, 3, 0), 4),
        ((Unavailable("away"),), 1),
        ((OperationalError("x", {}, Exception()),), 1),
        ((200, Unavailable("away")), 2),
    ],
)
def test_the_end_sends_what_is_left_and_waits_for_nobody_who_is_away(running, clock, results, batches):
    made, asked = running(*results)
    made.finish()
    assert asked == ["some_svc"] * batches
    assert sum(clock.slept) <= 0.5


def test_a_commit_wakes_the_relay_until_it_has_ended(running):
    made, _ = running(0)
    assert not made._wake.is_set()
    outbox.announce()
    assert made._wake.is_set()
    made.finish()
    made._wake.clear()
    outbox.announce()
    assert not made._wake.is_set()


def test_rows_are_purged_now_and_then(running, clock, monkeypatch):
    purged = []
    monkeypatch.setattr(relay, "purge", lambda sessions: purged.append(sessions) or 0)
    made, _ = running(1, 1, 0)
    # Time goes on while batches are sent.
    send = relay.send_batch

    def slowly(*arguments):
        clock.advance(relay.PURGE_EVERY * 0.6)
        return send(*arguments)

    monkeypatch.setattr(relay, "send_batch", slowly)
    made.finish()
    assert len(purged) == 1


def test_with_more_to_purge_than_a_batch_it_goes_on(running, clock, monkeypatch):
    purged = []
    monkeypatch.setattr(relay, "purge", lambda sessions: purged.append(sessions) or relay.PURGE_BATCH)
    made, _ = running(1, 1, 1, 0)
    send, steps = relay.send_batch, iter([relay.PURGE_EVERY, relay.POLL_EVERY, 0, 0])

    def slowly(*arguments):
        clock.advance(next(steps))
        return send(*arguments)

    monkeypatch.setattr(relay, "send_batch", slowly)
    made.finish()
    assert len(purged) == 2


class Woken:
    """Is set whenever somebody waits for it; after so many times the relay is to end."""

    def __init__(self, made, times, clock, after=0.0):
        self.made, self.times, self.clock, self.after = made, times, clock, after
        self.waits = 0

    def clear(self):
        pass

    set = clear

    def wait(self, timeout):
        self.waits += 1
        self.clock.advance(self.after)
        if self.waits == self.times:
            self.made._stopping = True


def test_under_load_several_commits_share_a_batch(running, clock):
    made, asked = running(3, 1, 0)
    made._wake = Woken(made, 2, clock, after=0.03)
    made._run()
    # After the first batch it holds back; told to end, it does not.
    assert clock.slept == [pytest.approx(relay.BATCH_EVERY - 0.03)]
    assert len(asked) == 3


def test_a_commit_after_a_while_is_followed_by_its_batch_at_once(running, clock):
    made, _ = running(1, 0)
    made._wake = Woken(made, 1, clock, after=relay.BATCH_EVERY)
    made._run()
    assert sum(clock.slept) == 0


def test_a_commit_just_after_a_look_that_found_nothing_is_not_held_back(running, clock):
    made, asked = running(0, 1, 0)
    made._wake = Woken(made, 2, clock, after=0.03)
    made._run()
    assert sum(clock.slept) == 0
    assert len(asked) == 3


def test_a_full_batch_is_followed_by_the_next_without_a_pause(running, clock):
    made, asked = running(relay.BATCH, relay.BATCH, 0, 0)
    made._wake = Woken(made, 1, clock)
    made._run()
    assert len(asked) == 4
    assert clock.slept == []


def test_the_lag_is_measured_once_a_second(running, clock, monkeypatch):
    made, _ = running(1, 1, 1, 1, 1, 0)
    measured = []
    monkeypatch.setattr(relay, "measure_lag", lambda sessions, service: measured.append(clock.monotonic()) or True)
    made._wake = Woken(made, 5, clock, after=relay.POLL_EVERY * 0.45)
    made._run()
    assert len(measured) == 2


def test_where_the_measurement_finds_nothing_no_batch_is_begun(running, clock, monkeypatch):
    made, asked = running(1)
    waiting = iter([False, False, True, False, False])
    monkeypatch.setattr(relay, "measure_lag", lambda sessions, service: next(waiting))
    made._wake = Woken(made, 4, clock, after=relay.POLL_EVERY)
    made._run()
    assert len(asked) == 1


def test_what_is_committed_after_the_measurement_is_sent_before_the_next_one(running, clock, monkeypatch):
    made, asked = running(1, 0)
    waits = []

    class Wake(threading.Event):
        def wait(self, timeout=None):
            waits.append(self.is_set())
            if len(waits) == 2:
                made._stopping = True
            return True

    def measure(sessions, service):
        # The commit comes just after the look, and its call before the batch would have begun.
        outbox.announce()
        return False

    made._forget()
    made._wake = Wake()
    made._forget = outbox.on_commit(made._wake.set)
    monkeypatch.setattr(relay, "measure_lag", measure)
    made._run()
    made._forget()
    assert waits[0] is True
    assert len(asked) == 2
