"""What the gateway knows of revoked sessions from events: which, and for how long."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from amqp.exceptions import AccessRefused, NotFound

from gateway import revocations as module
from gateway.revocations import Revocations
from lib.ids import milliseconds_of, new_id, new_id_after, rfc3339, utc_now
from tests.architecture.test_broker_permissions import Broker
from tests.unit.gateway.revoking import (
    GOOD,
    OTHER_SESSION,
    OTHER_USER,
    SESSION_ID,
    USER_ID,
    Source,
    event,
    refused,
)
from tests.unit.lib.fakes import Channel, Clock, Connection, message

# --- the queue ---


def test_each_process_has_a_queue_that_goes_with_its_connection(
    revocations: Revocations, connection: Connection
) -> None:
    revocations.link_up(connection)
    (((queue,), options),) = connection.named("queue_declare")
    assert queue.startswith("evt-auth_svc-session.revoked--gateway-")
    assert options["exclusive"]
    assert options["auto_delete"]
    assert not options["durable"]
    assert [args for args, _ in connection.named("queue_bind")] == [
        (queue, "auth_svc.events", "session.revoked"),
        (queue, "auth_svc.events", "user.disabled"),
    ]
    assert connection.named("basic_consume") == [((queue,), {"no_ack": True})]
    # The exchange is the issuer's to declare.
    assert not connection.named("exchange_declare")
    again = Connection()
    revocations.link_up(again)
    assert again.named("queue_declare")[0][0] != (queue,)


def test_the_gateways_broker_user_may_do_all_that(revocations: Revocations) -> None:
    broker = Broker("gateway")
    revocations.link_up(broker)  # type: ignore[arg-type]
    assert "auth_svc.events" in broker.names
    assert len(broker.names) == 2


@pytest.mark.parametrize("refusal", [NotFound("no exchange", (50, 20)), AccessRefused("no", (50, 20))])
def test_an_issuer_that_has_never_run_is_waited_for(
    revocations: Revocations, source: Source, clock: Clock, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    """Without taking the connection down, on which all the other calls are made."""
    connection = Connection()
    bind, tries = Channel.queue_bind, []

    def refusing(channel: Channel, *args: Any, **kwargs: Any) -> None:
        tries.append(args)
        if len(tries) < 3:
            raise refusal
        bind(channel, *args, **kwargs)

    monkeypatch.setattr(Channel, "queue_bind", refusing)
    revocations.link_up(connection)
    revocations.link_tick(connection)  # type: ignore[arg-type]
    assert len(tries) == 1
    assert not revocations.wanted.is_set()
    # A snapshot that is older than the queue would not do.
    assert revocations.load()
    assert not revocations.ready
    assert not source.asked
    for _ in range(2):
        clock.advance(1)
        revocations.link_tick(connection)  # type: ignore[arg-type]
    assert len(tries) == 4
    assert revocations.wanted.is_set()
    assert len({args[0] for args, _ in connection.named("queue_declare")}) == 1
    assert revocations.load()
    assert revocations.ready


# --- events ---


def test_a_revoked_session_is_refused_and_no_other(revocations: Revocations, tell: Any) -> None:
    assert not refused(revocations)
    tell(event(session_id=SESSION_ID, user_id=USER_ID, reason="logout"))
    assert refused(revocations)
    assert refused(revocations, OTHER_USER, SESSION_ID)
    assert not refused(revocations, USER_ID, OTHER_SESSION)


def test_all_sessions_up_to_a_moment_are_refused_and_later_ones_are_not(revocations: Revocations, tell: Any) -> None:
    before = new_id()
    moment = datetime.fromtimestamp(milliseconds_of(before) / 1000, UTC)
    after = new_id_after(moment)
    tell(event(user_id=USER_ID, not_before=rfc3339(moment), reason="logout"))
    assert refused(revocations, USER_ID, str(before))
    assert not refused(revocations, USER_ID, str(after))
    assert not refused(revocations, OTHER_USER, str(before))


def test_a_disabled_account_is_refused_from_the_event_on(revocations: Revocations, tell: Any) -> None:
    before = new_id()
    moment = datetime.fromtimestamp(milliseconds_of(before) / 1000, UTC)
    tell(event("user.disabled", rfc3339(moment), id=USER_ID, reason="fraud"))
    assert refused(revocations, USER_ID, str(before))
    assert not refused(revocations, USER_ID, str(new_id_after(moment)))


@pytest.mark.parametrize("zone", ["Z", "+00:00", "+02:00", "-11:30"])
def test_a_moment_is_the_same_in_every_zone(revocations: Revocations, tell: Any, zone: str) -> None:
    session = new_id()
    moment = datetime.fromtimestamp(milliseconds_of(session) / 1000, UTC)
    if zone[0] in "+-":
        hours, minutes = int(zone[:3]), int(zone[0] + zone[4:])
        local = (moment + timedelta(hours=hours, minutes=minutes)).replace(tzinfo=None)
        text = local.isoformat(timespec="milliseconds") + zone
    else:
        text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    tell(event(user_id=USER_ID, not_before=text, reason="logout"))
    assert refused(revocations, USER_ID, str(session))
    assert not refused(revocations, USER_ID, str(new_id_after(moment)))


def test_of_two_moments_the_later_one_counts_whatever_their_order(revocations: Revocations, tell: Any) -> None:
    now = utc_now()
    session = str(new_id_after(now))
    later = datetime.fromtimestamp(milliseconds_of(UUID(session)) / 1000, UTC)
    tell(event(user_id=USER_ID, not_before=rfc3339(later), reason="x"))
    tell(event(user_id=USER_ID, not_before=rfc3339(now - timedelta(days=1)), reason="x"))
    assert refused(revocations, USER_ID, session)


@pytest.mark.parametrize("session", ["no id", "", "0198a3f2-6c1e-4d4a-9b57-2f4c8e6a1d03"])
def test_a_session_without_a_time_falls_with_its_account(revocations: Revocations, tell: Any, session: str) -> None:
    assert not refused(revocations, USER_ID, session)
    tell(event(user_id=USER_ID, not_before=rfc3339(utc_now()), reason="x"))
    assert refused(revocations, USER_ID, session)


def test_ids_are_compared_in_one_spelling(revocations: Revocations, tell: Any) -> None:
    tell(event(session_id=SESSION_ID.upper(), user_id=USER_ID, reason="x"))
    assert refused(revocations)


JUNK: dict[str, Any] = {
    "nothing": b"",
    "no JSON": b"{",
    "no UTF-8": b'{"type": "\xff"}',
    "a list": b"[]",
    "a text": b'"session.revoked"',
    "null": b"null",
    "without end": b'{"a":' * 5000,
    "too long": json.dumps({**GOOD, "x": "y" * 70_000}).encode(),
    "no type": json.dumps({"data": GOOD["data"]}).encode(),
    "another type": json.dumps(event("user.enabled", id=USER_ID)).encode(),
    "a type in a list": json.dumps({**GOOD, "type": ["session.revoked"]}).encode(),
    "no data": json.dumps(event()).encode(),
    "data in a list": json.dumps({**GOOD, "data": [SESSION_ID]}).encode(),
    "a session that is no id": json.dumps(event(session_id="*", user_id=USER_ID)).encode(),
    "a session that is a number": json.dumps(event(session_id=5, user_id=USER_ID)).encode(),
    "a session in a list": json.dumps(event(session_id=[SESSION_ID])).encode(),
    "no moment": json.dumps(event(user_id=USER_ID)).encode(),
    "a moment that is none": json.dumps(event(user_id=USER_ID, not_before="soon")).encode(),
    "a moment as a number": json.dumps(event(user_id=USER_ID, not_before=1_800_000_000_000)).encode(),
    "a moment without zone": json.dumps(event(user_id=USER_ID, not_before="2026-01-31T12:00:00")).encode(),
    "disabled: nobody": json.dumps(event("user.disabled")).encode(),
    "disabled: no id": json.dumps(event("user.disabled", id="*")).encode(),
    "disabled: never": json.dumps({**event("user.disabled", id=USER_ID), "occurred_at": None}).encode(),
}


@pytest.mark.parametrize("body", JUNK.values(), ids=JUNK.keys())
def test_junk_is_ignored_and_the_next_event_is_not(
    revocations: Revocations, connection: Connection, tell: Any, body: bytes
) -> None:
    ignored = module.IGNORED._value.get()  # type: ignore[attr-defined]
    received = message({})
    received.body = body
    connection.deliver(received)
    assert revocations.held == 0
    assert module.IGNORED._value.get() == ignored + 1  # type: ignore[attr-defined]
    tell(GOOD)
    assert refused(revocations)
