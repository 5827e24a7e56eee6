"""The books on PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from lib import context
from lib.chain import Head
from lib.database import Sessions
from lib.ids import new_id
from lib.uow import SqlUnitOfWork
from lib.writes import Form
from payments_svc.application.ledger_ports import EntryFilter, Place, Row, Step, Verdict
from payments_svc.application.verify_ledger import InvalidHead
from payments_svc.domain.ledger import Posting
from payments_svc.infrastructure.ledger_chain import LedgerChain, unbalanced
from payments_svc.infrastructure.ledger_metrics import SEALED, LedgerWatch
from payments_svc.infrastructure.ledger_tables import ledger_entries

CHAIN = LedgerChain()

_columns = ledger_entries.c
_OF_EACH = {"ids": _columns.id, "accounts": _columns.account, "amounts": _columns.amount}
_COMMON = [column for column in _columns if column not in set(_OF_EACH.values())]
_POST = Form(
    # All of a posting and its places in the queue, however many entries it has, in one statement: it is on the way of
    # every charge. Only names of columns, which are ours.
    "WITH posted AS (INSERT INTO ledger_entries (id, account, amount, {common})"  # noqa: S608
    " SELECT id, account, amount, {values}"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:accounts AS text[]), CAST(:amounts AS bigint[]))"
    " AS entries (id, account, amount) RETURNING id)"
    " INSERT INTO ledger_unsealed (row_id) SELECT id FROM posted".format(
        common=", ".join(column.name for column in _COMMON),
        values=", ".join(f"CAST(:{column.name} AS {column.type.compile(pg.dialect())})" for column in _COMMON),
    ),
    {
        **{column.name: column.type for column in _COMMON},
        **{name: pg.ARRAY(column.type) for name, column in _OF_EACH.items()},
    },
)

_BALANCES = (
    sa.select(
        _columns.account,
        _columns.currency,
        sa.func.coalesce(sa.func.sum(_columns.amount).filter(_columns.amount > 0), 0).label("debits"),
        sa.func.coalesce(-sa.func.sum(_columns.amount).filter(_columns.amount < 0), 0).label("credits"),
    )
    .where(_columns.posted_at <= sa.bindparam("at"))
    .group_by(_columns.account, _columns.currency)
    .order_by(_columns.account, _columns.currency)
)
_POSTED_AT = sa.select(_columns.posted_at).where(_columns.id == sa.bindparam("id"))


class SqlLedger:
    """The postings of one transaction; written on commit."""

    def __init__(self, uow: SqlUnitOfWork) -> None:
        self._uow = uow

    def post(self, posting: Posting, now: datetime) -> None:
        entries = posting.entries
        self._uow.later(
            _POST,
            ids=[new_id() for _ in entries],
            accounts=[each.account for each in entries],
            amounts=[each.amount for each in entries],
            transaction_id=new_id(),
            kind=posting.kind,
            source_id=posting.source_id,
            currency=posting.currency,
            customer_id=posting.customer_id,
            payment_id=posting.payment_id,
            refund_id=posting.refund_id,
            correlation_id=context.current().correlation_id,
            posted_at=now,
        )


class SqlBooks:
    """:param balances: whether operators see balances among the metrics"""

    def __init__(self, sessions: Sessions, *, balances: bool) -> None:
        self._sessions = sessions
        self._watch = LedgerWatch(balances=balances)

    def balances(self, at: datetime) -> list[Row]:
        rows = self._sessions.all(_BALANCES, at=at)
        # PostgreSQL's sums have no end, and come as decimals.
        return [{**row, "debits": int(row["debits"]), "credits": int(row["credits"])} for row in rows]

    def entries(self, wanted: EntryFilter, *, limit: int, before: UUID | None) -> list[Row]:
        query = sa.select(ledger_entries).limit(limit)
        if wanted.payment_id is not None:
            query = query.where(_columns.payment_id == wanted.payment_id)
        if wanted.account is None:
            return self._by_id(query, before)
        query = query.where(_columns.account == wanted.account, _columns.currency == wanted.currency)
        return self._by_id(query, before) if wanted.payment_id is not None else self._by_time(query, before)

    def _by_id(self, query: sa.Select[tuple[UUID]], before: UUID | None) -> list[Row]:
        # Ids are UUIDv7: their order is that of time.
        if before is not None:
            query = query.where(_columns.id < before)
        return self._sessions.all(query.order_by(_columns.id.desc()))

    def _by_time(self, query: sa.Select[tuple[UUID]], before: UUID | None) -> list[Row]:
        # As the index of the accounts has it.
        if before is not None:
            row = self._sessions.first(_POSTED_AT, id=before)
            if row is None:
                return []
            place = sa.literal(row["posted_at"], _columns.posted_at.type), sa.literal(before, _columns.id.type)
            query = query.where(sa.tuple_(_columns.posted_at, _columns.id) < sa.tuple_(*place))
        return self._sessions.all(query.order_by(_columns.posted_at.desc(), _columns.id.desc()))

    def seal(self, at_most: int) -> int:
        if not CHAIN.was_busy and self._sessions.first(CHAIN.waiting) is None:
            return 0
        with self._sessions() as session:
            sealed = CHAIN.seal(session, at_most=at_most)
            if sealed is None:
                return 0
            session.commit()
        SEALED.inc(len(sealed.rows))
        return len(sealed.rows)

    def watch(self) -> None:
        with self._sessions() as session:
            self._watch.look(session)

    def verify(self, expected: str | None) -> Verdict:
        wanted = _head(expected)
        with self._sessions() as session:
            # It takes as long as it takes.
            session.execute(sa.text("SET LOCAL statement_timeout = 0"))
            session.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            head = CHAIN.head(session)
            finding = CHAIN.verify(session, expected=wanted)
            broken = unbalanced(session) if finding is None else str(finding)
        return Verdict(head=None if head is None else str(head), broken=broken)

    def verify_step(self, place: Place | None, expected: str | None) -> Step:
        with self._sessions() as session:
            return CHAIN.step(session, place, _head(expected))


def _head(text: str | None) -> Head | None:
    try:
        return None if text is None else Head.parse(text)
    except ValueError as exc:
        raise InvalidHead(str(exc), "/expected") from exc
