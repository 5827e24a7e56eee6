"""Events as rows: what a subscriber will get, and who is told that there is something to send."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

import pytest
import sqlalchemy as sa

from lib import context, outbox
from lib.aggregate import Aggregate
from lib.context import ANONYMOUS, CallContext

SUBJECT = UUID("0198c0de-0000-7000-8000-000000000001")


@dataclass(frozen=True)
class Renamed:
    type: ClassVar[str] = "thing.renamed"
    schema_version: ClassVar[int] = 3
    name: str


class Thing(Aggregate):
    def __init__(self):
        self.id = SUBJECT
        self.sequence = 41


@pytest.fixture
def thing():
    thing = Thing()
    thing.record(Renamed("a"))
    thing.record(Renamed("b"))
    return thing


@pytest.fixture
def call():
    with context.using(CallContext("corr", ANONYMOUS, access_token="secret", traceparent="00-t", locale="de")) as call:
        yield call


def test_the_envelope_has_these_members_and_no_others(thing, call):
    first, second = [row["envelope"] for row in outbox.rows_of(thing)]
    assert UUID(first.pop("id")).version == 7
    assert datetime.fromisoformat(first.pop("occurred_at")).tzinfo is UTC
    assert first == {
        "type": "thing.renamed",
        "schema_version": 3,
        "subject": str(SUBJECT),
        "sequence": 42,
        "correlation_id": "corr",
        "data": {"name": "a"},
    }
    assert (second["sequence"], second["data"]) == (43, {"name": "b"})


def test_a_row_holds_what_the_relay_needs_and_json_can_say_it(thing, call):
    rows = outbox.rows_of(thing)
    assert [row["event_id"] for row in rows] == [row["envelope"]["id"] for row in rows]
    assert {row["type"] for row in rows} == {"thing.renamed"}
    assert all(row["created_at"].tzinfo is not None for row in rows)
    json.dumps([(row["envelope"], row["headers"]) for row in rows])
    assert set(rows[0]) <= set(outbox.outbox_table(sa.MetaData()).columns.keys())


def test_of_the_calls_context_only_ids_travel_with_an_event(thing, call):
    row = outbox.rows_of(thing)[0]
    assert row["headers"] == {"correlation_id": "corr", "traceparent": "00-t"}
    assert "secret" not in json.dumps(row["envelope"])


def test_events_become_rows_once(thing, call):
    assert len(outbox.rows_of(thing)) == 2
    assert outbox.rows_of(thing) == []


def test_whoever_listens_is_told_until_the_listening_ends():
    heard = []
    first = outbox.on_commit(lambda: heard.append(1))
    second = outbox.on_commit(lambda: heard.append(2))
    outbox.announce()
    first()
    outbox.announce()
    second()
    outbox.announce()
    assert heard == [1, 2, 2]


def test_a_listener_may_stop_to_listen_while_it_is_told():
    heard = []

    def once():
        heard.append("once")
        forget()

    forget = outbox.on_commit(once)
    outbox.announce()
    outbox.announce()
    assert heard == ["once"]


def test_two_handlers_of_one_event_have_an_inbox_row_each():
    key = outbox.inbox_table(sa.MetaData()).primary_key
    assert [column.name for column in key] == ["handler", "event_id"]


def test_an_event_id_stands_in_the_outbox_once_and_sent_at_is_empty_at_first():
    table = outbox.outbox_table(sa.MetaData())
    assert table.c.event_id.unique
    assert table.c.sent_at.nullable
    assert not table.c.envelope.nullable
