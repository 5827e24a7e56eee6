"""A step of the check costs the same wherever in the books it is, and however long they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from payments_svc.application.ledger_ports import Place
from payments_svc.infrastructure.ledger_chain import LedgerChain
from tests.support import databases

pytestmark = pytest.mark.usefixtures("without_autovacuum")

ENTRIES = 60_000
#: small against the books, as the service's own is against books of a million
BATCH = 200
#: in the queue: of them the newest
WAITING = 200
#: rows that one step of a plan may handle; a transaction has two entries
MOST = 3 * BATCH

# Ids as they are in life: those of entries and of transactions both go with time, and a transaction's is made last.
_ID = "lpad(to_hex(1767225600000 + {moment}), 12, '0') || '7' || substr(md5({salt} || i), 1, 3) || '8'"
_FILL = f"""
WITH moves AS (
    SELECT i, ({_ID.format(moment="i * 20", salt="'e'")} || right(md5('e' || i), 14)) AS id,
        ({_ID.format(moment="i * 20 + 5", salt="'t'")} || right(md5('t' || i), 15))::uuid AS transaction_id
    FROM generate_series(1, CAST(:transactions AS bigint)) AS i
)
INSERT INTO ledger_entries (id, transaction_id, kind, source_id, account, amount, currency, customer_id, payment_id,
    correlation_id, posted_at)
SELECT (id || side)::uuid, transaction_id, 'capture', transaction_id,
    (ARRAY['provider:sandbox', 'sales'])[side + 1], (ARRAY[1, -1])[side + 1] * (i % 9999 + 1), 'EUR',
    md5((i % 500)::text)::uuid, transaction_id, 'seeded', timestamptz '2026-01-01' + i * interval '20 milliseconds'
FROM moves, generate_series(0, 1) AS side
"""
# No step gets as far as to compare a hash.
_SEALS = """
INSERT INTO ledger_seals (position, row_id, hash, sealed_at)
SELECT row_number() OVER (ORDER BY id), id, sha256(id::text::bytea), now() FROM ledger_entries
ORDER BY id LIMIT :sealed
"""
_QUEUE = "INSERT INTO ledger_unsealed (row_id) SELECT id FROM ledger_entries ORDER BY id DESC LIMIT :waiting"


@pytest.fixture
def books(payments_sessions: Any, migrated: Mapping[str, str]) -> Any:
    """Long books, known to PostgreSQL's statistics; all but the newest entries have their seals."""
    admin = databases.admin(databases.on_database(migrated["POSTGRES_SUPERUSER_URL"], "payments_sql"))
    with admin.connect() as connection:
        # Without the trigger, which looks at each transaction.
        connection.execute(sa.text("SET session_replication_role = replica"))
        connection.execute(sa.text(_FILL), {"transactions": ENTRIES // 2})
        connection.execute(sa.text(_SEALS), {"sealed": ENTRIES - WAITING})
        connection.execute(sa.text(_QUEUE), {"waiting": WAITING})
        connection.execute(sa.text("VACUUM ANALYZE ledger_entries, ledger_seals, ledger_unsealed"))
    admin.dispose()
    return payments_sessions


def place_at(session: Any, stage: Any, share: float) -> Place:
    """Return where a step goes on that has a share of the books behind it."""
    seals = round((ENTRIES - WAITING) * (share if stage == "seals" else 1))
    seal = session.execute(sa.text("SELECT hash FROM ledger_seals WHERE position = :at"), {"at": seals}).scalar()
    last = session.execute(
        sa.text("SELECT id FROM ledger_entries ORDER BY id OFFSET :at LIMIT 1"), {"at": round(ENTRIES * share)}
    ).scalar_one()
    place = Place(stage, seals, bytes(32) if seal is None else bytes(seal))
    return place if stage == "seals" or not share else Place(stage, place.position, place.hash, UUID(str(last)))


def statements_of_step(session: Any, place: Place) -> list[tuple[str, Any]]:
    """Return what a step of one batch asks PostgreSQL."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    connection = session.connection()
    sa.event.listen(connection, "before_cursor_execute", note)
    step = LedgerChain().step(session, place, None, at_most=BATCH, seconds=0)
    sa.event.remove(connection, "before_cursor_execute", note)
    assert step.broken is None or place.stage == "seals"
    return sent


def nodes_of(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for each in node.get("Plans", ()):
        yield from nodes_of(each)


def rows_of(node: Mapping[str, Any]) -> int:
    """Return how many rows a node has handled, those included that it left out."""
    left_out = sum(value for name, value in node.items() if name.startswith("Rows Removed by"))
    return int((node["Actual Rows"] + left_out) * node["Actual Loops"])


def test_no_step_reads_more_than_a_few_batches(books: Any) -> None:
    for stage, statements in (("seals", 2), ("entries", 3)):
        for share in (0, 0.5, 0.98):
            with books() as session:
                place = place_at(session, stage, share)
                sent = statements_of_step(session, place)
                # The seal of the step before, if there was one, the batch, and whether its transactions add up.
                assert len(sent) == statements, sent
                for statement, parameters in sent:
                    explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}"
                    (plan,) = session.connection().exec_driver_sql(explain, parameters).scalar_one()
                    for node in nodes_of(plan["Plan"]):
                        what = f"{stage} at {share:.0%}: {node['Node Type']} {node.get('Index Name', '')}"
                        assert rows_of(node) <= MOST, f"{what} handles {rows_of(node)} rows"
