"""Postings a second, and how long the trial balance takes: ``python -m benchmarks.ledger``, part of ``make bench``.

On a PostgreSQL of its own. Each writer is a process with one connection that commits one posting (two entries and their
places in the seals' queue) after another, as the service does in the transaction of a charge. With the trigger that
keeps the books balanced and without it in turn, so that a machine that gets slower gets slower for both.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from deploy.local.infra import Infrastructure
from lib import migrations
from lib.database import Sessions, make_engine
from lib.ids import new_id, utc_now
from lib.uow import SqlUnitOfWork
from payments_svc.application.ledger_ports import EntryFilter
from payments_svc.domain.ledger import SALES, Posting, PostingKind, move, provider_account
from payments_svc.infrastructure.sql_ledger import SqlBooks, SqlLedger
from tests.support import databases

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
WRITERS = (1, 4)
FEW = 10_000
MANY = int(os.environ.get("BENCH_ENTRIES", "1000000"))
#: entries that are stored in one statement
AT_ONCE = 100_000
TRIES = 7
#: in how many turns a round is measured
TURNS = 4
#: seconds that the writers may take to start and to connect
PATIENCE = 120
BANK = provider_account("sandbox")

_FILL = sa.text(
    """
    INSERT INTO ledger_entries (id, transaction_id, kind, source_id, account, amount, currency, customer_id, payment_id,
        correlation_id, posted_at)
    SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(2 * i + side), 12, '0'))::uuid, md5(i::text)::uuid, 'capture',
        md5(i::text)::uuid, (ARRAY['provider:sandbox', 'sales'])[side + 1], (ARRAY[1, -1])[side + 1] * (i % 9999 + 1),
        (ARRAY['EUR', 'USD', 'JPY'])[i % 3 + 1], md5((i % 5000)::text)::uuid, md5(i::text)::uuid, 'benchmark',
        timestamptz '2026-01-01' + i * interval '1 second'
    FROM generate_series(CAST(:start AS bigint), CAST(:stop AS bigint)) AS i, generate_series(0, 1) AS side
    """
)


def measure(rounds: int = ROUNDS, seconds: float = SECONDS, many: int = MANY) -> str:
    """Return the tables, in Markdown."""
    with _postgres(durable=False) as environment:
        postings = {number: _postings(environment, number, rounds, seconds) for number in WRITERS}
        times = {number: _reading(environment, number) for number in dict.fromkeys((FEW, many))}
    with _postgres(durable=True) as environment, _writers(environment, WRITERS[-1]) as write:
        durable = statistics.median(write(seconds) for _ in range(rounds))
    return f"{_postings_table(postings, durable)}\n\n{_times_table(times)}"


@contextmanager
def _postgres(*, durable: bool) -> Iterator[dict[str, str]]:
    """Run a PostgreSQL with a migrated database of payments; gives the addresses."""
    with tempfile.TemporaryDirectory(prefix="bench-ledger-") as folder:
        servers = Infrastructure(Path(folder) / "postgres", preferred=False, durable=durable, parts=("postgres",))
        try:
            servers.start()
            environment = servers.environment()
            migrations.upgrade("payments_svc", environment["PAYMENTS_MIGRATION_DATABASE_URL"], "payments_app")
            yield environment
        finally:
            servers.destroy()


# --- postings ---------------------------------------------------------------------------------------------------------


def _postings(environment: dict[str, str], writers: int, rounds: int, seconds: float) -> tuple[float, float]:
    """Return the medians of postings a second, with the trigger and without, in short turns."""
    rates: dict[str, list[float]] = {"ENABLE": [], "DISABLE": []}
    with _writers(environment, writers) as write:
        for turn in range(TURNS * rounds):
            for state in sorted(rates, reverse=bool(turn % 2)):
                with migrations.owner(environment["PAYMENTS_MIGRATION_DATABASE_URL"]) as connection:
                    connection.execute(sa.text(f"ALTER TABLE ledger_entries {state} TRIGGER ledger_entries_balance"))
                rates[state].append(write(seconds / TURNS))
    return statistics.median(rates["ENABLE"]), statistics.median(rates["DISABLE"])


@contextmanager
def _writers(environment: dict[str, str], number: int) -> Iterator[Callable[[float], float]]:
    """Start so many writers; gives what has them write for so many seconds, and returns how often in a second."""
    context = get_context("spawn")
    begin = context.Barrier(number)
    url = environment["PAYMENTS_DATABASE_URL"]
    with ProcessPoolExecutor(number, context, initializer=_connect, initargs=(url, begin)) as pool:
        # Each waits for the others, so none takes a second piece of the work.
        yield lambda seconds: sum(each.result() for each in [pool.submit(_write, seconds) for _ in range(number)])


_writer: dict[str, Any] = {}


def _connect(url: str, begin: Barrier) -> None:
    engine = make_engine(url, statement_timeout=10, pool_size=1, application_name="benchmark")
    _writer.update(sessions=Sessions(engine), begin=begin)


def _write(seconds: float) -> float:
    """Post until the time is over; return how often in a second."""
    sessions = _writer["sessions"]
    _post(sessions)
    _writer["begin"].wait(PATIENCE)
    number, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        _post(sessions)
        number += 1
    return number / passed


def _post(sessions: Sessions) -> None:
    payment = new_id()
    entries = move(debit=BANK, credit=SALES, amount=1050)
    with SqlUnitOfWork(sessions) as uow:
        posting = Posting(PostingKind.CAPTURE, payment, payment, None, new_id(), "EUR", entries)
        SqlLedger(uow).post(posting, utc_now())
        uow.commit()


# --- reading ----------------------------------------------------------------------------------------------------------


def _reading(environment: dict[str, str], number: int) -> dict[str, float]:
    """Return milliseconds of each question to so many entries."""
    admin = databases.admin(databases.on_database(environment["POSTGRES_SUPERUSER_URL"], "payments"))
    with admin.connect() as connection:
        connection.execute(sa.text("TRUNCATE ledger_entries, ledger_seals, ledger_unsealed"))
        # What is filled in adds up, and is not what is measured.
        connection.execute(sa.text("SET session_replication_role = replica"))
        for start in range(1, number // 2 + 1, AT_ONCE // 2):
            stop = min(start + AT_ONCE // 2 - 1, number // 2)
            connection.execute(_FILL, {"start": start, "stop": stop})
            print(f"{2 * stop:,} of {number:,} entries", file=sys.stderr, flush=True)
        connection.execute(sa.text("VACUUM ANALYZE ledger_entries"))
    admin.dispose()
    engine = make_engine(
        environment["PAYMENTS_DATABASE_URL"], statement_timeout=600, pool_size=1, application_name="benchmark"
    )
    books = SqlBooks(Sessions(engine), balances=False)
    try:
        sums = books.balances(utc_now())
        assert sum(row["debits"] - row["credits"] for row in sums) == 0
        return {
            "trial balance": _milliseconds(lambda: books.balances(utc_now())),
            "50 entries of a balance": _milliseconds(lambda: _page(books)),
        }
    finally:
        engine.dispose()


def _page(books: SqlBooks) -> None:
    books.entries(EntryFilter(SALES, "EUR"), limit=50, before=None)


def _milliseconds(question: Callable[[], object]) -> float:
    times = []
    for _ in range(TRIES):
        started = time.perf_counter()
        question()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


# --- tables -----------------------------------------------------------------------------------------------------------


def _postings_table(postings: dict[int, tuple[float, float]], durable: float) -> str:
    lines = ["| postings/s | with the trigger | without it | ratio |", f"|{' --- |' * 4}"]
    for writers, (on, off) in postings.items():
        lines.append(f"| connections: {writers} | {on:,.0f} | {off:,.0f} | {on / off:.2f}× |")
    lines.append(f"| connections: {WRITERS[-1]}, commits synced to disk | {durable:,.0f} | | |")
    return "\n".join(lines)


def _times_table(times: dict[int, dict[str, float]]) -> str:
    head = " | ".join(f"{number:,} entries" for number in times)
    lines = [f"| ledger, ms | {head} |", f"|{' --- |' * (len(times) + 1)}"]
    for question in next(iter(times.values())):
        lines.append(f"| {question} | {' | '.join(f'{each[question]:,.1f}' for each in times.values())} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(measure())
