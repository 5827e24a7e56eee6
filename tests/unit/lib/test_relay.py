"""The outbox's relay: a row is marked as sent when the broker has confirmed it, and not one moment earlier."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from kombu import serialization
from sqlalchemy.exc import OperationalError

from lib import outbox, relay
from lib.errors import Unavailable
from lib.ids import utc_now
from tests.unit.lib.fakes import Clock, FakeLink


class Row:
    """One row of the outbox, as the query gives it."""

    def __init__(self, position):
        self.position = position
        self.type = "thing.happened"
        self.envelope = {"id": f"e{position}", "type": self.type, "data": {"n": position}}
        self.headers = {"correlation_id": f"c{position}", "traceparent": "00-t"}
        self.created_at = utc_now()


class Database:
    """Sessions on a few rows; knows which are marked, and whether the mark was committed."""

    def __init__(self, *positions):
        self.rows = [Row(position) for position in positions]
        self.marked = []
        self.committed = 0
        self.open = 0
        self.asked = []
        self.oldest = None

    def __call__(self):
        return self

    def __enter__(self):
        self.open += 1
        return self

    def __exit__(self, *exc_info):
        self.open -= 1

    def execute(self, statement, parameters=None):
        self.asked.append(statement)
        if isinstance(statement, sa.TextClause):
            self._update = parameters["positions"]
            return None
        self.rowcount = 7
        return self

    def all(self):
        return self.rows

    def scalar(self, statement):
        return self.oldest

    def commit(self):
        self.committed += 1
        self.marked = getattr(self, "_update", [])


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(relay, "time", clock)
    monkeypatch.setattr(relay, "CONFIRM_WITHIN", 0.001)
    return clock


def test_all_that_the_broker_confirms_is_marked():
    database, link = Database(1, 2, 3), FakeLink()
    assert relay.send_batch(database, link, "some_svc") == 3
    assert (database.marked, database.committed, database.open) == ([1, 2, 3], 1, 0)


def test_nothing_to_send_touches_nothing():
    database, link = Database(), FakeLink()
    assert relay.send_batch(database, link, "some_svc") == 0
    assert (link.sent, database.committed, database.open) == ([], 0, 0)


def test_a_row_that_cannot_be_sent_keeps_no_other_one_back(caplog):
    database, link = Database(1, 2, 3), FakeLink()
    database.rows[1].envelope = {"id": "e2", "data": object()}
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
    assert database.open == 0


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
    text = str(database.asked[0].compile(dialect=sa.dialects.postgresql.dialect()))
    assert "sent_at IS NULL" in text
    assert text.index("ORDER BY outbox.position") < text.index("FOR UPDATE SKIP LOCKED")


@pytest.mark.parametrize(("age", "seconds"), [(None, 0.0), (timedelta(seconds=90), 90.0), (timedelta(seconds=-5), 0.0)])
def test_the_age_of_the_oldest_event(age, seconds):
    database = Database()
    database.oldest = None if age is None else utc_now() - age
    assert relay.oldest_unsent(database) == pytest.approx(seconds, abs=1)


def test_purging_deletes_only_what_is_old_and_in_portions():
    database = Database()
    assert relay.purge(database) == 14
    outbox_text, inbox_text = [str(each) for each in database.asked]
    assert outbox_text.startswith("DELETE FROM outbox")
    assert inbox_text.startswith("DELETE FROM inbox")
    for text in (outbox_text, inbox_text):
        assert "<" in text
        assert "LIMIT" in text
    limit = next(v for v in database.asked[0].compile().params.values() if isinstance(v, datetime))
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
        monkeypatch.setattr(relay, "measure_lag", lambda sessions, service: None)
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
    monkeypatch.setattr(relay, "measure_lag", lambda sessions, service: measured.append(clock.monotonic()))
    made._wake = Woken(made, 5, clock, after=relay.POLL_EVERY * 0.45)
    made._run()
    assert len(measured) == 2
