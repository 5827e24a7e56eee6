"""The link's bookkeeping: every message that is waited for gets one word, whatever becomes of the connection."""

import threading
import time

import pytest
from amqp import Message
from amqp.exceptions import AMQPError, ConnectionForced
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import link as link_module
from lib.confirmation import BrokerUnavailable, Confirmation, PublishUnconfirmed, Unroutable
from lib.errors import OutcomeUnknown
from lib.link import Link
from lib.wire import process_name
from tests.unit.lib.fakes import Connection


class Listener:
    """Writes down what it is told."""

    def __init__(self):
        self.told = []
        self.failure = None

    def link_up(self, connection):
        if self.failure is not None:
            raise self.failure
        self.told.append("up")

    def link_down(self):
        self.told.append("down")

    def link_returned(self, message):
        self.told.append(("returned", message))

    def link_blocked(self):
        self.told.append("blocked")

    def link_tick(self, connection):
        self.told.append("tick")


class Opened:
    """A link with a connection that was made by hand; its reader does not run."""

    def __init__(self):
        self.listener = Listener()
        self.link = Link("amqp://nowhere/", name="test")
        self.link.add(self.listener)
        self.open()

    def open(self):
        self.connection = Connection()
        self.link._open(self.connection)
        self.plain, self.confirming = self.connection.channels[:2]

    def publish(self, **changes):
        self.link.publish(**{"exchange": "x", "routing_key": "k", "body": "b", "properties": {}, **changes})

    def confirmed(self, **changes):
        message = {"exchange": "x", "routing_key": "k", "body": "b", "properties": {}, **changes}
        return self.link.publish_confirmed(**message)

    def broker_says(self, word, tag, multiple=False):
        for callback in self.confirming.events[f"basic_{word}"]:
            callback(tag, multiple)


@pytest.fixture
def opened():
    return Opened()


# --- a confirmation -------------------------------------------------------------------------------------------------


def test_a_confirmation_that_came_before_the_wait():
    confirmation = Confirmation()
    confirmation.settle()
    confirmation.wait(0)


def test_a_confirmation_that_comes_from_another_thread():
    confirmation = Confirmation()
    threading.Timer(0.02, confirmation.settle).start()
    started = time.monotonic()
    confirmation.wait(10)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("timeout", [0, -5, 0.01])
def test_a_confirmation_that_does_not_come(timeout):
    with pytest.raises(PublishUnconfirmed):
        Confirmation().wait(timeout)


def test_a_refused_message_may_have_happened_for_all_we_know():
    confirmation = Confirmation()
    confirmation.settle(PublishUnconfirmed("refused"))
    with pytest.raises(OutcomeUnknown):
        confirmation.wait(0)


# --- sending --------------------------------------------------------------------------------------------------------


def test_a_message_goes_out_with_its_properties(opened):
    opened.publish(mandatory=True, properties={"reply_to": "r", "delivery_mode": 1})
    ((args, content),) = opened.plain.sent
    assert args == (0, "x", "k", True, False)
    assert (content.body, content.properties) == ("b", {"reply_to": "r", "delivery_mode": 1})
    assert opened.confirming.sent == []


def test_without_a_connection_nothing_is_sent():
    with pytest.raises(BrokerUnavailable) as caught:
        Link("amqp://nowhere/", name="test").publish(exchange="x", routing_key="k", body="b", properties={})
    assert caught.value.kind == "unavailable"
    assert not isinstance(caught.value, OutcomeUnknown)


def test_while_the_broker_takes_nothing_nothing_is_sent(opened):
    opened.link._on_blocked("memory")
    assert opened.listener.told == ["up", "blocked"]
    assert opened.link.blocked
    with pytest.raises(BrokerUnavailable):
        opened.publish()
    opened.link._on_unblocked()
    opened.publish()
    assert len(opened.plain.sent) == 1


def test_a_writer_that_is_stuck_does_not_keep_others_longer_than_they_want(opened):
    opened.link._write_lock.acquire()
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable, match="stalled"):
        opened.publish(timeout=0.02)
    assert time.monotonic() - started < 1
    opened.link._write_lock.release()
    opened.publish(timeout=0.02)


@pytest.mark.parametrize("failure", [BrokenPipeError(), TimeoutError(), AMQPError("x"), AttributeError(), TypeError()])
def test_a_write_that_fails_was_not_sent_and_is_not_waited_for(opened, failure):
    opened.confirming.failure = failure
    with pytest.raises(BrokerUnavailable):
        opened.confirmed()
    assert opened.link._unconfirmed == {}
    assert opened.link._write_lock.acquire(blocking=False), "the next writer must not wait for ever"


@pytest.mark.parametrize("failure", [ValueError(), KeyboardInterrupt(), UnicodeEncodeError("utf-8", "x", 0, 1, "x")])
def test_a_message_that_cannot_be_written_does_not_shift_the_confirmations(opened, failure):
    opened.confirming.failure = failure
    with pytest.raises(BaseException):  # noqa: B017, PT011
        opened.confirmed()
    opened.confirming.failure = None
    try:
        confirmation = opened.confirmed()
    except BrokerUnavailable:
        return  # Giving up the connection is an answer, too.
    opened.broker_says("ack", 1)
    confirmation.wait(0)


# --- confirms -------------------------------------------------------------------------------------------------------


def test_the_broker_confirms_one_by_one(opened):
    first, second = opened.confirmed(), opened.confirmed()
    opened.broker_says("ack", 2)
    second.wait(0)
    with pytest.raises(PublishUnconfirmed):
        first.wait(0)


def test_the_broker_confirms_several_at_once(opened):
    confirmations = [opened.confirmed() for _ in range(4)]
    opened.broker_says("ack", 3, multiple=True)
    for each in confirmations[:3]:
        each.wait(0)
    with pytest.raises(PublishUnconfirmed):
        confirmations[3].wait(0)


