"""One transaction: the aggregates that it changes, their events, and what was seen before."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from lib import context, direct, outbox
from lib.aggregate import Aggregate
from lib.database import Sessions, autocommit, saving
from lib.errors import Overtaken, SeenBefore
from lib.ids import utc_now
from lib.objects import can_be_written, new_and_changed, writes_of
from lib.statements import insert_unless_there
from lib.writes import AT_MOST, Form, Write, inserting, is_overtaken, write_all, write_at_once


def constraint_of(error: IntegrityError) -> str | None:
    """Return the name of the constraint that PostgreSQL says was broken."""
    diagnostics = getattr(error.orig, "diag", None)
    return getattr(diagnostics, "constraint_name", None)


class SqlUnitOfWork:
    """Base of each service's unit of work; a subclass adds its repositories in `__enter__`.

    Leaving the block without `commit` rolls everything back. A block commits once.

    A transaction begins with the first statement that runs in the session: a lock, a read of several rows. One that
    has not begun by the time of the commit need not begin: then all that there is to write, the events too, goes to
    PostgreSQL in one message, which is a transaction by itself (`lib.writes`). Objects that were read without a lock
    are guarded by their version there, and by SQLAlchemy (``version_id_col``) otherwise.

    :param sessions: makes a fresh SQLAlchemy session (``expire_on_commit=False``)
    """

    def __init__(self, sessions: Sessions) -> None:
        #: What the parts of one unit of work remember until it ends, each under a key of its own.
        self.memory: dict[str, Any] = {}
        self._sessions = sessions
        self._session: Session | None = None
        self._kept: dict[int, object] = {}
        self._changed: dict[Aggregate, None] = {}
        self._first_of_all: list[Write] = []
        self._later: list[Write] = []
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            self._session.close()

    @property
    def session(self) -> Session:
        """SQLAlchemy's session, made for whoever asks for it: a block that only keeps objects does without."""
        if self._session is None:
            self._session = self._sessions()
            self._session.info[_CHANGED] = self._changed
            self._session.add_all(self._kept.values())
            self._kept.clear()
        return self._session

    def keep(self, entity: object) -> None:
        """Save a new object on commit, or what will have become of one that was read without the session."""
        if self._session is None:
            self._kept[id(entity)] = entity
        else:
            self._session.add(entity)

    def is_adding(self, entity_id: UUID) -> bool:
        """Tell whether a new object with this id is to be saved."""
        new = new_and_changed(self._kept.values())[0] if self._session is None else self._session.new
        return any(getattr(each, "id", None) == entity_id for each in new)

    def first(self, statement: sa.Select[Any], **parameters: Any) -> sa.Row[Any] | None:
        """Return the first row of a SELECT of columns, or None: as the transaction sees it if it has begun.

        Does not begin one. Not for what the same block has added.
        """
        if self.has_begun:
            return self.session.execute(statement, parameters).first()
        return self._first(statement, parameters)

    def first_of_all(self, form: Form, **values: Any) -> None:
        """Write this on commit, before the objects: a condition that the rest depends on."""
        self._first_of_all.append(Write(form, values))

    def later(self, form: Form, **values: Any) -> None:
        """Write this on commit, after the objects and before the events."""
        self._later.append(Write(form, values))

    def at_once(self, form: Form, **values: Any) -> Any:
        """Write this now, whatever becomes of the rest, and return the first value that it returns, or None.

        Before the transaction has begun: what was written then would be undone with the rest.
        """
        if self.has_begun:
            raise RuntimeError("the transaction has begun: nothing can be written beside it")
        return write_at_once(self._sessions.engine, [Write(form, values)], guard=saving)

    def first_at_once(self, statement: sa.sql.selectable.TextualSelect, **parameters: Any) -> sa.Row[Any] | None:
        """Return the first row of a SELECT that writes, too (``WITH … AS (INSERT …)``): as `at_once` and as `first`.

        For what may have been written without harm although its answer was lost: that is told as of a read.
        """
        if self.has_begun:
            raise RuntimeError("the transaction has begun: nothing can be written beside it")
        return self._first(statement, parameters)

    def first_time(self, handler: str, event_id: str) -> bool:
        """Note that `handler` saw the event, in this transaction; False if it did before.

        A concurrent transaction with the same event waits here until this one ends, so one of them is first.
        """
        inserted = self.session.execute(_SEEN, {"handler": handler, "event_id": UUID(event_id), "seen_at": utc_now()})
        return bool(inserted.rowcount)  # type: ignore[attr-defined]  # a CursorResult, as of every INSERT

    def note(self, handler: str, event_id: str) -> None:
        """Note on commit that `handler` saw the event; if it did before, `commit` raises `SeenBefore`, saving nothing.

        For a handler that locks nothing: its commit is one round trip then.
        """
        self.later(_NOTE, handler=handler, event_id=UUID(event_id), seen_at=utc_now())

    def seen(self, handler: str, event_id: str) -> bool:
        """Tell whether `handler` saw the event, and note nothing: for work that cannot be part of a transaction."""
        return self.first(_SEEN_BEFORE, handler=handler, event_id=UUID(event_id)) is not None

    def announce(self, aggregate: Aggregate) -> None:
        """Send the events of something that has no row of its own, on commit."""
        self._changed[aggregate] = None

    def commit(self) -> None:
        """Write the state and its events together, then wake the relay.

        Repositories translate the constraint violations that they know (`constraint_of`) in an override.

        :raises Overtaken: an object that was read without a lock has changed since, or what was taken for new is not
        :raises SeenBefore: the event of `note` was dealt with before
        """
        if self._is_over:
            raise RuntimeError("this unit of work was committed before")
        self._is_over = True
        try:
            events = self._save()
        except StaleDataError as exc:
            raise Overtaken from exc
        except IntegrityError as exc:
            if constraint_of(exc) == outbox.INBOX_KEY:
                raise SeenBefore from exc
            raise
        except sa.exc.DBAPIError as exc:
            if is_overtaken(exc):
                raise Overtaken from exc
            raise
        if events:
            outbox.announce()

    @property
    def has_begun(self) -> bool:
        """Whether the transaction has begun: something was locked, or read as it sees it."""
        return self._session is not None and _BEGUN in self._session.info

    def _first(self, statement: direct.Query, parameters: dict[str, Any]) -> sa.Row[Any] | None:
        engine = self._sessions.engine
        plan = direct.plan(statement, parameters, engine.dialect)
        if plan is not None:
            return plan.first(engine, parameters)
        with autocommit(engine) as connection:
            return connection.execute(statement, parameters).first()

    def _save(self) -> bool:
        """Return whether there were events."""
        objects = self._objects()
        others = len(self._first_of_all) + len(self._later) + sum(each.number_of_events for each in self._changed)
        if objects is None or len(objects) + others > AT_MOST:
            session = self.session
            write_all(session.connection(), self._first_of_all)
            # State before events: the row locks of these writes put the events of one subject in order.
            session.flush()
            events = self._events()
            write_all(session.connection(), [*self._later, *events])
            session.commit()
            return bool(events)
        events = self._events()
        if writes := [*self._first_of_all, *objects, *self._later, *events]:
            if context.in_background():
                self._sessions.group.commit(writes)
            else:
                write_at_once(self._sessions.engine, writes, guard=saving)
        # Nobody is to believe that later changes of them would be saved.
        self._kept.clear()
        if self._session is not None:
            self._session.expunge_all()
        return bool(events)

    def _objects(self) -> list[Write] | None:
        """Note whose events there may be, and return the objects as writes; None if they are the session's work."""
        if self._session is None:
            new, changed = new_and_changed(self._kept.values())
            self._changed.update((each, None) for each in (*new, *changed) if isinstance(each, Aggregate))
            return writes_of(new, changed) if can_be_written(changed) else None
        session = self._session
        _hold_changed(session, None, None)
        if self.has_begun or session.deleted or not can_be_written(session.dirty):
            return None
        return writes_of(session.new, session.dirty)

    def _events(self) -> list[Write]:
        changed = list(self._changed)
        self._changed.clear()
        return [Write(_EVENT, row) for each in changed for row in outbox.rows_of(each)]


