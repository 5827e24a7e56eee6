"""Several writes in one round trip.

Each statement of its own costs a wait for PostgreSQL, twice as many switches between programs, and SQLAlchemy's work
around it; that is most of what a small transaction costs. PostgreSQL takes several statements in one message (the
simple query protocol, which psycopg2 speaks) and runs them one after the other. Where no transaction is open, they are
one: the first that fails undoes all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from lib import direct

#: writes in one message: what many of them save is little, and each combination of forms is a text that is kept
AT_MOST = 16
#: combinations whose text is kept, each place in a message of several counted; a service has far fewer
REMEMBERED = 1000
_PARAMETER = re.compile(r"(?<!:):(\w+)")


class Form:
    """The text of a write, with ``:name`` for each value. Made once; two are the same only if they are one.

    :param types: of the values, where Python's own does not tell
    """

    def __init__(self, sql: str, types: Mapping[str, sa.types.TypeEngine[Any]]) -> None:
        self.sql = sql
        self.types = types


class Write(NamedTuple):
    """A form and what is written."""

    form: Form
    values: Mapping[str, Any]


def inserting(
    table: sa.FromClause,
    *,
    leave_out: Iterable[str] = (),
    in_place_of: Sequence[str] = (),
    unless_there: Sequence[str] = (),
) -> Form:
    """Return the form of an INSERT of one row.

    :param leave_out: columns that PostgreSQL fills in
    :param in_place_of: a unique set of columns: a row that has the same there is overwritten
    :param unless_there: a unique set of columns: a row that has the same there stays as it is
    """
    columns = [column for column in table.columns if column.name not in set(leave_out)]
    names = [column.name for column in columns]
    # Only names of ours, here and below.
    sql = f"INSERT INTO {table.description} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"  # noqa: S608
    if in_place_of:
        others = ", ".join(f"{name} = excluded.{name}" for name in names if name not in in_place_of)
        sql += f" ON CONFLICT ({', '.join(in_place_of)}) DO UPDATE SET {others}"
    if unless_there:
        sql += f" ON CONFLICT ({', '.join(unless_there)}) DO NOTHING"
    return Form(sql, {column.name: column.type for column in columns})


def updating(table: sa.FromClause, changed: Iterable[str], *, found_by: Sequence[str]) -> Form:
    """Return the form of an UPDATE that fails (`is_overtaken`) unless the row is there in the version that was read.

    :param changed: columns that get new values
    :param found_by: columns that say which row and in which version; their parameters are called ``old_<name>``
    """
    names = list(changed)
    values = ", ".join(f"{name} = :{name}" for name in names)
    row = " AND ".join(f"{name} = :old_{name}" for name in found_by)
    types = {
        **{name: table.columns[name].type for name in names},
        **{f"old_{name}": table.columns[name].type for name in found_by},
    }
    return or_fail(Form(f"UPDATE {table.description} SET {values} WHERE {row}", types))  # noqa: S608


def or_fail(form: Form) -> Form:
    """Return the form of the same write that fails (`is_overtaken`) where it writes no row."""
    # A statement cannot say "or fail". Divided by the number of rows, it does.
    return Form(f"WITH written AS ({form.sql} RETURNING 1) SELECT 1 / count(*) FROM written", form.types)  # noqa: S608


def holding(table: sa.FromClause, *, found_by: Sequence[str]) -> Form:
    """Return the form that fails (`is_overtaken`) unless the row is there in the version that was read.

    Who is changing the row is waited for first, and nobody changes it until the message is done.

    :param found_by: columns that say which row and in which version
    """
    row = " AND ".join(f"{name} = :{name}" for name in found_by)
    return Form(
        f"SELECT 1 / count(*) FROM (SELECT 1 FROM {table.description} WHERE {row} FOR NO KEY UPDATE) AS held",  # noqa: S608
        {name: table.columns[name].type for name in found_by},
    )


def refusing(table: sa.FromClause, *, found_by: Sequence[str], other_than: Sequence[str] = ()) -> Form:
    """Return the form that fails (`is_overtaken`) if a row is there that has these values.

    It sees what was committed while the writes before it waited.

    :param other_than: columns that say which row does not count
    """
    row = " AND ".join([*(f"{name} = :{name}" for name in found_by), *(f"{name} <> :{name}" for name in other_than)])
    return Form(
        f"SELECT 1 / CAST(NOT EXISTS (SELECT FROM {table.description} WHERE {row}) AS integer)",  # noqa: S608
        {name: table.columns[name].type for name in (*found_by, *other_than)},
    )


def is_overtaken(error: sa.exc.DBAPIError) -> bool:
    """Tell whether a form of `updating`, `or_fail` or `holding` found no row, or one of `refusing` found one."""
    return getattr(error.orig, "pgcode", None) == "22012"


def write_all(connection: sa.Connection, writes: Sequence[Write]) -> None:
    """Do any number of writes in their order.

    :param connection: in a transaction
    """
    for at in range(0, len(writes), AT_MOST):
        write(connection, writes[at : at + AT_MOST])


def write(connection: sa.Connection, writes: Sequence[Write]) -> sa.CursorResult[Any]:
    """Do 1 to `AT_MOST` writes in their order, in one round trip; the first that fails raises, and none is done.

    :param connection: in a transaction, or in autocommit: then they are one transaction
    :returns: what the last one returns
    """
    text = _joined(tuple(each.form for each in writes), connection.dialect)
    # Past SQLAlchemy's compiler, whose look at sixty parameters takes as long as all the rest of it.
    return connection.exec_driver_sql(text.sql, text.values(writes))


def write_at_once(
    engine: sa.Engine,
    writes: Sequence[Write],
    *,
    guard: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Any:
    """Do the same as a transaction by itself, and return the first value that the last one returns, or None.

    :param guard: as of `lib.direct.send`
    """
    text = _joined(tuple(each.form for each in writes), engine.dialect)
    return direct.send(engine, text.sql, text.values(writes), _first_value, guard=guard)


def write_together(
    engine: sa.Engine,
    units: Sequence[Sequence[Write]],
    *,
    guard: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Do what several have to write as one transaction, in their order; the first write that fails undoes all.

    :param units: 1 to `AT_MOST` writes each
    :param guard: as of `lib.direct.send`
    """
    if any(len(writes) > AT_MOST for writes in units):
        raise ValueError(f"more than {AT_MOST} writes: they would take the values of the next ones for their own")
    texts = [
        _joined(tuple(each.form for each in writes), engine.dialect, at * AT_MOST) for at, writes in enumerate(units)
    ]
    values: dict[str, Any] = {}
    for text, writes in zip(texts, units, strict=True):
        values |= text.values(writes)
    direct.send(engine, "; ".join(text.sql for text in texts), values, _nothing, guard=guard)


