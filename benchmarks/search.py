"""Search among few and among very many: ``python -m benchmarks.search``, part of ``make bench``.

The same queries, one at a time and in turn on both, on a PostgreSQL of their own: half are the start of a handle, three
in ten a first and a last name, two in ten a few letters that few have. What is measured is what the service does for a
call; the broker adds the same to both.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import sqlalchemy as sa

from benchmarks.load import ROOT
from deploy.local.infra import Infrastructure
from lib import config as configuration
from lib import migrations
from lib.database import Sessions, make_engine
from tests.support import databases
from tests.support.seeded_profiles import id_of, seed, settle, without_indexes
from users_svc.application.ports import Ports
from users_svc.application.search_users import search_users
from users_svc.bootstrap import build_ports

FEW = 10_000
MANY = int(os.environ.get("BENCH_PROFILES", "1000000"))
QUERIES = int(os.environ.get("BENCH_SEARCHES", "1000"))
AT_ONCE = 20_000

#: how many in ten
MIX = {"handle prefix": 5, "two-word name": 3, "rare substring": 2}

Query = tuple[str, str]


def measure(many: int = MANY, queries: int = QUERIES) -> str:
    """Return the table of times, in Markdown."""
    if many <= FEW:
        return f"search: not measured, for BENCH_PROFILES is not above {FEW}"
    with tempfile.TemporaryDirectory(prefix="bench-search-") as folder:
        servers = Infrastructure(Path(folder) / "postgres", preferred=False, durable=False, parts=("postgres",))
        try:
            servers.start()
            environment = servers.environment()
            url = databases.on_database(environment["USERS_MIGRATION_DATABASE_URL"], "users")
            migrations.upgrade("users_svc", url, "users_app")
            engines = {number: _filled(environment, number) for number in (FEW, many)}
            try:
                return _table(_times(engines, queries))
            finally:
                for engine in engines.values():
                    engine.dispose()
        finally:
            servers.destroy()


def _filled(environment: dict[str, str], number: int) -> sa.Engine:
    """Make a database with so many profiles; return the way into it that the running service has."""
    name, superuser = f"users_{number}", environment["POSTGRES_SUPERUSER_URL"]
    databases.copy(superuser, "users", name)
    admin = databases.admin(databases.on_database(superuser, name))
    with admin.connect() as connection:
        with without_indexes(connection):
            for start in range(1, number + 1, AT_ONCE):
                stop = min(start + AT_ONCE - 1, number)
                seed(connection, start, stop)
                _show_progress(stop, number)
        settle(connection)
    admin.dispose()
    url = databases.on_database(environment["USERS_DATABASE_URL"], name)
    return make_engine(url, statement_timeout=10, pool_size=1, application_name="benchmark")


def _show_progress(done: int, number: int, width: int = 40) -> None:
    filled = width * done // number
    bar = f"[{'#' * filled}{'.' * (width - filled)}] {done:,} of {number:,} profiles"
    if sys.stderr.isatty():
        print(f"\r{bar}", end="\n" if done == number else "", file=sys.stderr, flush=True)
    elif filled > width * max(0, done - AT_ONCE) // number:
        print(bar, file=sys.stderr, flush=True)


def _times(engines: dict[int, sa.Engine], queries: int) -> dict[str, dict[int, list[float]]]:
    """Return the milliseconds of each search, by kind and by how many profiles there are."""
    config = configuration.load(ROOT / "config.yaml", {})
    ports = {number: build_ports(config, Sessions(engine), None) for number, engine in engines.items()}
    # What warms the caches up is not what is measured.
    for _, query in _mix(engines[FEW], queries // 2, chance=1):
        for each in ports.values():
            search_users(each, query=query)
    times: dict[str, dict[int, list[float]]] = defaultdict(lambda: {number: [] for number in ports})
    for turn, (kind, query) in enumerate(_mix(engines[FEW], queries, chance=2)):
        for number, each in sorted(ports.items(), reverse=bool(turn % 2)):
            took = _milliseconds(each, query)
            times[kind][number].append(took)
            times["all"][number].append(took)
    return times


def _milliseconds(ports: Ports, query: str) -> float:
    started = time.perf_counter()
    search_users(ports, query=query)
    return (time.perf_counter() - started) * 1000


def _mix(engine: sa.Engine, queries: int, *, chance: int) -> list[Query]:
    """Return queries after people who are in both databases."""
    dice = random.Random(chance)
    kinds = [kind for kind, share in MIX.items() for _ in range(share)]
    statement = sa.text("SELECT search_handle, search_name FROM profiles WHERE id = :id")
    with engine.connect() as connection:
        people = [connection.execute(statement, {"id": id_of(dice.randint(1, FEW))}).one() for _ in range(queries)]
    return [
        (kind, _query(kind, handle, name, dice)) for kind, (handle, name) in zip(cycle(kinds), people, strict=False)
    ]


def _query(kind: str, handle: str, name: str, dice: random.Random) -> str:
    if kind == "handle prefix":
        return handle[: dice.randint(3, 8)]
    # The last characters of a handle are hardly anybody else's.
    return name if kind == "two-word name" else handle[-4:]


def _table(times: dict[str, dict[int, list[float]]]) -> str:
    few, many = next(iter(times.values()))
    lines = [
        f"| search, ms | p50 of {few:,} | p50 of {many:,} | ratio | p95 of {few:,} | p95 of {many:,} | ratio |",
        f"|{' --- |' * 7}",
    ]
    for kind in (*MIX, "all"):
        a, b = (_quantiles(times[kind][number]) for number in (few, many))
        row = [kind] + [text for i in (0, 1) for text in (f"{a[i]:.1f}", f"{b[i]:.1f}", f"{b[i] / a[i]:.2f}×")]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def _quantiles(values: Sequence[float]) -> tuple[float, float]:
    return statistics.median(values), statistics.quantiles(values, n=20)[-1]


if __name__ == "__main__":
    print(measure())
