"""What a page of the past costs on PostgreSQL: it reads a page, however long the past is and whatever is looked for."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from lib.ids import EPOCH, new_id
from payments_svc.application.history_ports import PaymentFilter, Period, Place
from payments_svc.domain.payment_status import PaymentStatus
from payments_svc.infrastructure.sql_history import TRAIL, TRANSACTIONS, bounds, found_by, values_of
from tests.support import databases
from tests.support.seeded_history import BEGAN, CANCELED_REFERENCE, RARE, seed

MANY, LIMIT = 12_000, 21
START = EPOCH + timedelta(milliseconds=BEGAN)
MIDDLE = Place(START + timedelta(seconds=MANY // 2), new_id())


pytestmark = pytest.mark.usefixtures("without_autovacuum")


def rows_read(session: Any, statement: Any, values: dict[str, Any]) -> tuple[int, set[str]]:
    """Run a statement; return how many rows its scans have looked at, and how they scanned."""
    compiled = statement.compile(dialect=session.get_bind().dialect)
    text = sa.text(f"EXPLAIN (ANALYZE, FORMAT JSON) {_with_names(compiled)}")
    found = session.execute(text.bindparams(*_typed(compiled, values))).scalar_one()
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    read, scans = 0, set()

    def walk(node: dict[str, Any]) -> None:
        nonlocal read
        if "Scan" in node["Node Type"] and node["Node Type"] != "Subquery Scan":
            removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            read += (node["Actual Rows"] + removed) * node["Actual Loops"]
            scans.add(f"{node['Node Type']} {node.get('Relation Name', '')} {node.get('Index Name', '')}")
        for child in node.get("Plans", ()):
            walk(child)

    walk(plan)
    return int(read), scans


def _with_names(compiled: Any) -> str:
    text = str(compiled)
    for name in compiled.params:
        text = text.replace(f"%({name})s", f"(:{name})")
    return text


def _typed(compiled: Any, values: dict[str, Any]) -> list[Any]:
    return [
        sa.bindparam(name, {**compiled.params, **values}[name], type_=compiled.binds[name].type)
        for name in compiled.params
    ]


PERIODS = {
    "all of it": Period(),
    "from late on": Period(since=START + timedelta(seconds=MANY - 5)),
    "up to early": Period(until=START + timedelta(seconds=50)),
    "in the middle": Period(START + timedelta(seconds=MANY // 2), START + timedelta(seconds=MANY // 2 + 1000)),
    "nothing in it": Period(START + timedelta(days=900), START + timedelta(days=901)),
}
_TRAIL_OF_ONE = """
INSERT INTO audit_entries (id, payment_id, customer_id, actor_kind, action, before, after, correlation_id, occurred_at)
SELECT gen_random_uuid(), CASE WHEN n % 3 > 0 THEN :payment_id ELSE gen_random_uuid() END, :customer_id, 'system',
    'payment.checked', 'unknown', 'unknown', 'seeded', now() FROM generate_series(1, :number) AS n
"""


@pytest.fixture
def long_history(payments_sessions: Any, migrated: dict[str, str]) -> tuple[Any, UUID, UUID]:
    """Return the way to it, whose it is, and a payment with a long trail."""
    ann, bob, payment = new_id(), new_id(), new_id()
    with payments_sessions() as session:
        seed(session.connection(), ann, MANY)
        seed(session.connection(), bob, 500)
        session.execute(sa.text(_TRAIL_OF_ONE), {"payment_id": payment, "customer_id": ann, "number": MANY})
        session.commit()
    admin = databases.admin(databases.on_database(migrated["POSTGRES_SUPERUSER_URL"], "payments_sql"))
    with admin.connect() as connection:
        connection.execute(sa.text("VACUUM ANALYZE ledger_entries, payments, audit_entries"))
    admin.dispose()
    return payments_sessions, ann, payment


def test_a_page_reads_a_page(long_history: Any) -> None:
    """Whatever the period is, and wherever in it the page is."""
    sessions, ann, _ = long_history
    with sessions() as session:
        for name, period in PERIODS.items():
            for before in (None, MIDDLE):
                values = {"customer_id": ann, "most": LIMIT, **bounds(period, before)}
                read, scans = rows_read(session, TRANSACTIONS, values)
                # With the payment to each.
                assert read <= 2 * LIMIT, f"{name}: {read} rows by {scans}"
                assert "Index Scan ledger_entries ledger_entries_history" in scans, name


FILTERS = {
    "anything": {},
    "what succeeded": {"status": PaymentStatus.SUCCEEDED},
    "what is rare": {"status": PaymentStatus(RARE)},
    "what was canceled": {"status": PaymentStatus.CANCELED},
    "what nobody has": {"status": PaymentStatus.PROCESSING},
    "a customer's": {"customer_id": None},
    "a customer's that succeeded": {"customer_id": None, "status": PaymentStatus.SUCCEEDED},
    "a customer's that are rare": {"customer_id": None, "status": PaymentStatus(RARE)},
    "a reference": {"customer_id": None, "reference": "order-6000"},
    "a reference of several": {"customer_id": None, "reference": CANCELED_REFERENCE},
    "a reference in a status": {
        "customer_id": None, "reference": CANCELED_REFERENCE, "status": PaymentStatus.SUCCEEDED,
    },
}  # fmt: skip


def test_the_staff_reads_a_page_whatever_it_looks_for(long_history: Any) -> None:
    sessions, ann, _ = long_history
    with sessions() as session:
        for (looked_for, filter), (period_name, period), before in product(
            FILTERS.items(), PERIODS.items(), (None, MIDDLE)
        ):
            wanted = PaymentFilter(**{**filter, **({"customer_id": ann} if "customer_id" in filter else {})})
            values = {**values_of(wanted), "most": LIMIT, **bounds(period, before)}
            read, scans = rows_read(session, found_by(wanted), values)
            # The statuses themselves, and a page of each of them at most.
            most = len(values["statuses"]) * (LIMIT + 1)
            assert read <= most, f"{looked_for}, {period_name}: {read} rows by {scans}"
            assert not [each for each in scans if each.startswith("Seq Scan")], (looked_for, period_name)


def test_a_page_of_a_trail_reads_a_page(long_history: Any) -> None:
    sessions, _, payment = long_history
    with sessions() as session:
        for before in (UUID(int=2**128 - 1), UUID(int=2**127), UUID(int=0)):
            read, scans = rows_read(session, TRAIL, {"payment_id": payment, "most": LIMIT, "before": before})
            assert read <= LIMIT, f"{read} rows by {scans}"
            assert scans == {"Index Scan audit_entries audit_entries_payment_id"}


def test_the_statement_has_what_the_filter_has() -> None:
    everything = PaymentFilter(new_id(), PaymentStatus.SUCCEEDED, "order-17")
    text = str(found_by(everything))
    assert all(f"payments.{name} = :{name}" in text for name in ("customer_id", "reference"))
    assert values_of(everything)["statuses"] == ["succeeded"]
    assert "payments.customer_id" not in str(found_by(PaymentFilter())).partition("WHERE")[2]
