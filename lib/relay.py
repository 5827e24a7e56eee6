"""The outbox's publishing side: at least once, woken at once after a commit.

Rows are taken with ``FOR UPDATE SKIP LOCKED``, so any number of instances share the work, and are marked sent only when
the broker has confirmed them: killed at any instant, the relay sends an event again rather than not at all. Several
relays and retries may reorder; subscribers look at ``sequence``, and at their inbox for what they have seen.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from nameko.constants import HEADER_PREFIX
from nameko.extensions import Extension
from psycopg2 import extensions
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from lib import faultpoint, metrics, outbox
from lib.broker import Broker
from lib.confirmation import Confirmation
from lib.database import Sessions, autocommit
from lib.errors import Unavailable
from lib.ids import utc_now
from lib.link import Link
from lib.topology import event_exchange

log = logging.getLogger(__name__)

POLL_EVERY = 1.0
#: A commit is followed by its batch at once, but batches begin at least this far apart: under load, several commits
#: share one, whose cost hardly depends on their number.
BATCH_EVERY = 0.2
BATCH = 200
CONFIRM_WITHIN = 5.0
PERSISTENT = 2
KEEP_SENT = timedelta(days=7)
KEEP_SEEN = timedelta(days=60)
PURGE_EVERY = 600.0
PURGE_BATCH = 5000

_metadata = sa.MetaData()
_OUTBOX = outbox.outbox_table(_metadata)
_INBOX = outbox.inbox_table(_metadata)
# Several times a second under load, so in as few round trips as can be: each is one message together with the beginning
# or the end of the transaction. The only values in the texts are constants of ours.
_TAKE = (
    "BEGIN; SELECT position, type, envelope->>'id' AS id, envelope::text AS body, headers"  # noqa: S608
    f" FROM {outbox.OUTBOX} WHERE sent_at IS NULL ORDER BY position LIMIT {BATCH} FOR UPDATE SKIP LOCKED"
)
_MARK = f"UPDATE {outbox.OUTBOX} SET sent_at = %(now)s WHERE position = ANY(%(positions)s); COMMIT"  # noqa: S608
_LEAVE = "ROLLBACK"
# The first of the partial index, whatever the length of the backlog.
_OLDEST = sa.select(_OUTBOX.c.created_at).where(_OUTBOX.c.sent_at.is_(None)).order_by(_OUTBOX.c.position).limit(1)


def send_batch(sessions: Sessions, link: Link, service: str) -> int:
    """Publish the oldest events that are not sent, and return how many the broker has confirmed.

    :raises Unavailable: the broker is away; rows that are confirmed stay marked
    """
    exchange = event_exchange(service)
    with _ending_its_transaction(sessions.engine) as connection:
        rows = connection.exec_driver_sql(_TAKE).all()
        if not rows:
            connection.exec_driver_sql(_LEAVE)
            return 0
        faultpoint.reach("relay.before_publish")
        # All on their way before the first answer is waited for.
        waiting: list[tuple[int, Confirmation]] = []
        failure: Unavailable | None = None
        for row in rows:
            try:
                waiting.append((row.position, _publish(link, exchange, row)))
            except Unavailable as exc:
                failure = exc
                break
            except Exception:
                # The others are not to wait for it; the gauge of the oldest event shows that there is something.
                log.exception("outbox: row %s cannot be sent", row.position)
        sent = []
        deadline = time.monotonic() + CONFIRM_WITHIN
        for position, confirmation in waiting:
            try:
                confirmation.wait(deadline - time.monotonic())
            except Unavailable as exc:
                failure = exc
            else:
                sent.append(position)
        faultpoint.reach("relay.after_publish")
        if not sent:
            connection.exec_driver_sql(_LEAVE)
        else:
            # Its answer may be lost with the connection: what was not marked is sent again.
            connection.exec_driver_sql(_MARK, {"now": utc_now(), "positions": sent})
            metrics.OUTBOX_SENT.labels(service).inc(len(sent))
        if failure is not None:
            raise failure
        return len(sent)


@contextmanager
def _ending_its_transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Give a connection whose transaction begins and ends in the messages of the block.

    psycopg2 does not know of that transaction, so it would not roll it back, and the pool would hand it on with its
    locks. So a connection on which it is still open at the end, however the block ends, is closed. That is no round
    trip, which somebody who is being killed could not wait for.
    """
    with autocommit(engine) as connection:
        driver: Any = connection.connection.dbapi_connection
        try:
            yield connection
        finally:
            if driver.info.transaction_status != extensions.TRANSACTION_STATUS_IDLE:
                connection.invalidate()


