"""One transaction: the aggregates that it changes, their events, and what was seen before."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lib import outbox
from lib.aggregate import Aggregate
from lib.ids import utc_now
from lib.statements import insert_unless_there


def constraint_of(error: IntegrityError) -> str | None:
    """Return the name of the constraint that PostgreSQL says was broken."""
    diagnostics = getattr(error.orig, "diag", None)
    return getattr(diagnostics, "constraint_name", None)


class SqlUnitOfWork:
    """Base of each service's unit of work; a subclass adds its repositories in `__enter__`.

    Leaving the block without `commit` rolls everything back.

    :param sessions: makes a fresh SQLAlchemy session (``expire_on_commit=False``)
    """

    session: Session

    def __init__(self, sessions: Callable[[], Session]) -> None:
        self._sessions = sessions

    def __enter__(self) -> Self:
        self.session = self._sessions()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()

    def first_time(self, handler: str, event_id: str) -> bool:
        """Note that `handler` saw the event, in this transaction; False if it did before.

        A concurrent transaction with the same event waits here until this one ends, so one of them is first.
        """
        inserted = self.session.execute(_SEEN, {"handler": handler, "event_id": UUID(event_id), "seen_at": utc_now()})
        return bool(inserted.rowcount)  # type: ignore[attr-defined]  # a CursorResult, as of every INSERT

    def seen(self, handler: str, event_id: str) -> bool:
        """Tell whether `handler` saw the event, and note nothing: for work that cannot be part of a transaction."""
        inbox = _INBOX.c
        asked = sa.select(inbox.event_id).where(inbox.handler == handler, inbox.event_id == UUID(event_id))
        return self.session.scalar(asked) is not None

    def announce(self, aggregate: Aggregate) -> None:
        """Send the events of something that has no row of its own, on commit."""
        self.session.info.setdefault(_CHANGED, {})[aggregate] = None

    def commit(self) -> None:
        """Write the state and its events together, then wake the relay.

        Repositories translate the constraint violations that they know (`constraint_of`) in an override.
        """
        # State before events: the row locks of these writes put the events of one subject in order.
        self.session.flush()
        rows = [row for each in self.session.info.pop(_CHANGED, ()) for row in outbox.rows_of(each)]
        if rows:
            self.session.execute(sa.insert(_OUTBOX), rows)
        self.session.commit()
        if rows:
            outbox.announce()


_OUTBOX = outbox.outbox_table(sa.MetaData())
_INBOX = outbox.inbox_table(sa.MetaData())
_SEEN = insert_unless_there(_INBOX)
_CHANGED = "changed aggregates"


@sa.event.listens_for(Session, "before_flush")
def _hold_changed(session: Session, _context: Any, _instances: Any) -> None:
    """Keep what is about to be written until the commit has asked it for its events.

    After a flush, also an automatic one before a query, the session holds its objects only weakly: one that nobody
    else holds would be gone, and its events with it. A dictionary keeps the order of the changes.
    """
    changed = {each: None for each in (*session.new, *session.dirty, *session.deleted) if isinstance(each, Aggregate)}
    if changed:
        session.info.setdefault(_CHANGED, {}).update(changed)