def _nothing(_cursor: Any) -> None:
    return None


def _first_value(cursor: Any) -> Any:
    row = None if cursor.description is None else cursor.fetchone()
    return None if row is None else row[0]


class _Parameter(NamedTuple):
    """:param process: for what the driver does not know how to send"""

    name: str
    of_write: int
    key: str
    process: Callable[[Any], Any] | None


class _Text(NamedTuple):
    """What the driver gets."""

    sql: str
    parameters: Sequence[_Parameter]

    def values(self, writes: Sequence[Write]) -> dict[str, Any]:
        return {
            name: writes[at].values[key] if process is None else process(writes[at].values[key])
            for name, at, key, process in self.parameters
        }


@lru_cache(REMEMBERED)
def _joined(forms: tuple[Form, ...], dialect: sa.Dialect, first: int = 0) -> _Text:
    """:param first: the number of the first one; texts of which no number is the same can be one message"""
    parts, parameters = [], []
    for at, form in enumerate(forms):
        number = first + at
        parts.append(_PARAMETER.sub(rf"%(\1_{number})s", form.sql.replace("%", "%%")))
        for key in dict.fromkeys(_PARAMETER.findall(form.sql)):
            kind = form.types.get(key)
            parameters.append(_Parameter(f"{key}_{number}", at, key, _process(kind, dialect)))
    return _Text("; ".join(parts), parameters)


def _process(kind: sa.types.TypeEngine[Any] | None, dialect: sa.Dialect) -> Callable[[Any], Any] | None:
    if isinstance(kind, sa.Uuid):
        # As text, which costs less than what psycopg2 makes of it.
        return _text
    return None if kind is None else kind.dialect_impl(dialect).bind_processor(dialect)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
