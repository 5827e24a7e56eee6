"""A table with a column of each kind, and two ways to send a message to its database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from psycopg2 import extensions
from sqlalchemy.dialects import postgresql as pg

from lib import direct
from lib.database import autocommit, make_engine
from tests.support import databases

metadata = sa.MetaData()
kinds = sa.Table(
    "kinds",
    metadata,
    sa.Column("id", pg.UUID(as_uuid=True), primary_key=True),
    sa.Column("label", sa.Text, unique=True),
    sa.Column("data", pg.JSONB),
    sa.Column("cipher", sa.LargeBinary),
    sa.Column("at", sa.DateTime(timezone=True)),
    sa.Column("words", pg.ARRAY(sa.Text, as_tuple=True)),
    sa.Column("amount", sa.Numeric(10, 2)),
    sa.Column("kept", sa.Interval),
    sa.Column("size", sa.Enum("small", "large", name="sizes")),
)
ID = UUID(int=7)
FULL = {
    "id": ID,
    "label": "100 % :label %(label)s",
    "data": {"a": [1, None, "ü"]},
    "cipher": b"\x00\xff",
    "at": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    "words": ("a", "b,c", '"'),
    "amount": Decimal("12.50"),
    "kept": timedelta(days=3, seconds=7),
    "size": "large",
}
BARE = {**dict.fromkeys(FULL), "id": UUID(int=8)}


@contextmanager
def database_of(superuser: str, name: str) -> Iterator[sa.URL]:
    """Give a database with what is in `FULL` and `BARE`."""
    admin = databases.admin(superuser)
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    url = sa.make_url(databases.on_database(superuser, name))
    engine = sa.create_engine(url)
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sa.insert(kinds), [FULL, BARE])
    engine.dispose()
    yield url
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


def open_engine(url: sa.URL, **options: Any) -> sa.Engine:
    limits: dict[str, Any] = {"statement_timeout": 2, "pool_size": 3, "application_name": "direct", **options}
    return make_engine(url.render_as_string(hide_password=False), **limits)


def rows_of(cursor: Any) -> list[Any]:
    return [tuple(row) for row in cursor.fetchall()]


def send(engine: sa.Engine, sql: str, **values: Any) -> list[Any]:
    return direct.send(engine, sql, values, rows_of)


def send_as_sqlalchemy_does(engine: sa.Engine, sql: str, **values: Any) -> list[Any]:
    with autocommit(engine) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql, values)]


def backend(engine: sa.Engine) -> int:
    """Return the process id of the connection that comes from the pool next, which is as any other."""
    with engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        assert driver.autocommit is False
        assert driver.info.transaction_status == extensions.TRANSACTION_STATUS_IDLE
        return int(connection.execute(sa.text("select pg_backend_pid()")).scalar_one())


def taken(engine: sa.Engine) -> int:
    assert isinstance(engine.pool, sa.QueuePool)
    return engine.pool.checkedout()
