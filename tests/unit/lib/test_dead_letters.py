"""Parked events: what a person is told, and that nothing is lost on the way back."""

import pytest
from amqp.exceptions import AMQPError

from lib import dead_letters
from tests.unit.lib.fakes import Connection, message

HANDLER = "evt-auth_svc-user.registered--users_svc.on_registered"
CONFIG = {"AMQP_URI": "amqp://h/"}
ENVELOPE = {
    "id": "e1",
    "type": "user.registered",
    "subject": "s1",
    "occurred_at": "2026-01-31T12:00:00Z",
    "correlation_id": "c1",
    "data": {"email": "ada@example.org", "password": "hunter2"},
}
OURS = {
    "event-queue": HANDLER,
    "event-attempt": 4,
    "event-error-type": "KeyError",
    "event-error": "'x'",
    "event-failed-at": "2026-01-31T12:01:00Z",
    "nameko.correlation_id": "c1",
}
DEATH = {"queue": HANDLER, "reason": "delivery_limit", "count": 1}


@pytest.mark.parametrize(
    ("headers", "queue"),
    [
        (OURS, HANDLER),
        ({"x-first-death-queue": HANDLER}, HANDLER),
        ({"x-death": [DEATH]}, HANDLER),
        ({"x-death": [DEATH, {"queue": "retry-users_svc-1s"}]}, HANDLER),
        # Our word counts more than the broker's: the first death of a retried event was in the queue where it waited.
        ({**OURS, "x-first-death-queue": "retry-users_svc-1s"}, HANDLER),
        ({"x-death": []}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_handler_that_an_event_belongs_to(headers, queue):
    assert dead_letters.queue_of(message(ENVELOPE, headers=headers)) == queue


def test_a_parked_event_is_described_without_its_data():
    assert dead_letters.describe(message(ENVELOPE, headers=OURS)) == {
        "id": "e1",
        "type": "user.registered",
        "subject": "s1",
        "occurred_at": "2026-01-31T12:00:00Z",
        "correlation_id": "c1",
        "queue": HANDLER,
        "attempts": 4,
        "error_type": "KeyError",
        "error": "'x'",
        "failed_at": "2026-01-31T12:01:00Z",
    }


def test_what_the_broker_parked_is_described_by_the_brokers_headers():
    described = dead_letters.describe(
        message(ENVELOPE, headers={"x-first-death-queue": HANDLER, "x-first-death-reason": "delivery_limit"})
    )
    assert (described["queue"], described["error_type"], described["attempts"]) == (HANDLER, "delivery_limit", None)


@pytest.mark.parametrize("body", [[], "text", 5, None])
def test_a_body_of_another_shape_can_be_described(body):
    assert dead_letters.describe(message(body, headers=OURS))["id"] is None


@pytest.mark.parametrize(
    "properties",
    [{"content_type": "application/x-python-serialize"}, {"content_type": "nonsense"}],
)
def test_a_body_that_cannot_be_read_can_be_described(properties):
    described = dead_letters.describe(message(ENVELOPE, headers=OURS, **properties))
    assert (described["id"], described["queue"]) == (None, HANDLER)


# --- the queue ------------------------------------------------------------------------------------------------------


@pytest.fixture
def connection(monkeypatch):
    """A broker with a dead-letter queue."""
    connection = Connection()
    connection.consumers["dead-users_svc"] = 0
    monkeypatch.setattr(dead_letters, "connect", lambda uri, **options: connection)
    return connection


def park(connection, *ids, **changes):
    for event_id in ids:
        tag = len(connection.messages) + 1
        connection.messages.append(message({**ENVELOPE, "id": event_id}, tag=tag, headers={**OURS, **changes}))


def replayed(connection):
    return [(args[0], kwargs) for args, kwargs in connection.named("publish")]


def acknowledged(connection):
    return [args[0] for args, _ in connection.named("ack")]


def test_looking_takes_nothing_away(connection):
    park(connection, "e1", "e2")
    assert [each["id"] for each in dead_letters.list_parked(CONFIG, "users_svc")] == ["e1", "e2"]
    assert dead_letters.show(CONFIG, "users_svc", "e2") is None  # the fake hands out each once
    assert acknowledged(connection) == []


def test_showing_an_event_hides_secrets(connection):
    park(connection, "e1", "e2")
    shown = dead_letters.show(CONFIG, "users_svc", "e2")
    assert shown["id"] == "e2"
    assert shown["body"]["data"]["email"] == "ada@example.org"
    assert "hunter2" not in repr(shown)


def test_replaying_sends_a_clean_copy_to_its_handler_and_then_takes_the_original_away(connection):
    park(connection, "e1", **{"x-death": [DEATH], "x-delivery-count": 3})
    assert dead_letters.replay(CONFIG, "users_svc") == 1
    ((copy, where),) = replayed(connection)
    assert where == {"exchange": "redeliver-users_svc", "routing_key": HANDLER, "mandatory": True}
    assert copy.properties["application_headers"] == {"event-queue": HANDLER, "nameko.correlation_id": "c1"}
    assert copy.properties["delivery_mode"] == 2
    assert dead_letters.describe(copy)["id"] == "e1"
    assert [name for name, *_ in connection.calls if name in ("publish", "ack")] == ["publish", "ack"]
    assert acknowledged(connection) == [1]


def test_one_event_is_replayed_and_the_others_stay(connection):
    park(connection, "e1", "e2", "e3")
    assert dead_letters.replay(CONFIG, "users_svc", "e2") == 1
    assert acknowledged(connection) == [2]


def test_all_events_are_replayed_but_those_that_belong_to_nobody(connection):
    park(connection, "e1")
    park(connection, "e2", **{"event-queue": None})
    park(connection, "e3")
    assert dead_letters.replay(CONFIG, "users_svc") == 2
    assert acknowledged(connection) == [1, 3]


def test_an_event_that_is_not_there_is_not_replayed(connection):
    park(connection, "e1")
    assert dead_letters.replay(CONFIG, "users_svc", "e9") == 0
    assert replayed(connection) == []


def test_a_copy_that_is_not_confirmed_leaves_the_original(connection, monkeypatch):
    park(connection, "e1")
    channel = connection.channel()
    channel.failure = AMQPError("no route")
    monkeypatch.setattr(connection, "channel", lambda: channel)
    with pytest.raises(AMQPError):
        dead_letters.replay(CONFIG, "users_svc")
    assert acknowledged(connection) == []
