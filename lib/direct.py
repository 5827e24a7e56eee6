"""Messages to PostgreSQL past SQLAlchemy's execution, each a transaction by itself.

For each statement SQLAlchemy makes an execution, a transaction and a description of the result. Where the statement is
known beforehand, that costs more than all of the driver's work. What it promises is kept: its pool, its types, its
errors (but a value that a type refuses comes out as the type's own), its events ``before_cursor_execute`` and
``after_cursor_execute`` (which get no execution context here).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import result_tuple
from sqlalchemy.sql.selectable import TextualSelect

T = TypeVar("T")
#: what gives rows
Query = sa.Select[Any] | sa.CompoundSelect[Any] | TextualSelect
#: queries whose text is kept; a service has far fewer
REMEMBERED = 500
_Process = Callable[[Any], Any]


def send(
    engine: sa.Engine,
    sql: str,
    values: Mapping[str, Any],
    receive: Callable[[Any], T],
    *,
    guard: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> T:
    """Send one message, and return what `receive` makes of the driver's cursor.

    :param sql: with ``%(name)s`` for each value
    :param guard: what is to be around the message, and not around getting a connection for it
    :raises sa.exc.DBAPIError: as by SQLAlchemy's own execution
    """
    pooled = _checked_out(engine)
    try:
        with guard():
            return _sent(engine, pooled, sql, values, receive)
    finally:
        # One that was invalidated has left the pool already.
        if pooled.is_valid:
            pooled.close()


def _checked_out(engine: sa.Engine) -> sa.PoolProxiedConnection:
    """Return a connection of the pool, without SQLAlchemy's own around it."""
    try:
        return engine.raw_connection()
    except engine.dialect.loaded_dbapi.Error as exc:
        sa.Connection._handle_dbapi_exception_noconnection(exc, engine.dialect, engine)


def _sent(
    engine: sa.Engine,
    pooled: sa.PoolProxiedConnection,
    sql: str,
    values: Mapping[str, Any],
    receive: Callable[[Any], T],
) -> T:
    driver: Any = pooled.dbapi_connection
    # Why not SQLAlchemy's isolation level: `lib.database.autocommit`.
    driver.autocommit = True
    cursor = driver.cursor()
    try:
        for listen in engine.dispatch.before_cursor_execute:
            sql, values = listen(sa.Connection(engine, pooled), cursor, sql, values, None, False)
        cursor.execute(sql, values)
        for listen in engine.dispatch.after_cursor_execute:
            listen(sa.Connection(engine, pooled), cursor, sql, values, None, False)
        return receive(cursor)
    except engine.dialect.loaded_dbapi.Error as exc:
        # What SQLAlchemy does when its own execution fails: it translates, knows a lost connection from a mistake, and
        # after a loss no connection from before is handed out.
        sa.Connection(engine, pooled)._handle_dbapi_exception(exc, sql, values, cursor, None)
    except BaseException as exc:
        # Somebody who was killed while waiting: the answer that still comes is not for whoever is next.
        if driver.closed or not isinstance(exc, Exception):
            pooled.invalidate(exc)
        raise
    finally:
        cursor.close()
        if not driver.closed:
            driver.autocommit = False


class Plan:
    """What is known of a query before it is asked, and how to ask it."""

    def __init__(self, query: Query, dialect: sa.Dialect) -> None:
        compiled = query.compile(dialect=dialect)
        #: Whether the text is always the same; that of an IN has as many parameters as it has values.
        self.is_fixed = not (
            compiled.post_compile_params or compiled.literal_execute_params or compiled.escaped_bind_names
        )
        self._sql = str(compiled)
        self._given = {name: bind.effective_value for name, bind in compiled.binds.items() if not bind.required}
        self._writers = [
            (name, process)
            for name, bind in compiled.binds.items()
            if (process := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        ]
        self._dialect = dialect
        self._columns = list(query.selected_columns)
        self._described: _Rows | None = None

    def first(self, engine: sa.Engine, parameters: Mapping[str, Any]) -> sa.Row[Any] | None:
        """Return the first row, or None."""

        def receive(cursor: Any) -> sa.Row[Any] | None:
            row = cursor.fetchone()
            return None if row is None else self._rows(cursor).row(row)

        return send(engine, self._sql, self._values(parameters), receive)

    def first_record(self, engine: sa.Engine, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the first row by column name, or None."""

        def receive(cursor: Any) -> dict[str, Any] | None:
            row = cursor.fetchone()
            return None if row is None else self._rows(cursor).record(row)

        return send(engine, self._sql, self._values(parameters), receive)

    def records(self, engine: sa.Engine, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return all rows by column name."""

        def receive(cursor: Any) -> list[dict[str, Any]]:
            rows = self._rows(cursor)
            return [rows.record(each) for each in cursor.fetchall()]

        return send(engine, self._sql, self._values(parameters), receive)

    def _values(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        values = {**self._given, **parameters}
        for name, process in self._writers:
            values[name] = process(values[name])
        return values

    def _rows(self, cursor: Any) -> _Rows:
        if self._described is None:
            self._described = _Rows(cursor.description, self._columns, self._dialect)
        return self._described


class _Rows:
    """How the rows of a query are read; the same each time.

    :param description: the driver's, of an answer
    """

    def __init__(
        self, description: Sequence[Any], columns: Sequence[sa.ColumnElement[Any]], dialect: sa.Dialect
    ) -> None:
        if len(description) != len(columns):
            raise sa.exc.InvalidRequestError("a text among the columns has no type: take literal_column()")
        self._names = [each.name for each in description]
        self._row: Callable[[Iterable[Any]], sa.Row[Any]] = result_tuple(self._names, [(each,) for each in columns])
        self._readers: list[tuple[int, _Process]] = [
            (at, process)
            for at, (column, described) in enumerate(zip(columns, description, strict=True))
            if (process := column.type.dialect_impl(dialect).result_processor(dialect, described.type_code)) is not None
        ]

    def row(self, values: Sequence[Any]) -> sa.Row[Any]:
        return self._row(self._read(values))

    def record(self, values: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(self._names, self._read(values), strict=True))

    def _read(self, values: Sequence[Any]) -> Sequence[Any]:
        if not self._readers:
            return values
        read = list(values)
        for at, process in self._readers:
            read[at] = process(read[at])
        return read


def plan(query: Query, parameters: Mapping[str, Any], dialect: sa.Dialect) -> Plan | None:
    """Return how to ask the query, or None if that is to be left to SQLAlchemy.

    :param query: one that has parameters is taken for one that is built once: only those are worth keeping
    """
    if not parameters:
        return None
    made = _made(query, dialect)
    return made if made.is_fixed else None


@lru_cache(REMEMBERED)
def _made(query: Query, dialect: sa.Dialect) -> Plan:
    return Plan(query, dialect)