def test_the_broker_refuses(opened):
    first, second = opened.confirmed(), opened.confirmed()
    opened.broker_says("nack", 1)
    opened.broker_says("ack", 2)
    with pytest.raises(PublishUnconfirmed, match="refused"):
        first.wait(0)
    second.wait(0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["send", "ack", "nack"]), st.integers(1, 12), st.booleans()), max_size=40))
def test_whatever_the_broker_says_each_message_gets_the_first_word_about_it(steps):
    opened, expected, sent = Opened(), {}, []
    for step, tag, multiple in steps:
        if step == "send":
            sent.append(opened.confirmed())
            continue
        opened.broker_says(step, tag, multiple)
        for number in range(1 if multiple else tag, min(tag, len(sent)) + 1):
            expected.setdefault(number, step)
    opened.link._close()
    for number, confirmation in enumerate(sent, start=1):
        if expected.get(number) == "ack":
            confirmation.wait(0)
        else:
            with pytest.raises(PublishUnconfirmed):
                confirmation.wait(0)
    assert opened.link._unconfirmed == {}


# --- the end of a connection ----------------------------------------------------------------------------------------


def test_with_the_connection_goes_everything_that_was_waited_for(opened):
    confirmation = opened.confirmed()
    opened.link._close()
    with pytest.raises(PublishUnconfirmed, match="went away"):
        confirmation.wait(10)
    assert not opened.link.connected
    assert opened.connection.collected
    assert opened.listener.told == ["up", "down"]
    with pytest.raises(BrokerUnavailable):
        opened.publish()


def test_a_new_connection_counts_anew_and_forgets_the_block(opened):
    opened.confirmed()
    opened.link._on_blocked("memory")
    opened.link._close()
    opened.open()
    assert (opened.link.connected, opened.link.blocked) == (True, False)
    confirmation = opened.confirmed()
    opened.broker_says("ack", 1)
    confirmation.wait(0)


def test_a_connection_that_never_came_up_is_told_to_nobody():
    link, listener = Link("amqp://nowhere/", name="test"), Listener()
    link.add(listener)
    link._close()
    assert listener.told == []


def test_a_returned_message_is_handed_on(opened):
    returned = Message("")
    for channel in (opened.plain, opened.confirming):
        for callback in channel.events["basic_return"]:
            callback(None, "x", "k", returned)
    assert opened.listener.told[1:] == [("returned", returned)] * 2


def test_a_confirmed_message_that_came_back_has_failed_although_the_broker_confirms_it(opened):
    confirmation = opened.confirmed(mandatory=True)
    returned = Message("", message_id=opened.confirming.sent[-1][1].properties["message_id"])
    for callback in opened.confirming.events["basic_return"]:
        callback(None, "x", "k", returned)
    opened.broker_says("ack", 1)
    with pytest.raises(Unroutable):
        confirmation.wait(0)


def test_a_confirmed_text_goes_out_as_utf_8(opened):
    """Its properties are written before py-amqp would add that."""
    opened.confirmed(properties={"message_id": "m"})
    ((_, content),) = opened.confirming.sent
    expected = Message("", message_id="m", content_encoding="utf-8")._serialize_properties()
    assert content._serialize_properties() == expected


def test_what_cannot_be_sent_costs_nobody_the_connection(opened):
    for headers in ({"deep": _deep(700)}, {"long": "x" * 130_000}):
        with pytest.raises((ValueError, RecursionError)):
            opened.confirmed(properties={"application_headers": headers})
    opened.confirmed()


def _deep(levels):
    headers = {}
    for _ in range(levels):
        headers = {"deeper": headers}
    return headers


# --- the reader -----------------------------------------------------------------------------------------------------


@pytest.fixture
def connecting(monkeypatch):
    """``connecting(*outcomes)`` → a started link; an outcome is an exception, or a connection that is lost at once."""
    started = []

    def make(*outcomes, listener=None):
        left = list(outcomes)
        enough = threading.Event()

        def connect(uri, **options):
            if not left:
                enough.set()
                raise ConnectionRefusedError("no more")
            outcome = left.pop(0)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        monkeypatch.setattr(link_module.wire, "connect", connect)
        monkeypatch.setattr(link_module, "SHORTEST_PAUSE", 0.001)
        monkeypatch.setattr(link_module, "LONGEST_PAUSE", 0.002)
        monkeypatch.setattr(Link, "_read", lambda self, connection: (_ for _ in ()).throw(ConnectionForced("lost")))
        link = Link("amqp://nowhere/", name="test")
        link.add(listener or Listener())
        link.start()
        started.append(link)
        return link, enough

    yield make
    for link in started:
        link.stop()
        assert not link._thread.is_alive()


def test_the_reader_tries_until_there_is_a_broker_and_again_after_each_loss(connecting):
    listener = Listener()
    _, enough = connecting(OSError("refused"), Connection(), AMQPError("no"), Connection(), listener=listener)
    assert enough.wait(5)
    assert listener.told == ["up", "down", "up", "down"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("failure", [KeyError("x"), ValueError("x"), RuntimeError("x")])
def test_the_reader_outlives_what_nobody_foresaw_while_connecting(connecting, failure):
    _, enough = connecting(failure, Connection())
    assert enough.wait(0.5)


def test_starting_twice_starts_one_reader(connecting):
    link, enough = connecting()
    thread = link._thread
    link.start()
    assert link._thread is thread
    assert enough.wait(5)


def test_a_link_that_was_never_started_can_be_stopped():
    Link("amqp://nowhere/", name="test").stop()


def test_a_process_is_named_for_the_management_ui():
    assert process_name("gateway").startswith("gateway on ")
