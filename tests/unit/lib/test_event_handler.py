"""What becomes of an event whose handler failed: where its copy goes, and when the original is let go."""

import pytest
from amqp import Message
from kombu.transport.pyamqp import Message as Received
from nameko.events import BROADCAST, SINGLETON
from nameko.exceptions import ConfigurationError, ContainerBeingKilled, RpcTimeout
from sqlalchemy.exc import OperationalError

from lib import events
from lib.confirmation import PublishUnconfirmed
from lib.errors import Unavailable
from lib.events import EventHandler
from tests.unit.lib.fakes import Clock, FakeLink, message

QUEUE = "evt-auth_svc-user.registered--users_svc.on_registered"
ENVELOPE = {"id": "e1", "type": "user.registered", "correlation_id": "c1", "data": {}}


class Settled:
    """Stands where the queue consumer is."""

    def __init__(self):
        self.acknowledged, self.requeued, self.providers = [], [], []

    kept = True

    def keeps(self, message):
        return self.kept

    def ack_message(self, message):
        self.acknowledged.append(message)

    def requeue_message(self, message):
        self.requeued.append(message)

    def register_provider(self, provider):
        self.providers.append(provider)


class Broker:
    def __init__(self, link):
        self.link = link
        self.declared = []
        self.declared_again = 0

    def declare_again(self):
        self.declared_again += 1

    def declare(self, handler):
        self.declared.append(handler)


class Container:
    service_name = "users_svc"
    config = {"EVENT_RETRY_DELAYS": "1,5,30", "EVENT_QUEUE_TYPE": "quorum"}  # noqa: RUF012

    def __init__(self):
        self.workers = []
        self.dying = False

    def spawn_worker(self, entrypoint, args, kwargs, **options):
        if self.dying:
            raise ContainerBeingKilled
        self.workers.append((args, kwargs, options))


def made(*outcomes, handler_type=None):
    options = {} if handler_type is None else {"handler_type": handler_type, "reliable_delivery": False}
    handler = EventHandler("auth_svc", "user.registered", **options)
    handler.container, handler.method_name = Container(), "on_registered"
    handler.queue_consumer, handler.broker = Settled(), Broker(FakeLink(*outcomes))
    return handler


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(events, "time", clock)
    monkeypatch.setattr(events, "CONFIRM_WITHIN", 0.001)
    return clock


@pytest.fixture
def handler():
    handler = made()
    handler.setup()
    return handler


def received(headers=None, body=ENVELOPE):
    """Return the event as kombu hands it over."""
    raw: Message = message(body, headers=headers or {})
    raw.delivery_info = {"delivery_tag": 1, "routing_key": "user.registered"}
    return Received(raw, channel=None)


def fail(handler, event, error=None):
    error = error or RuntimeError("password=hunter2 is wrong " + "x" * 1000)
    assert handler.handle_result(event, None, None, (type(error), error, None)) == (None, (type(error), error, None))


def test_the_queue_is_the_one_that_the_topology_declares(handler):
    assert handler.queue.name == QUEUE == handler.broker.declared[0].name
    assert handler.queue_consumer.providers == [handler]


def test_an_event_that_was_handled_is_let_go(handler):
    event = received()
    handler.handle_result(event, None, "result", None)
    assert handler.queue_consumer.acknowledged == [event]
    assert handler.broker.link.sent == []


@pytest.mark.parametrize(
    ("attempt", "exchange", "next_attempt"),
    [
        (None, "retry-users_svc-1s", 2),
        (1, "retry-users_svc-1s", 2),
        (2, "retry-users_svc-5s", 3),
        (3, "retry-users_svc-30s", 4),
        (4, "dead-users_svc", 4),
        (5, "dead-users_svc", 5),
        (2**40, "dead-users_svc", 2**40),
        ("2", "retry-users_svc-1s", 2),
        ([2], "retry-users_svc-1s", 2),
    ],
)
def test_where_an_event_goes_after_each_failure(handler, attempt, exchange, next_attempt):
    event = received({} if attempt is None else {"event-attempt": attempt})
    fail(handler, event)
    (copy,) = handler.broker.link.sent
    assert (copy["exchange"], copy["routing_key"], copy["mandatory"]) == (exchange, QUEUE, True)
    assert copy["properties"]["application_headers"]["event-attempt"] == next_attempt
    assert handler.queue_consumer.acknowledged == [event]


@pytest.mark.parametrize("error", [Unavailable("away"), OperationalError("select", {}, Exception()), RpcTimeout(5)])
@pytest.mark.parametrize("attempt", [1, 4, 5])
def test_an_event_that_waits_for_something_uses_up_no_attempt(handler, attempt, error):
    fail(handler, received({"event-attempt": attempt}), error)
    (copy,) = handler.broker.link.sent
    assert copy["exchange"] == "retry-users_svc-5s"
    assert copy["properties"]["application_headers"]["event-attempt"] == attempt


@pytest.mark.parametrize("attempt", [0, -1, -10])
def test_a_count_that_nobody_of_us_has_written_kills_nobody(handler, attempt):
    fail(handler, received({"event-attempt": attempt}))
    assert handler.broker.link.sent[0]["exchange"] == "retry-users_svc-1s"


