"""One text of bytes for each row of a table, the same on every machine, whatever the session's settings are.

Each value that is not null stands with its column's name, and each part with its length before it, so that no two
different rows give the same bytes. Nulls are left out: a column that is added later changes no row that is older. The
columns are read in forms that neither time zone nor DateStyle nor locale touch: moments as seconds since 1970, JSON as
PostgreSQL writes a ``jsonb``, which orders the keys by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg


def canonical(values: Mapping[str, Any]) -> bytes:
    """Return the bytes of a row.

    :param values: by column name, read through `canonical_column`
    """
    named = sorted((name.encode(), value) for name, value in values.items() if value is not None)
    return b"".join(_framed(name) + _framed(_value(value)) for name, value in named)


def plain(kind: Any) -> Any:
    """Return the type that PostgreSQL and the driver know, without what SQLAlchemy would make of its values."""
    return plain(kind.impl_instance) if isinstance(kind, sa.TypeDecorator) else kind


def canonical_column(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return what to select, so that `canonical` gets the column's value in a form that depends on nothing else.

    :raises TypeError: a type whose values have no such form here; a float's depend on the session
    """
    kind = plain(column.type)
    if isinstance(kind, sa.JSON):
        return sa.cast(sa.cast(column, pg.JSONB), sa.Text)
    if isinstance(kind, sa.DateTime | sa.Date):
        # Not Python's datetime, which has no infinity and ends with the year 9999.
        return sa.type_coerce(sa.extract("epoch", column), sa.Numeric)
    if isinstance(kind, pg.INET | pg.CIDR):
        return sa.cast(column, sa.Text)
    if isinstance(kind, sa.ARRAY):
        return sa.type_coerce(column, pg.ARRAY(_simple(kind.item_type, column)))
    return sa.type_coerce(column, _simple(kind, column))


def _simple(kind: Any, column: sa.ColumnElement[Any]) -> Any:
    kind = plain(kind)
    if isinstance(kind, sa.String):
        return sa.Text()
    if isinstance(kind, sa.Uuid):
        return pg.UUID(as_uuid=True)
    if isinstance(kind, sa.Boolean | sa.Integer | sa.LargeBinary):
        return kind
    if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float):
        return sa.Numeric()
    raise TypeError(f"{column}: a {type(kind).__name__} cannot be sealed")


def _value(value: Any) -> bytes:
    if value is None:  # inside of an array
        return b"z"
    if isinstance(value, bool):
        return b"b1" if value else b"b0"
    if isinstance(value, int):
        return b"i%d" % value
    if isinstance(value, Decimal):
        return b"n" + _number(value)
    if isinstance(value, str):
        return b"s" + value.encode()
    if isinstance(value, bytes | memoryview):
        return b"x" + bytes(value)
    if isinstance(value, UUID):
        return b"u" + value.bytes
    if isinstance(value, list | tuple):
        return b"a" + b"".join(_framed(_value(each)) for each in value)
    raise TypeError(f"a {type(value).__name__} has no canonical form")


def _number(value: Decimal) -> bytes:
    """Return the number's digits; 1.50 is 1.5, as for PostgreSQL."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return (text.removeprefix("-") if not value else text).encode()


def _framed(part: bytes) -> bytes:
    return len(part).to_bytes(8) + part
