"""A hash chain over an append-only table: who edits, deletes or cuts off rows afterwards is found out.

Three tables. Writers insert into the table itself and, in the same transaction, into its queue (`enlist`); neither
makes them wait for each other. One sealer at a time takes what is committed from the queue and gives each row the next
position and a hash over the hash before it and all the row's columns (`seal`). `verify` goes through everything again.
Whoever can change rows can also make the seals anew, or cut off both together; so the head belongs in a log that they
cannot reach, and `verify` takes it as what is expected.

The rows must stay as they are sealed, so the running service's role may only read and insert into the table and its
seals (``APPEND_ONLY`` in a migration, `lib.migrations`); from the queue it deletes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Self
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Session

from lib.canonical import canonical, canonical_column, plain
from lib.ids import utc_now
from lib.writes import Form, Write, write

#: what stands where the first row's predecessor would
ORIGIN = bytes(32)
#: rows that `verify` holds in memory
STREAMED = 500


def seals_table(metadata: sa.MetaData, name: str) -> sa.Table:
    """Define a chain's seals; ``APPEND_ONLY``.

    :param name: of the chain: that of its table, or the first word of it
    :returns: ``<name>_seals``: ``position`` bigint (primary key ``<name>_seals_pkey``; 1, 2, 3 … without a gap),
        ``row_id`` uuid (unique ``<name>_seals_row_id_key``), ``hash`` bytea, ``sealed_at`` timestamptz; none nullable
    """
    return sa.Table(
        f"{name}_seals",
        metadata,
        sa.Column("position", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("row_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("position", name=f"{name}_seals_pkey"),
        sa.UniqueConstraint("row_id", name=f"{name}_seals_row_id_key"),
    )


def unsealed_table(metadata: sa.MetaData, name: str) -> sa.Table:
    """Define a chain's queue: rows that have no seal yet. Not append-only.

    :param name: as of `seals_table`
    :returns: ``<name>_unsealed``: ``row_id`` uuid (primary key ``<name>_unsealed_pkey``), ``added_at`` timestamptz
        with the server default ``now()``; none nullable
    """
    return sa.Table(
        f"{name}_unsealed",
        metadata,
        sa.Column("row_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("row_id", name=f"{name}_unsealed_pkey"),
    )


@dataclass(frozen=True)
class Head:
    """The last seal at some moment, written as ``42:9f86d0…``."""

    position: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.position}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote; raises ValueError."""
        position, _, digest = text.strip().partition(":")
        try:
            head = cls(int(position), bytes.fromhex(digest))
        except ValueError:
            head = cls(0, b"")
        if head.position < 1 or len(head.hash) != len(ORIGIN):
            raise ValueError("expected a head like 42:9f86d0…, a position and 64 hexadecimal digits")
        return head


@dataclass(frozen=True)
class Sealed:
    """What one run of the sealer did.

    :param rows: in the order of their positions; plain values by column name, as the driver gives them
    """

    head: Head
    rows: Sequence[Mapping[str, Any]]


Kind = Literal["changed", "missing", "gap", "cut", "unsealed"]


@dataclass(frozen=True)
class Finding:
    """The first place where the chain is broken.

    ``changed``: the row's values do not give the hash. ``missing``: a sealed or enlisted row is gone. ``gap``: a
    position is missing. ``cut``: the expected head is not in the chain. ``unsealed``: a row was put in past the queue,
    or waits in it for too long.

    :param text: one line for a person
    """

    kind: Kind
    position: int | None
    row_id: UUID | None
    text: str

    def __str__(self) -> str:
        return self.text


