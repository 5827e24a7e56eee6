"""Who may listen at a process, and what wakes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from amqp.exceptions import AccessRefused, NotFound

from gateway import streams as module
from gateway.streams import PER_ACCOUNT, Streams, TooManyStreams
from tests.architecture.test_broker_permissions import Broker
from tests.conftest import ROOT
from tests.unit.gateway.revoking import OTHER_USER, USER_ID, event
from tests.unit.lib.fakes import Channel, Clock, Connection, message

CREATED = event("notification.created", user_id=USER_ID, number=1, unread=1)


@pytest.fixture
def streams(clock: Clock) -> Streams:
    return Streams(7, clock=clock.monotonic)


# --- places ---


def test_there_are_so_many_places_and_no_more(streams: Streams) -> None:
    before = module.REFUSED._value.get(), module.OPEN._value.get()
    places = [streams.enter(f"account-{number}") for number in range(7)]
    for _ in range(2):
        with pytest.raises(TooManyStreams) as refusal:
            streams.enter("another")
    assert refusal.value.details["retry_after"] > 0
    assert streams.count == 7
    assert (module.REFUSED._value.get(), module.OPEN._value.get()) == (before[0] + 2, before[1] + 7)
    assert places[3].leave()
    streams.enter("another")
    assert streams.count == 7
    for place in places:
        place.leave()
    assert streams.count == 1


def test_an_account_has_only_a_share_of_them(streams: Streams) -> None:
    places = [streams.enter(USER_ID) for _ in range(PER_ACCOUNT)]
    with pytest.raises(TooManyStreams):
        streams.enter(USER_ID)
    streams.enter(OTHER_USER)
    places[0].leave()
    streams.enter(USER_ID)


def test_a_place_is_given_back_once(streams: Streams) -> None:
    one, _other = streams.enter(USER_ID), streams.enter(USER_ID)
    assert one.leave()
    assert not one.leave()
    assert streams.count == 1


def test_after_the_end_nobody_comes_in(streams: Streams) -> None:
    place = streams.enter(USER_ID)
    streams.close()
    assert streams.closing
    assert place.wait(0)
    with pytest.raises(TooManyStreams):
        streams.enter(OTHER_USER)


def test_a_bell_that_rings_early_is_not_missed(streams: Streams) -> None:
    place = streams.enter(USER_ID)
    assert not place.wait(0)
    place.ring()
    place.ring()
    assert place.wait(0)
    assert not place.wait(0)


# --- events ---


def test_an_event_wakes_the_streams_of_its_account(streams: Streams, connection: Connection) -> None:
    own, other = [streams.enter(USER_ID), streams.enter(USER_ID)], streams.enter(OTHER_USER)
    streams.link_up(connection)  # type: ignore[arg-type]
    connection.deliver(message(CREATED))
    connection.deliver(message(event("notification.created", user_id="0198a3f2-6c1e-7d4a-9b57-2f4c8e6a1d99")))
    assert [place.wait(0) for place in (*own, other)] == [True, True, False]
    # Ids are written in several ways.
    connection.deliver(message(event("notification.created", user_id=USER_ID.upper())))
    assert own[0].wait(0)


def test_the_event_is_read_as_users_svc_makes_it(streams: Streams, connection: Connection) -> None:
    sample = json.loads((ROOT / "tests/contract/notification.created.json").read_text(encoding="utf-8"))
    place = streams.enter(sample["data"]["user_id"])
    streams.link_up(connection)  # type: ignore[arg-type]
    connection.deliver(message(sample))
    assert place.wait(0)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"a":' * 4000, json.dumps(CREATED).encode() + b" " * 70_000,
        event("notification.removed", user_id=USER_ID), event("notification.created"),
        event("notification.created", user_id=None), event("notification.created", user_id=7),
        event("notification.created", user_id="x"), {"type": "notification.created", "data": [USER_ID]},
    ],
)  # fmt: skip
def test_junk_wakes_nobody(streams: Streams, connection: Connection, body: Any) -> None:
    ignored, place = module.IGNORED._value.get(), streams.enter(USER_ID)
    streams.link_up(connection)  # type: ignore[arg-type]
    connection.deliver(message(body))
    assert not place.wait(0)
    assert module.IGNORED._value.get() == ignored + 1


def test_each_process_has_a_queue_that_goes_with_its_connection(streams: Streams, connection: Connection) -> None:
    streams.link_up(connection)  # type: ignore[arg-type]
    (((queue,), options),) = connection.named("queue_declare")
    assert queue.startswith("evt-users_svc-notification.created--gateway-")
    assert (options["exclusive"], options["auto_delete"], options["durable"]) == (True, True, False)
    assert [args for args, _ in connection.named("queue_bind")] == [(queue, "users_svc.events", "notification.created")]
    assert connection.named("basic_consume") == [((queue,), {"no_ack": True})]
    # The exchange is the issuer's to declare.
    assert not connection.named("exchange_declare")
    again = Connection()
    streams.link_up(again)  # type: ignore[arg-type]
    assert again.named("queue_declare")[0][0] != (queue,)


def test_the_gateways_broker_user_may_do_all_that(streams: Streams) -> None:
    broker = Broker("gateway")
    streams.link_up(broker)  # type: ignore[arg-type]
    assert "users_svc.events" in broker.names


def test_after_every_connect_all_look_once(streams: Streams, connection: Connection) -> None:
    place = streams.enter(USER_ID)
    for each in (connection, Connection()):
        streams.link_up(each)  # type: ignore[arg-type]
        # A call would fail now.
        assert not place.wait(0)
        streams.link_tick(each)  # type: ignore[arg-type]
        assert place.wait(0)
        streams.link_tick(each)  # type: ignore[arg-type]
        assert not place.wait(0)
        streams.link_blocked()
        streams.link_returned(None)
        streams.link_down()


@pytest.mark.parametrize("refusal", [NotFound("no exchange", (50, 20)), AccessRefused("no", (50, 20))])
def test_an_issuer_that_has_never_run_is_waited_for(
    streams: Streams, connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    """Without taking the connection down, on which all the calls are made."""
    bind, tries = Channel.queue_bind, []

    def refusing(channel: Channel, *args: Any, **kwargs: Any) -> None:
        tries.append(args)
        if len(tries) < 3:
            raise refusal
        bind(channel, *args, **kwargs)

    monkeypatch.setattr(Channel, "queue_bind", refusing)
    place = streams.enter(USER_ID)
    streams.link_up(connection)  # type: ignore[arg-type]
    seen = []
    for _ in range(6):
        streams.link_tick(connection)  # type: ignore[arg-type]
        seen.append((len(tries), place.wait(0)))
        clock.advance(0.5)
    assert seen == [(1, False), (1, False), (2, False), (2, False), (3, True), (3, False)]
    connection.deliver(message(CREATED))
    assert place.wait(0)


def test_without_a_connection_nothing_is_tried(streams: Streams, connection: Connection) -> None:
    streams.link_up(connection)  # type: ignore[arg-type]
    streams.link_down()
    streams.link_tick(connection)  # type: ignore[arg-type]
    assert len(connection.named("queue_declare")) == 1