def test_a_copy_is_the_event_with_its_story_and_without_the_brokers_notes(handler):
    event = received({"nameko.correlation_id": "c1", "x-death": [{"count": 1}], "x-delivery-count": 2})
    fail(handler, event)
    copy = handler.broker.link.sent[0]
    assert copy["body"] == event.body
    assert copy["properties"]["delivery_mode"] == 2
    assert copy["properties"]["content_type"] == "application/json"
    headers = copy["properties"]["application_headers"]
    assert headers["nameko.correlation_id"] == "c1"
    assert headers["event-queue"] == QUEUE
    assert headers["event-error-type"] == "RuntimeError"
    assert headers["event-failed-at"].endswith("Z")
    assert not [name for name in headers if name.startswith("x-")]


def test_the_error_that_goes_into_the_broker_is_short_and_without_secrets(handler):
    fail(handler, received())
    error = handler.broker.link.sent[0]["properties"]["application_headers"]["event-error"]
    assert len(error) == events.LONGEST_ERROR
    assert "hunter2" not in error


@pytest.mark.parametrize("outcome", ["away", "nack", "silence"])
def test_an_event_whose_copy_is_not_safe_goes_back_when_it_cannot_stay_in_our_hands(clock, outcome):
    handler = made(outcome)
    handler.setup()
    handler.queue_consumer.kept = False
    event = received()
    fail(handler, event)
    assert handler.queue_consumer.acknowledged == []
    assert handler.queue_consumer.requeued == [event]


def test_while_the_broker_takes_nothing_an_event_stays_in_our_hands(clock):
    handler = made("away", "nack", "away", "away", "away", "away", "away", "ack")
    handler.setup()
    event = received()
    fail(handler, event)
    assert handler.queue_consumer.requeued == []
    assert handler.queue_consumer.acknowledged == [event]


def test_a_broker_that_takes_its_time_gets_no_second_copy(clock, monkeypatch):
    monkeypatch.setattr(events, "CONFIRM_WITHIN", 0.01)
    handler = made("late")
    handler.setup()
    event = received()
    fail(handler, event)
    assert len(handler.broker.link.sent) == 1
    assert handler.queue_consumer.acknowledged == [event]


@pytest.mark.parametrize(("answer", "sent"), [(None, 1), (PublishUnconfirmed("the broker went away"), 2)])
def test_an_answer_that_comes_while_nobody_waits_for_it_counts(clock, monkeypatch, answer, sent):
    """As it does after an alarm: the broker then confirms what it had got before, in the pause between two waits."""
    handler = made("silence", "ack")
    handler.setup()
    answers = [answer]
    monkeypatch.setattr(
        clock, "sleep", lambda _: answers and handler.broker.link.confirmations[0].settle(answers.pop())
    )
    event = received()
    fail(handler, event)
    assert len(handler.broker.link.sent) == sent
    assert handler.queue_consumer.acknowledged == [event]


def test_a_copy_that_no_queue_takes_is_sent_again_once_the_queues_are_declared(clock):
    handler = made("returned", "ack")
    handler.setup()
    event = received()
    fail(handler, event)
    assert handler.broker.declared_again == 1
    assert len(handler.broker.link.sent) == 2
    assert handler.queue_consumer.acknowledged == [event]


@pytest.mark.parametrize(
    "headers",
    [{"deep": {"deep": {}}}, {"many": [1] * 60_000}, {"long": "x" * 100_000}, {f"h{i}": i for i in range(50_000)}],
    ids=["deep", "many", "long", "numerous"],
)
def test_a_strangers_headers_do_not_go_on(handler, headers):
    fail(handler, received({"nameko.call_id": "kept", "event-attempt": 2, **headers}))
    kept = handler.broker.link.sent[0]["properties"]["application_headers"]
    assert (kept["nameko.call_id"], kept["event-attempt"]) == ("kept", 3)
    assert len(str(kept)) < 20_000


def test_what_cannot_be_read_is_parked_at_once(handler):
    event = received()
    handler.handle_undecodable(event, ValueError("no JSON"))
    assert handler.broker.link.sent[0]["exchange"] == "dead-users_svc"
    assert handler.queue_consumer.acknowledged == [event]


def test_a_handler_runs_as_the_system_in_the_events_context(handler):
    handler.handle_message(ENVELOPE, received({"nameko.traceparent": "00-t", "nameko.access_token": "stolen"}))
    ((args, kwargs, options),) = handler.container.workers
    assert (args, kwargs) == ((ENVELOPE,), {})
    call = options["call"]
    assert (call.correlation_id, call.traceparent) == ("c1", "00-t")
    assert call.actor.is_system
    assert call.access_token is None
    assert call.background


def test_the_request_that_a_header_names_goes_before_the_one_in_the_body(handler):
    handler.handle_message(ENVELOPE, received({"nameko.correlation_id": "header"}))
    assert handler.container.workers[0][2]["call"].correlation_id == "header"


@pytest.mark.parametrize("body", [[], None, "text", 5])
def test_a_body_of_another_shape_is_the_handlers_business(handler, body):
    handler.handle_message(body, received(body=body))
    assert handler.container.workers[0][0] == (body,)


def test_a_dying_container_gives_the_event_back(handler):
    handler.container.dying = True
    event = received()
    handler.handle_message(ENVELOPE, event)
    assert handler.queue_consumer.requeued == [event]


@pytest.mark.parametrize("handler_type", [BROADCAST, SINGLETON])
def test_other_kinds_of_handlers_are_refused_or_work(handler_type):
    handler = made(handler_type=handler_type)
    try:
        handler.setup()
    except ConfigurationError:
        return
    fail(handler, received())
