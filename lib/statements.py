"""Statements that are hot and that SQLAlchemy would compile anew each time.

Its PostgreSQL ``INSERT … ON CONFLICT`` is never cached, and compiling one takes longer than PostgreSQL takes to run it.
These are built once, from the table, when their module is imported.
"""

from __future__ import annotations

import sqlalchemy as sa


def insert_unless_there(table: sa.FromClause, conflict: str = "", *, otherwise: str = "NOTHING") -> sa.TextClause:
    """Return an INSERT of one row with a parameter for each column; its ``rowcount`` is 0 if there was one already.

    :param conflict: which constraint may clash, as ``(id)`` or ``ON CONSTRAINT name``; the default is any
    :param otherwise: what to do instead, as ``UPDATE SET …``
    """
    names = [column.name for column in table.columns]
    target = f" {conflict}" if conflict else ""
    # Only names of columns, which are ours.
    statement = (
        f"INSERT INTO {table.description} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"  # noqa: S608
        f" ON CONFLICT{target} DO {otherwise}"
    )
    return sa.text(statement).bindparams(*(sa.bindparam(column.name, type_=column.type) for column in table.columns))