class HashChain:
    """The chain over one table, whose primary key is ``id``, a UUIDv7.

    What is sealed is what `table` names: each column that is not null, with its name. So a nullable column can be
    added later; dropping or renaming one, or adding one that is filled at once, breaks what was sealed before.

    :param seals: from `seals_table`
    :param unsealed: from `unsealed_table`
    :param lock: number of the sealer's advisory lock; another one for each chain of a database
    :raises TypeError: a column has a type that cannot be sealed (`lib.canonical`)
    """

    def __init__(self, table: sa.Table, seals: sa.Table, unsealed: sa.Table, *, lock: int) -> None:
        self._table, self._seals, self._unsealed, self._lock = table, seals, unsealed, lock
        self._canonical = [canonical_column(column).label(f"canonical_{column.name}") for column in table.columns]
        self._plain = [sa.type_coerce(column, plain(column.type)).label(column.name) for column in table.columns]
        self._names = [column.name for column in table.columns]
        # All that the sealer does twice a second, built once.
        self._look = self._locked_look()
        self._seal = Form(
            f"INSERT INTO {seals.name} (position, row_id, hash, sealed_at)"  # noqa: S608  (names of ours, as below)
            " SELECT :before + number, row_id, hash, :sealed_at"
            " FROM unnest(CAST(:row_ids AS uuid[]), CAST(:hashes AS bytea[]))"
            " WITH ORDINALITY AS given (row_id, hash, number)",
            {},
        )
        self._dequeue = Form(f"DELETE FROM {unsealed.name} WHERE row_id = ANY(CAST(:row_ids AS uuid[]))", {})  # noqa: S608
        #: has a row as long as some row waits for its seal: a question that needs no transaction
        self.waiting = sa.select(unsealed.c.row_id).limit(1)
        #: whether this process found something to seal the last time: then it need not ask before the next time
        self.was_busy = False

    def _locked_look(self) -> sa.sql.selectable.TextualSelect:
        """Return a message that tries to get the lock and, if it does, reads the oldest of the queue and the head.

        The lock is a statement of its own before that: so the second one sees all that the sealer before has committed.
        """
        last = self._seals.c.position.desc()
        head = [
            sa.select(column)
            .order_by(last)
            .limit(sa.literal_column("1"))
            .scalar_subquery()
            .label(f"head_{column.name}")
            for column in (self._seals.c.position, self._seals.c.hash)
        ]
        look = (
            sa.select(*self._plain, *self._canonical, *head)
            .join_from(self._unsealed, self._table, self._table.c.id == self._unsealed.c.row_id)
            .where(sa.text("current_setting('chain.is_mine') = 'true'"))
            .order_by(self._unsealed.c.row_id)
            .limit(sa.bindparam("at_most", type_=sa.Integer))
        )
        lock = f"SELECT set_config('chain.is_mine', CAST(pg_try_advisory_xact_lock({self._lock}) AS text), true)"
        compiled = look.compile(dialect=pg.dialect(paramstyle="named"))  # type: ignore[no-untyped-call]
        return sa.text(f"{lock}; {compiled}").columns(*look.selected_columns)

    def enlist(self, session: Session, row_id: UUID) -> None:
        """Queue a row for its seal; in the transaction that inserts it."""
        session.execute(sa.insert(self._unsealed), {"row_id": row_id})

    def seal(self, session: Session, *, at_most: int = 1000) -> Sealed | None:
        """Give the oldest committed rows that have none their seals; the caller commits.

        :returns: what was sealed, or None: nothing was to be done, or another sealer is at it
        """
        found = session.execute(self._look, {"at_most": at_most}).all()
        self.was_busy = bool(found)
        if not found:
            return None
        width = len(self._names)
        before = found[0].head_position or 0
        digest = ORIGIN if found[0].head_hash is None else bytes(found[0].head_hash)
        rows, hashes = [], []
        for position, row in enumerate(found, before + 1):
            digest = digest_of(digest, position, dict(zip(self._names, row[width : 2 * width], strict=True)))
            rows.append(dict(zip(self._names, row[:width], strict=True)))
            hashes.append(digest)
        row_ids = [str(row["id"]) for row in rows]
        sealed = {"before": before, "row_ids": row_ids, "hashes": hashes, "sealed_at": utc_now()}
        write(session.connection(), [Write(self._seal, sealed), Write(self._dequeue, {"row_ids": row_ids})])
        return Sealed(Head(before + len(rows), digest), rows)

    def head(self, session: Session) -> Head | None:
        """Return the last seal; None while there is none."""
        row = session.execute(
            sa.select(self._seals.c.position, self._seals.c.hash).order_by(self._seals.c.position.desc()).limit(1)
        ).first()
        return None if row is None else Head(row.position, bytes(row.hash))

    def verify(
        self, session: Session, *, expected: Head | None = None, unsealed_after: timedelta = timedelta(minutes=1)
    ) -> Finding | None:
        """Go through the whole chain and return the first place where it is broken; None if it is whole.

        Reads each row once, with little memory, so it may take a while: give it a session without a short
        ``statement_timeout``. Sealing may go on meanwhile.

        :param expected: a head that was written down before; without it nobody sees that the newest rows are gone
        :param unsealed_after: how long a row may wait for its seal
        """
        before = ORIGIN
        position = 0
        for row in self._sealed(session):
            position += 1
            if row.position != position:
                return Finding("gap", position, None, f"position {position}: the seal is missing")
            if row._mapping["canonical_id"] is None:
                text = f"position {position}: the row {row.row_id} is missing"
                return Finding("missing", position, row.row_id, text)
            before = digest_of(before, position, self._values(row))
            if before != bytes(row.hash):
                text = f"position {position}: the row {row.row_id} or its seal has been changed"
                return Finding("changed", position, row.row_id, text)
            if expected is not None and expected.position == position and expected.hash != before:
                text = f"position {position}: the hash is not that of the expected head; the seals were made anew"
                return Finding("cut", position, row.row_id, text)
        if expected is not None and expected.position > position:
            text = f"position {position + 1}: the end is missing, up to {expected.position} at least"
            return Finding("cut", position + 1, None, text)
        return self._without_row(session) or self._without_seal(session, unsealed_after)

    def _sealed(self, session: Session) -> Iterator[Any]:
        """Give all seals in their order, each with its row or nulls."""
        statement = (
            sa.select(self._seals.c.position, self._seals.c.row_id, self._seals.c.hash, *self._canonical)
            .outerjoin_from(self._seals, self._table, self._table.c.id == self._seals.c.row_id)
            .order_by(self._seals.c.position)
        )
        with session.connection().execute(statement, execution_options={"yield_per": STREAMED}) as result:
            yield from result

    def _without_row(self, session: Session) -> Finding | None:
        """Find a row that was deleted before it got its seal."""
        queued = self._unsealed.c.row_id
        row_id = session.scalar(
            sa.select(queued).where(~sa.exists().where(self._table.c.id == queued)).order_by(queued).limit(1)
        )
        if row_id is None:
            return None
        return Finding("missing", None, row_id, f"no position: the row {row_id} is missing, it had no seal yet")

    def _without_seal(self, session: Session, unsealed_after: timedelta) -> Finding | None:
        """Find a row that has no seal and should."""
        id, queue = self._table.c.id, self._unsealed
        # A row and its place in the queue are one transaction: without it, no age excuses the row.
        row = session.execute(
            sa.select(id, queue.c.row_id)
            .outerjoin_from(self._table, queue, queue.c.row_id == id)
            .where(~sa.exists().where(self._seals.c.row_id == id))
            .where(queue.c.row_id.is_(None) | (queue.c.added_at < sa.func.statement_timestamp() - unsealed_after))
            .order_by(id)
            .limit(1)
        ).first()
        if row is None:
            return None
        why = "it was put in past the queue, or taken out of it"
        if row.row_id is not None:
            why = f"it has waited for more than {unsealed_after}; does the sealer run?"
        return Finding("unsealed", None, row.id, f"no position: the row {row.id} has no seal: {why}")

    def _values(self, row: Any) -> dict[str, Any]:
        return {column.name: row._mapping[f"canonical_{column.name}"] for column in self._table.columns}


def digest_of(before: bytes, position: int, values: Mapping[str, Any]) -> bytes:
    """Return the hash of a row, by the one before it, its position, and its values as `canonical_column` reads them."""
    return hashlib.sha256(before + position.to_bytes(8) + canonical(values)).digest()
