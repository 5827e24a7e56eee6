"""A hash chain on PostgreSQL: writers do not wait for it, and its bytes are the same always and everywhere."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from deploy.local.infra import Infrastructure
from lib import migrations
from lib.chain import HashChain, Head, Sealed
from tests.integration.lib.chain_entries import (
    LOCK,
    chain,
    emptied,
    entries,
    entries_table,
    entry,
    scratch,
    seal_all,
    seals,
    tamper,
    ten_sealed,
    unsealed,
    verify,
    write,
)
from tests.support.round_trips import round_trips
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def scratch_database(infrastructure: Infrastructure) -> Iterator[sa.Engine]:
    with scratch(infrastructure.environment()["POSTGRES_SUPERUSER_URL"], "chain") as engine:
        yield engine


@pytest.fixture
def engine(scratch_database: sa.Engine) -> sa.Engine:
    return emptied(scratch_database)


@pytest.fixture
def written(engine: sa.Engine) -> tuple[list[UUID], Head]:
    """Ten sealed rows, and the head that was written down when they were."""
    return ten_sealed(engine)


# --- sealing ----------------------------------------------------------------------------------------------------------


def test_writers_and_sealers_at_the_same_time_leave_one_whole_chain(engine: sa.Engine) -> None:
    writers, rows_each = 8, 40
    done = threading.Event()
    results: list[Sealed] = []

    def write_many(number: int) -> int:
        kept = 0
        for count in range(rows_each):
            with Session(engine) as session:
                write(session, kind=f"{number}-{count}")
                if count % 5 == 4:
                    session.rollback()
                else:
                    session.commit()
                    kept += 1
        return kept

    def seal_until_done() -> None:
        while True:
            last = done.is_set()
            with Session(engine) as session:
                sealed = chain.seal(session, at_most=25)
                session.commit()
            if sealed is not None:
                results.append(sealed)
            elif last:
                return

    with ThreadPoolExecutor(writers + 2) as pool:
        sealing = [pool.submit(seal_until_done) for _ in range(2)]
        kept = sum(each.result() for each in [pool.submit(write_many, number) for number in range(writers)])
        done.set()
        for each in sealing:
            each.result()
    seal_rest = [row["id"] for sealed in results for row in sealed.rows]
    with engine.connect() as connection:
        positions = list(connection.scalars(sa.select(seals.c.position).order_by(seals.c.position)))
        left = connection.scalar(sa.select(sa.func.count()).select_from(unsealed))
    assert kept == writers * rows_each * 4 // 5
    assert len(seal_rest) == len(set(seal_rest)) == kept, "each row is told once"
    assert positions == list(range(1, kept + 1))
    assert left == 0
    with Session(engine) as session:
        assert verify(engine, expected=chain.head(session), unsealed_after=timedelta(0)) is None


def test_rows_are_sealed_in_the_order_of_their_ids_and_told_as_they_are(engine: sa.Engine) -> None:
    first, second, third = entry(details={"a": 1.5}), entry(owner=None), entry()
    with Session(engine) as session:
        for row in (third, first, second):
            session.execute(sa.insert(entries), row)
            chain.enlist(session, row["id"])
        session.commit()
        sealed = chain.seal(session, at_most=2)
        session.commit()
    assert sealed is not None
    assert [row["id"] for row in sealed.rows] == [first["id"], second["id"]]
    assert sealed.rows[0] == {**first, "amount": pytest.approx(12.5)}
    assert sealed.rows[1]["owner"] is None
    with Session(engine) as session:
        assert chain.head(session) == sealed.head
    assert sealed.head.position == 2
    assert verify(engine, expected=sealed.head) is None


def test_without_rows_there_is_nothing_to_seal_and_no_head(engine: sa.Engine) -> None:
    with Session(engine) as session:
        assert chain.seal(session) is None
        assert chain.head(session) is None
    assert verify(engine, unsealed_after=timedelta(0)) is None


@pytest.mark.parametrize("rows", [1, 300])
def test_to_seal_is_four_round_trips_however_many_rows(engine: sa.Engine, rows: int) -> None:
    with Session(engine) as session:
        for _ in range(rows):
            write(session)
        session.commit()
    with round_trips() as sent, Session(engine) as session:
        sealed = chain.seal(session)
        session.commit()
    assert sealed is not None
    assert len(sent) == 4, "BEGIN, what there is, what is written, COMMIT"
    assert chain.was_busy
    with Session(engine) as session:
        assert session.scalar(chain.waiting) is None
        assert chain.head(session) == sealed.head == Head(rows, sealed.head.hash)
        assert chain.seal(session) is None
    assert not chain.was_busy
    assert verify(engine, expected=sealed.head, unsealed_after=timedelta(0)) is None


def test_four_sealers_that_never_rest_get_in_nobodys_way(engine: sa.Engine) -> None:
    """Whoever gets the lock sees all that the one before has sealed: nobody seals a row or a position again."""
    rows, busy = 400, threading.Event()
    with Session(engine) as session:
        for _ in range(rows):
            write(session)
        session.commit()

    def run() -> int:
        count = 0
        with Session(engine) as session:
            while not busy.is_set():
                sealed = chain.seal(session, at_most=1)
                session.commit()
                count += 0 if sealed is None else 1
                if session.scalar(chain.waiting) is None:
                    busy.set()
                session.rollback()
        return count

    with ThreadPoolExecutor(4) as pool:
        counts = [each.result() for each in [pool.submit(run) for _ in range(4)]]
    assert sum(counts) == rows
    assert verify(engine, unsealed_after=timedelta(0)) is None


def test_a_row_that_is_not_committed_is_not_waited_for(engine: sa.Engine) -> None:
    with Session(engine) as slow, Session(engine) as quick:
        early = write(slow)
        late = write(quick)
        quick.commit()
        assert seal_all(engine).position == 1
        slow.commit()
    assert seal_all(engine).position == 2
    with engine.connect() as connection:
        order = list(connection.scalars(sa.select(seals.c.row_id).order_by(seals.c.position)))
    assert order == [late, early]
    assert verify(engine, unsealed_after=timedelta(0)) is None


def test_a_sealer_that_is_killed_leaves_nothing_and_another_one_goes_on(
    engine: sa.Engine, written: tuple[list[UUID], Head]
) -> None:
    with Session(engine) as session:
        new = [write(session) for _ in range(3)]
        session.commit()
    with Session(engine) as killed, Session(engine) as other:
        pid = killed.scalar(sa.select(sa.func.pg_backend_pid()))
        assert chain.seal(killed) is not None
        assert chain.seal(other) is None, "one at a time"
        other.rollback()
        tamper(engine, "SELECT pg_terminate_backend(:pid)", pid=pid)
        sealed = eventually(lambda: chain.seal(other))
        other.commit()
        with pytest.raises(sa.exc.OperationalError):
            killed.commit()
        killed.invalidate()
    assert [row["id"] for row in sealed.rows] == new
    assert sealed.head.position == 13
    assert verify(engine, expected=sealed.head, unsealed_after=timedelta(0)) is None


def test_the_running_services_role_can_seal_and_change_nothing(
    engine: sa.Engine, written: tuple[list[UUID], Head]
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DROP ROLE IF EXISTS chain_app"))
        connection.execute(sa.text("CREATE ROLE chain_app LOGIN PASSWORD 'chain_app'"))
    migrations.grant(engine.url.render_as_string(hide_password=False), "chain_app", {"entries", "entries_seals"})
    app = sa.create_engine(engine.url.set(username="chain_app", password="chain_app"), poolclass=sa.pool.NullPool)
    try:
        with Session(app) as session:
            write(session)
            session.commit()
        head = seal_all(app)
        assert head.position == 11
        assert verify(app, expected=head) is None
        for statement in (
            "UPDATE entries SET kind = 'x'",
            "UPDATE entries_seals SET hash = '\\x00'",
            "DELETE FROM entries",
            "DELETE FROM entries_seals",
            "TRUNCATE entries",
            "TRUNCATE entries_seals",
        ):
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                tamper(app, statement)
    finally:
        tamper(engine, "DROP OWNED BY chain_app", "DROP ROLE chain_app")


# --- the same bytes, always -------------------------------------------------------------------------------------------


def test_settings_of_the_session_change_nothing(engine: sa.Engine, written: tuple[list[UUID], Head]) -> None:
    with Session(engine) as session:
        session.execute(sa.text("SET timezone = 'Asia/Kathmandu'"))
        write(session)
        assert chain.seal(session) is not None
        session.commit()
        for setting in (
            "datestyle = 'SQL, DMY'",
            "bytea_output = 'escape'",
            "intervalstyle = 'iso_8601'",
            "extra_float_digits = 0",
        ):
            session.execute(sa.text(f"SET {setting}"))
        assert chain.verify(session, expected=written[1]) is None
        session.connection().invalidate()
    assert verify(engine) is None


def test_a_nullable_column_can_be_added_later(engine: sa.Engine, written: tuple[list[UUID], Head]) -> None:
    _, head = written
    tamper(engine, "ALTER TABLE entries ADD COLUMN note text")
    wider = entries_table(sa.MetaData(), sa.Column("note", sa.Text))
    newer = HashChain(wider, seals, unsealed, lock=LOCK)
    with Session(engine) as session:
        assert newer.verify(session, expected=head) is None
        row = {**entry(), "note": "new"}
        session.execute(sa.insert(wider), row)
        newer.enlist(session, row["id"])
        assert newer.seal(session) is not None
        session.commit()
        assert newer.verify(session, expected=head) is None
    tamper(engine, "UPDATE entries SET note = 'old' WHERE note = 'new'")
    with Session(engine) as session:
        found = newer.verify(session)
    assert found is not None
    assert (found.kind, found.position) == ("changed", 11)


documents = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(alphabet="ab é", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet="abc", max_size=3), inner, max_size=4),
    max_leaves=8,
)


def reversed_keys(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: reversed_keys(document[key]) for key in reversed(document)}
    return [reversed_keys(each) for each in document] if isinstance(document, list) else document


@pytest.fixture(scope="module")
def hash_of(scratch_database: sa.Engine) -> Iterator[Callable[[str], bytes]]:
    """``hash_of(json)`` → the hash of a first row with these details."""
    fixed = entry()
    with emptied(scratch_database).connect() as connection:

        def compute(details: str) -> bytes:
            with Session(connection, join_transaction_mode="create_savepoint") as session:
                session.execute(sa.text("TRUNCATE entries, entries_seals, entries_unsealed"))
                session.execute(sa.insert(entries), {**fixed, "details": {}})
                session.execute(sa.text("UPDATE entries SET details = CAST(:details AS jsonb)"), {"details": details})
                chain.enlist(session, fixed["id"])
                sealed = chain.seal(session)
                assert sealed is not None
                return sealed.head.hash

        yield compute
        connection.rollback()


@given(documents, documents)
def test_the_order_of_keys_and_the_blanks_are_nothing_but_the_rest_is(
    hash_of: Callable[[str], bytes], one: Any, other: Any
) -> None:
    digest = hash_of(json.dumps(one))
    assert hash_of(json.dumps(reversed_keys(one), indent=3, ensure_ascii=False)) == digest
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (hash_of(json.dumps(other)) == digest) == same


# --- a large table ---------------------------------------------------------------------------------------------------


def resident() -> int:
    with open(f"/proc/{os.getpid()}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_verifying_takes_little_memory(engine: sa.Engine) -> None:
    rows, size = 4000, 16_000
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO entries (id, at, kind, details, cipher) SELECT gen_random_uuid(), now(), 'x', '{}',"
                " decode(repeat(md5(number::text), :times), 'hex') FROM generate_series(1, :rows) AS number"
            ),
            {"rows": rows, "times": size // 16},
        )
        connection.execute(sa.text("INSERT INTO entries_unsealed SELECT id FROM entries"))
    assert seal_all(engine, at_most=200).position == rows
    with Session(engine) as session:
        before, most, done = resident(), 0, threading.Event()

        def watch() -> None:
            nonlocal most
            while not done.wait(0.005):
                most = max(most, resident())

        watcher = threading.Thread(target=watch)
        watcher.start()
        assert chain.verify(session) is None
        done.set()
        watcher.join()
    assert most - before < rows * size / 2
