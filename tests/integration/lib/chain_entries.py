"""A table with a hash chain over it, in a database that nothing else uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Session

from lib.chain import HashChain, Head, seals_table, unsealed_table
from lib.ids import new_id, utc_now
from tests.support import databases

LOCK = 99


def entries_table(metadata: sa.MetaData, *added: sa.Column[Any]) -> sa.Table:
    return sa.Table(
        "entries",
        metadata,
        sa.Column("id", pg.UUID(as_uuid=True), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("owner", pg.UUID(as_uuid=True)),
        sa.Column("amount", sa.Numeric(20, 2)),
        sa.Column("details", pg.JSONB, nullable=False),
        sa.Column("words", pg.ARRAY(sa.Text)),
        sa.Column("cipher", sa.LargeBinary),
        *added,
    )


metadata = sa.MetaData()
entries = entries_table(metadata)
seals = seals_table(metadata, "entries")
unsealed = unsealed_table(metadata, "entries")
chain = HashChain(entries, seals, unsealed, lock=LOCK)


@contextmanager
def scratch(superuser: str, name: str) -> Iterator[sa.Engine]:
    """Give the superuser's way into a new database with the empty tables; the only place without migrations."""
    admin = databases.admin(superuser)
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine = sa.create_engine(databases.on_database(superuser, name), pool_size=20)
    metadata.create_all(engine)
    try:
        yield engine
    finally:
        engine.dispose()
        with admin.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


def emptied(engine: sa.Engine) -> sa.Engine:
    metadata.drop_all(engine)
    metadata.create_all(engine)
    return engine


def entry(**values: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "at": utc_now(),
        "kind": "opened",
        "owner": new_id(),
        "amount": "12.50",
        "details": {"b": [1, 2.5, None], "a": "é"},
        "words": ["x", None],
        "cipher": b"\x00\xff",
        **values,
    }


def write(session: Session, **values: Any) -> UUID:
    row = entry(**values)
    session.execute(sa.insert(entries), row)
    chain.enlist(session, row["id"])
    return row["id"]


def seal_all(engine: sa.Engine, at_most: int = 4) -> Head:
    head = None
    with Session(engine) as session:
        while (sealed := chain.seal(session, at_most=at_most)) is not None:
            session.commit()
            head = sealed.head
    assert head is not None
    return head


def ten_sealed(engine: sa.Engine) -> tuple[list[UUID], Head]:
    """Write and seal ten rows; return their ids and the head that is written down then."""
    with Session(engine) as session:
        ids = [write(session, kind=f"kind {number}") for number in range(1, 11)]
        session.commit()
    return ids, seal_all(engine)


def verify(engine: sa.Engine, **options: Any) -> tuple[str, int | None] | None:
    with Session(engine) as session:
        found = chain.verify(session, **options)
    if found is None:
        return None
    assert "\n" not in str(found)
    return found.kind, found.position


def tamper(engine: sa.Engine, *statements: str, **parameters: Any) -> None:
    with engine.begin() as connection:
        for statement in statements:
            used = {name: value for name, value in parameters.items() if f":{name}" in statement}
            connection.execute(sa.text(statement), used)