def _publish(link: Link, exchange: str, row: Any) -> Confirmation:
    # As PostgreSQL writes it: JSON that nobody has to take apart and put together again.
    return link.publish_confirmed(
        exchange=exchange,
        routing_key=row.type,
        body=row.body,
        properties={
            "content_type": "application/json",
            "content_encoding": "utf-8",
            "delivery_mode": PERSISTENT,
            "message_id": row.id,
            "application_headers": {f"{HEADER_PREFIX}.{name}": value for name, value in row.headers.items()},
        },
    )


def oldest_unsent(session: Session) -> float:
    """Return the age in seconds of the oldest event that is not sent, 0 if there is none."""
    created = session.scalar(_OLDEST)
    return 0.0 if created is None else _age(created)


def _age(moment: datetime) -> float:
    return max(0.0, (utc_now() - moment).total_seconds())


def measure_lag(sessions: Sessions, service: str) -> bool:
    """Keep the gauge of the oldest unsent event, and tell whether there is one."""
    oldest = sessions.first(_OLDEST)
    metrics.OUTBOX_LAG.labels(service).set(0.0 if oldest is None else _age(oldest["created_at"]))
    return oldest is not None


def resend(sessions: Callable[[], Session], since: datetime) -> int:
    """Mark the events that were sent at or after `since` as not sent, and return how many; a relay does the rest."""
    with sessions() as session:
        result = session.execute(sa.update(_OUTBOX).where(_OUTBOX.c.sent_at >= since).values(sent_at=None))
        session.commit()
        return int(result.rowcount)  # type: ignore[attr-defined]  # a CursorResult, as of every UPDATE


def purge(sessions: Callable[[], Session]) -> int:
    """Delete what nobody needs any more: events sent a week ago, inbox rows far older than any redelivery."""
    deleted = 0
    for table, column, keep in ((_OUTBOX, _OUTBOX.c.sent_at, KEEP_SENT), (_INBOX, _INBOX.c.seen_at, KEEP_SEEN)):
        with sessions() as session:
            old = sa.select(*table.primary_key.columns).where(column < utc_now() - keep).limit(PURGE_BATCH)
            key = sa.tuple_(*table.primary_key.columns)
            result = session.execute(sa.delete(table).where(key.in_(old)))
            session.commit()
            deleted += result.rowcount  # type: ignore[attr-defined]  # a CursorResult, as of every DELETE
    return deleted


class Relay(Extension):
    """Runs beside the workers of a service; a part of `lib.provide.Provide`."""

    broker = Broker()

    def __init__(self) -> None:
        self._wake = threading.Event()
        self._stopping = False
        self._sessions: Sessions | None = None
        self._thread: Any = None
        self._forget: Callable[[], None] | None = None

    def begin(self, sessions: Sessions) -> None:
        """Start to publish what is in the database that `sessions` opens."""
        self._sessions = sessions
        self._forget = outbox.on_commit(self._wake.set)
        self._thread = self.container.spawn_managed_thread(self._run, identifier="outbox relay")

    def finish(self) -> None:
        """Send what the last workers have written, then end."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.wait()
        if self._forget is not None:
            self._forget()

    def _run(self) -> None:
        assert self._sessions is not None  # noqa: S101  (for the type checker)
        service = self.container.service_name
        measure_at, purge_at = 0.0, time.monotonic() + PURGE_EVERY
        while True:
            stopping = self._stopping
            self._wake.clear()
            began, sent, waiting = time.monotonic(), 0, True
            try:
                if began >= measure_at:
                    waiting = measure_lag(self._sessions, service)
                    measure_at = began + POLL_EVERY
                # What is committed from here on wakes the relay anew. So without work, it asks once and not twice.
                if waiting:
                    sent = send_batch(self._sessions, self.broker.link, service)
                if time.monotonic() >= purge_at:
                    # With a full batch there is more: go on, but not at the cost of what is to be sent.
                    full = purge(self._sessions) >= PURGE_BATCH
                    purge_at = time.monotonic() + (POLL_EVERY if full else PURGE_EVERY)
            except Unavailable:
                # The link says why in the log; the rows wait.
                time.sleep(0.1)
            except SQLAlchemyError as exc:
                log.warning("outbox: no database (%s)", type(exc).__name__)
                time.sleep(0.5)
            if stopping and not sent:
                return
            # Not less than the whole batch: some of its rows may be such that they cannot be sent.
            if not stopping and sent <= BATCH // 2:
                self._wake.wait(POLL_EVERY)
                # A look that found nothing was no batch.
                if sent and not self._stopping:
                    time.sleep(max(0.0, began + BATCH_EVERY - time.monotonic()))
