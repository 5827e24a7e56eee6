"""The books in tests: postings, and what is in the tables afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from lib.database import Sessions
from lib.ids import new_id, utc_now
from lib.uow import SqlUnitOfWork
from payments_svc.domain.ledger import SALES, Entry, Posting, PostingKind, move, provider_account
from payments_svc.infrastructure.sql_ledger import SqlBooks, SqlLedger

BANK = provider_account("sandbox")


@dataclass
class Desk:
    """As much of the service's ports as the books need."""

    ledger: SqlBooks
    now: Any = field(default=utc_now)


def capture(
    amount: int = 1050,
    currency: str = "EUR",
    *,
    kind: PostingKind = PostingKind.CAPTURE,
    source_id: UUID | None = None,
    customer_id: UUID | None = None,
    entries: Sequence[Entry] | None = None,
) -> Posting:
    """Return the posting of money that a customer has paid, or another one."""
    source = source_id or new_id()
    return Posting(
        kind=kind,
        source_id=source,
        payment_id=source,
        refund_id=None,
        customer_id=customer_id or new_id(),
        currency=currency,
        entries=tuple(entries or move(debit=BANK, credit=SALES, amount=amount)),
    )


def unchecked(posting: Posting, *entries: Entry) -> Posting:
    """Return the posting with entries that the domain would refuse."""
    object.__setattr__(posting, "entries", entries)
    return posting


def post(sessions: Sessions, *postings: Posting, at: datetime | None = None, locking: bool = False) -> None:
    """Write postings in one transaction.

    :param locking: as of a use case that has locked something before: the commit is a message of its own
    """
    with SqlUnitOfWork(sessions) as uow:
        ledger = SqlLedger(uow)
        if locking:
            uow.session.connection()
        for each in postings:
            ledger.post(each, at or utc_now())
        uow.commit()


def ask(sessions: Sessions, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with sessions() as session:
        return [tuple(row) for row in session.execute(sa.text(query), parameters)]


# Written out, so that nothing of ours stands in between.
INSERT = (
    "insert into ledger_entries (id, transaction_id, kind, source_id, account, amount, currency, customer_id,"
    " payment_id, correlation_id, posted_at) values (:id, :transaction_id, :kind, :source_id, :account, :amount,"
    " :currency, :owner, :owner, 'test', now())"
)


def row(**changes: Any) -> dict[str, Any]:
    """Return the values of an entry that is right by itself."""
    usual = {"kind": "capture", "account": SALES, "amount": -5, "currency": "EUR"}
    ids = {name: new_id() for name in ("id", "transaction_id", "source_id", "owner")}
    return {**ids, **usual, **changes}


def insert(sessions: Sessions, *rows: dict[str, Any]) -> None:
    """Put entries in past the queue, in one transaction."""
    with sessions() as session:
        for each in rows:
            session.execute(sa.text(INSERT), each)
        session.commit()
