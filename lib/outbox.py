"""Events that are rows first: the transactional outbox's table and its writing side.

A row is written in the transaction of the state change that it tells of (`lib.uow`), and published afterwards by
`lib.relay`. A rolled-back change leaves no row; a committed one is published even if the process dies in between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from lib import context
from lib.aggregate import Aggregate, DomainEvent, data_of
from lib.ids import new_id, rfc3339, utc_now

OUTBOX, INBOX = "outbox", "inbox"
#: the constraint that a second note of one event breaks; PostgreSQL's own name for a primary key
INBOX_KEY = f"{INBOX}_pkey"

_listeners: list[Callable[[], None]] = []


def outbox_table(metadata: sa.MetaData) -> sa.Table:
    """Define the outbox in a service's metadata. ``sent_at`` is null until the broker has confirmed the event."""
    table = sa.Table(
        OUTBOX,
        metadata,
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("event_id", pg.UUID(as_uuid=True), nullable=False, unique=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("envelope", pg.JSONB, nullable=False),
        sa.Column("headers", pg.JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
    )
    sa.Index("outbox_unsent", table.c.position, postgresql_where=table.c.sent_at.is_(None))
    sa.Index("outbox_sent_at", table.c.sent_at, postgresql_where=table.c.sent_at.is_not(None))
    return table


def inbox_table(metadata: sa.MetaData) -> sa.Table:
    """Define the inbox in a service's metadata: which handler has seen which event."""
    return sa.Table(
        INBOX,
        metadata,
        sa.Column("handler", sa.Text, primary_key=True),
        sa.Column("event_id", pg.UUID(as_uuid=True), primary_key=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False, index=True),
    )


def envelope(subject: str, sequence: int, event: DomainEvent, correlation_id: str) -> dict[str, Any]:
    """Return the message that subscribers get for `event`: primitives only."""
    return {
        "id": str(new_id()),
        "type": event.type,
        "schema_version": event.schema_version,
        "occurred_at": rfc3339(utc_now()),
        "subject": subject,
        "sequence": sequence,
        "correlation_id": correlation_id,
        "data": data_of(event),
    }


def rows_of(aggregate: Aggregate) -> list[dict[str, Any]]:
    """Pull the aggregate's events and return an outbox row for each."""
    call = context.current()
    headers = {
        name: value
        for name, value in ((context.CORRELATION_ID, call.correlation_id), (context.TRACEPARENT, call.traceparent))
        if value is not None
    }
    rows = []
    for sequence, event in aggregate.pull_events():
        body = envelope(str(aggregate.id), sequence, event, call.correlation_id)
        rows.append(
            {
                "event_id": body["id"],
                "type": event.type,
                "envelope": body,
                "headers": headers,
                "created_at": utc_now(),
            }
        )
    return rows


def on_commit(listener: Callable[[], None]) -> Callable[[], None]:
    """Have `listener` called in this process after every commit that wrote an event; return its undoing."""
    _listeners.append(listener)

    def remove() -> None:
        _listeners.remove(listener)

    return remove


def announce() -> None:
    """Tell the listeners that there is something to send."""
    for listener in list(_listeners):
        listener()