_OUTBOX = outbox.outbox_table(sa.MetaData())
_INBOX = outbox.inbox_table(sa.MetaData())
_EVENT = inserting(_OUTBOX, leave_out=("position", "sent_at"))
_NOTE = inserting(_INBOX)
_SEEN = insert_unless_there(_INBOX)
_SEEN_BEFORE = sa.select(_INBOX.c.event_id).where(
    _INBOX.c.handler == sa.bindparam("handler"), _INBOX.c.event_id == sa.bindparam("event_id")
)
_CHANGED = "changed aggregates"
_BEGUN = "a transaction has begun"


@sa.event.listens_for(Session, "after_begin")
def _note_begin(session: Session, _transaction: Any, _connection: Any) -> None:
    session.info[_BEGUN] = True


@sa.event.listens_for(Session, "before_flush")
def _hold_changed(session: Session, _context: Any, _instances: Any) -> None:
    """Keep what is about to be written until the commit has asked it for its events.

    After a flush, also an automatic one before a query, the session holds its objects only weakly: one that nobody
    else holds would be gone, and its events with it. A dictionary keeps the order of the changes.
    """
    changed = {each: None for each in (*session.new, *session.dirty, *session.deleted) if isinstance(each, Aggregate)}
    if changed:
        session.info.setdefault(_CHANGED, {}).update(changed)
