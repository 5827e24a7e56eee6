"""A page of a short history and of a very long one: ``python -m benchmarks.history``, part of ``make bench``.

Pages of 20 anywhere in the history of one customer, and anywhere in what the staff finds, in turn from both databases,
on a PostgreSQL of their own, with a payment to each movement: what is measured is what the service does for a call; the
broker adds the same to both. Then the long one, as an export reads it.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from benchmarks.load import ROOT
from deploy.local.infra import Infrastructure
from lib import config as configuration
from lib import migrations
from lib.database import Sessions, make_engine
from lib.ids import EPOCH, new_id
from payments_svc.application.find_payments import find_payments
from payments_svc.application.history_ports import PaymentFilter, Place
from payments_svc.application.list_transactions import MAX_EXPORTED, list_transactions
from payments_svc.application.pages import Page, encoded_cursor
from payments_svc.application.ports import Ports
from payments_svc.bootstrap import build_ports
from payments_svc.domain.payment_status import PaymentStatus
from tests.support import databases
from tests.support.seeded_history import BEGAN, RARE, seed

FEW = 10_000
MANY = int(os.environ.get("BENCH_TRANSACTIONS", "1000000"))
PAGES = int(os.environ.get("BENCH_PAGES", "2000"))
EXPORTED_PAGES = 100
SPARE = 2500
AT_ONCE = 50_000
CUSTOMER = new_id()

Ask = Callable[[Ports, Place], Page]


def measure(many: int = MANY, pages: int = PAGES) -> str:
    """Return the table of times, in Markdown."""
    if many <= FEW:
        return f"history: not measured, for BENCH_TRANSACTIONS is not above {FEW}"
    with tempfile.TemporaryDirectory(prefix="bench-history-") as folder:
        servers = Infrastructure(Path(folder) / "postgres", preferred=False, durable=False, parts=("postgres",))
        try:
            servers.start()
            environment = servers.environment()
            url = databases.on_database(environment["PAYMENTS_MIGRATION_DATABASE_URL"], "payments")
            migrations.upgrade("payments_svc", url, "payments_app")
            engines = {number: _filled(environment, number) for number in (FEW, many)}
            try:
                return _table(engines, pages)
            finally:
                for engine in engines.values():
                    engine.dispose()
        finally:
            servers.destroy()


def _filled(environment: dict[str, str], number: int) -> sa.Engine:
    """Make a database with so many movements of one customer; return the way into it that the service has."""
    name, superuser = f"payments_{number}", environment["POSTGRES_SUPERUSER_URL"]
    databases.copy(superuser, "payments", name)
    admin = databases.admin(databases.on_database(superuser, name))
    with admin.connect() as connection:
        # The sums are right by construction: the trigger that looks at them would take most of the time.
        connection.execute(sa.text("SET session_replication_role = replica"))
        for first in range(1, number + 1, AT_ONCE):
            seed(connection, CUSTOMER, min(AT_ONCE, number + 1 - first), first=first)
        connection.execute(sa.text("VACUUM ANALYZE ledger_entries, payments"))
    admin.dispose()
    url = databases.on_database(environment["PAYMENTS_DATABASE_URL"], name)
    return make_engine(url, statement_timeout=10, pool_size=1, application_name="benchmark")


def _table(engines: dict[int, sa.Engine], pages: int) -> str:
    config = configuration.load(ROOT / "config.yaml", {})
    ports = {number: build_ports(config, Sessions(engine)) for number, engine in engines.items()}
    few, many = sorted(ports)
    lines = [f"| page of 20, ms | {few:,} | {many:,} | ratio |", f"|{' --- |' * 4}"]
    for asked, ask in ASKED.items():
        _times(ports, ask, pages // 4, chance=1)
        times = _times(ports, ask, pages, chance=2)
        for name, quantile in (("p50", 9), ("p95", 18)):
            a, b = (statistics.quantiles(times[number], n=20)[quantile] for number in (few, many))
            lines.append(f"| {asked}, {name} | {a:.2f} | {b:.2f} | {b / a:.2f}× |")
    return "\n".join([*lines, "", _export(ports[many])])


def _transactions(ports: Ports, last: Place) -> Page:
    cursor = encoded_cursor(last, f"transactions:{CUSTOMER}:None:None:")
    return list_transactions(ports, user_id=str(CUSTOMER), cursor=cursor)


def _found(ports: Ports, last: Place) -> Page:
    return find_payments(ports, cursor=encoded_cursor(last, f"found:{PaymentFilter()}:"))


def _found_rare(ports: Ports, last: Place) -> Page:
    status = PaymentStatus(RARE)
    return find_payments(ports, status=status, cursor=encoded_cursor(last, f"found:{PaymentFilter(status=status)}:"))


ASKED: dict[str, Ask] = {
    "transactions": _transactions,
    "the staff, any payment": _found,
    f"the staff, `{RARE}`": _found_rare,
}


def _times(ports: dict[int, Ports], ask: Ask, pages: int, *, chance: int) -> dict[int, list[float]]:
    dice = random.Random(chance)
    times: dict[int, list[float]] = {number: [] for number in ports}
    for turn in range(pages):
        place = dice.random()
        for number, each in sorted(ports.items(), reverse=bool(turn % 2)):
            # Somewhere in it, one movement a second, and where there are enough rare ones left.
            seconds = SPARE + int((number - SPARE) * place)
            last = Place(EPOCH + timedelta(milliseconds=BEGAN, seconds=seconds), new_id())
            started = time.perf_counter()
            found = ask(each, last)
            times[number].append((time.perf_counter() - started) * 1000)
            assert len(found.data) == 20
    return times


def _export(ports: Ports) -> str:
    cursor, rows, peaks = None, 0, []
    started = time.perf_counter()
    tracemalloc.start()
    for _ in range(EXPORTED_PAGES):
        tracemalloc.reset_peak()
        page = list_transactions(ports, user_id=str(CUSTOMER), limit=MAX_EXPORTED, most=MAX_EXPORTED, cursor=cursor)
        rows, cursor = rows + len(page.data), page.next_cursor
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    took = time.perf_counter() - started
    growth = max(peaks[EXPORTED_PAGES // 2 :]) / max(peaks[: EXPORTED_PAGES // 2])
    return (
        f"Export: {rows / took:,.0f} rows/s read; most memory of the second half of {EXPORTED_PAGES} pages of"
        f" {MAX_EXPORTED} against that of the first: {growth:.2f}×"
    )


if __name__ == "__main__":
    print(measure())
