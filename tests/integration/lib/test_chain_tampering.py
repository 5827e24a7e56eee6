"""A superuser who edits, deletes or cuts rows of a hash chain is found out, and the first place is named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from deploy.local.infra import Infrastructure
from lib.chain import Head
from lib.ids import new_id
from tests.integration.lib.chain_entries import (
    chain,
    emptied,
    entries,
    entry,
    scratch,
    seal_all,
    tamper,
    ten_sealed,
    verify,
    write,
)

PREPARED = "0123456789abcdef" * 4  # a hash of nothing


@pytest.fixture(scope="module")
def scratch_database(infrastructure: Infrastructure) -> Iterator[sa.Engine]:
    with scratch(infrastructure.environment()["POSTGRES_SUPERUSER_URL"], "chain_tampering") as engine:
        yield engine


@pytest.fixture
def engine(scratch_database: sa.Engine) -> sa.Engine:
    return emptied(scratch_database)


@pytest.fixture
def written(engine: sa.Engine) -> tuple[list[UUID], Head]:
    """Ten sealed rows, and the head that was written down when they were."""
    return ten_sealed(engine)


# --- tampering --------------------------------------------------------------------------------------------------------

CHANGES = [
    "UPDATE entries SET kind = 'KIND 5' WHERE id = :id",
    "UPDATE entries SET at = at + interval '1 microsecond' WHERE id = :id",
    "UPDATE entries SET at = 'infinity' WHERE id = :id",
    "UPDATE entries SET at = '20000-01-01' WHERE id = :id",
    "UPDATE entries SET owner = NULL WHERE id = :id",
    "UPDATE entries SET amount = 'NaN' WHERE id = :id",
    "UPDATE entries SET amount = amount + 0.01 WHERE id = :id",
    "UPDATE entries SET details = details || '{\"c\": null}' WHERE id = :id",
    'UPDATE entries SET details = \'{"b": [1, 2.50000000000000000001, null], "a": "é"}\' WHERE id = :id',
    "UPDATE entries SET words = '{x,\"NULL\"}' WHERE id = :id",
    "UPDATE entries SET cipher = cipher || '\\x00' WHERE id = :id",
    "UPDATE entries SET cipher = '' WHERE id = :id",
    f"UPDATE entries_seals SET hash = '\\x{PREPARED}' WHERE row_id = :id",
    "UPDATE entries_seals SET hash = '' WHERE row_id = :id",
]


@pytest.mark.parametrize("statement", CHANGES)
def test_an_edited_row_or_seal_is_named(engine: sa.Engine, written: tuple[list[UUID], Head], statement: str) -> None:
    ids, head = written
    tamper(engine, statement, id=ids[4])
    with Session(engine) as session:
        found = chain.verify(session, expected=head)
    assert found is not None
    assert (found.kind, found.position, found.row_id) == ("changed", 5, ids[4])
    assert str(ids[4]) in found.text


def test_only_the_first_broken_place_is_named(engine: sa.Engine, written: tuple[list[UUID], Head]) -> None:
    ids, _ = written
    tamper(engine, "UPDATE entries SET kind = 'x' WHERE id = :id", id=ids[8])
    tamper(engine, "DELETE FROM entries WHERE id = :id", id=ids[2])
    assert verify(engine) == ("missing", 3)


SHIFT = (
    "UPDATE entries_seals SET position = position - 1000 WHERE position > 5",
    ("UPDATE entries_seals SET position = position + 999 WHERE position < 0"),
)
SWAP = (
    "UPDATE entries_seals SET row_id = :spare WHERE row_id = :id",
    "UPDATE entries_seals SET row_id = :id WHERE row_id = :other",
    "UPDATE entries_seals SET row_id = :other WHERE row_id = :spare",
)


@pytest.mark.parametrize(
    ("statements", "finding"),
    [
        (["DELETE FROM entries WHERE id = :id"], ("missing", 5)),
        (["DELETE FROM entries_seals WHERE row_id = :id"], ("gap", 5)),
        (["DELETE FROM entries WHERE id = :id", "DELETE FROM entries_seals WHERE row_id = :id"], ("gap", 5)),
        (
            ["DELETE FROM entries WHERE id = :id", "DELETE FROM entries_seals WHERE row_id = :id", *SHIFT],
            ("changed", 5),
        ),
        (["DELETE FROM entries_seals WHERE position = 1", "DELETE FROM entries WHERE id = :first"], ("gap", 1)),
        (["UPDATE entries_seals SET row_id = :spare WHERE row_id = :id"], ("missing", 5)),
        (SWAP, ("changed", 5)),
    ],
)
def test_rows_and_seals_that_are_gone_or_in_another_place(
    engine: sa.Engine, written: tuple[list[UUID], Head], statements: list[str], finding: tuple[str, int]
) -> None:
    ids, head = written
    tamper(engine, *statements, id=ids[4], other=ids[6], spare=new_id(), first=ids[0])
    assert verify(engine) == finding
    assert verify(engine, expected=head) == finding


CUT = ("DELETE FROM entries WHERE id >= :id", "DELETE FROM entries_seals WHERE row_id >= :id")


def test_a_tail_that_is_cut_off_is_missed_by_whoever_knows_the_head(
    engine: sa.Engine, written: tuple[list[UUID], Head]
) -> None:
    ids, head = written
    tamper(engine, *CUT, id=ids[8])
    assert verify(engine) is None, "nothing in the database tells"
    assert verify(engine, expected=head) == ("cut", 9)
    assert verify(engine, expected=Head.parse(str(head))) == ("cut", 9)


def test_everything_deleted_is_missed_by_whoever_knows_the_head(
    engine: sa.Engine, written: tuple[list[UUID], Head]
) -> None:
    tamper(engine, "TRUNCATE entries, entries_seals")
    assert verify(engine) is None
    assert verify(engine, expected=written[1]) == ("cut", 1)


def test_seals_that_were_made_anew_are_not_the_expected_ones(
    engine: sa.Engine, written: tuple[list[UUID], Head]
) -> None:
    ids, head = written
    tamper(
        engine,
        "UPDATE entries SET kind = 'x' WHERE id = :id",
        "TRUNCATE entries_seals",
        "INSERT INTO entries_unsealed SELECT id FROM entries",
        id=ids[4],
    )
    seal_all(engine)
    assert verify(engine) is None
    assert verify(engine, expected=head) == ("cut", 10)


def test_an_expected_head_from_the_middle_is_enough_for_what_came_before_it(
    engine: sa.Engine, written: tuple[list[UUID], Head]
) -> None:
    _, head = written
    with Session(engine) as session:
        write(session)
        session.commit()
    seal_all(engine)
    assert verify(engine, expected=head) is None


def test_a_row_that_was_put_in_past_the_queue(engine: sa.Engine, written: tuple[list[UUID], Head]) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(entries), entry())
    assert verify(engine) == ("unsealed", None)


def test_a_row_that_was_taken_out_of_the_queue(engine: sa.Engine, written: tuple[list[UUID], Head]) -> None:
    with Session(engine) as session:
        write(session)
        session.commit()
    assert verify(engine) is None
    tamper(engine, "DELETE FROM entries_unsealed")
    assert verify(engine) == ("unsealed", None)


def test_a_row_that_waits_too_long(engine: sa.Engine, written: tuple[list[UUID], Head]) -> None:
    with Session(engine) as session:
        late = write(session)
        session.commit()
    tamper(engine, "UPDATE entries_unsealed SET added_at = now() - interval '2 minutes'")
    assert verify(engine, unsealed_after=timedelta(minutes=3)) is None
    with Session(engine) as session:
        found = chain.verify(session)
    assert found is not None
    assert (found.kind, found.row_id) == ("unsealed", late)
    assert "does the sealer run" in found.text


def test_a_row_that_was_deleted_before_it_had_its_seal(engine: sa.Engine, written: tuple[list[UUID], Head]) -> None:
    with Session(engine) as session:
        gone, kept = write(session), write(session)
        session.commit()
    tamper(engine, "DELETE FROM entries WHERE id = :id", id=gone)
    with Session(engine) as session:
        sealed = chain.seal(session)
        session.commit()
        assert sealed is not None
        assert [row["id"] for row in sealed.rows] == [kept], "the others do not wait for it"
        found = chain.verify(session)
    assert found is not None
    assert (found.kind, found.position, found.row_id) == ("missing", None, gone)
