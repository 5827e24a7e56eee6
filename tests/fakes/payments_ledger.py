"""The books in memory, for use cases; passes the contract tests of the ones on PostgreSQL
(tests/integration/payments/test_payments_ledger_contract.py)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from lib.ids import new_id
from payments_svc.application.ledger_ports import EntryFilter, Place, Row, Step, Verdict
from payments_svc.application.verify_ledger import InvalidHead
from payments_svc.domain.ledger import Posting

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class FakeBooks:
    """Also the writing side: what is posted is committed.

    :param step: how many seals a step of the check goes past
    """

    def __init__(self, step: int = 100) -> None:
        self.rows: list[Row] = []
        self.sealed = 0
        self.watched = 0
        self.broken: str | None = None
        self._step = step

    def post(self, posting: Posting, now: datetime) -> None:
        for row in self.rows:
            if (row["kind"], row["source_id"]) == (posting.kind, posting.source_id):
                raise ValueError("this movement is posted already")
        transaction_id = new_id()
        for entry in posting.entries:
            self.rows.append(
                {
                    "id": new_id(),
                    "transaction_id": transaction_id,
                    "kind": posting.kind,
                    "source_id": posting.source_id,
                    "account": entry.account,
                    "amount": entry.amount,
                    "currency": posting.currency,
                    "customer_id": posting.customer_id,
                    "payment_id": posting.payment_id,
                    "refund_id": posting.refund_id,
                    "correlation_id": "test",
                    "posted_at": now,
                }
            )

    def balances(self, at: datetime) -> list[Row]:
        sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for row in self.rows:
            if row["posted_at"] <= at:
                sums[row["account"], row["currency"]][row["amount"] < 0] += abs(row["amount"])
        return [
            {"account": account, "currency": currency, "debits": debits, "credits": credits}
            for (account, currency), (debits, credits) in sorted(sums.items())
        ]

    def entries(self, wanted: EntryFilter, *, limit: int, before: UUID | None) -> list[Row]:
        found = [
            row
            for row in self.rows
            if wanted.account in (None, row["account"])
            and wanted.currency in (None, row["currency"])
            and wanted.payment_id in (None, row["payment_id"])
        ]

        def key(row: Row) -> Any:
            by_time = wanted.account is not None and wanted.payment_id is None
            return (row["posted_at"] if by_time else NOON, row["id"])

        found.sort(key=key, reverse=True)
        if before is not None:
            last = [row for row in found if row["id"] == before]
            found = [row for row in found if last and key(row) < key(last[0])]
        return found[:limit]

    def seal(self, at_most: int) -> int:
        sealed = min(at_most, len(self.rows) - self.sealed)
        self.sealed += sealed
        return sealed

    def watch(self) -> None:
        self.watched = self.sealed

    def verify(self, expected: str | None) -> Verdict:
        self._missing(expected)
        return Verdict(self._head(self.sealed), self.broken or self._missing(expected))

    def verify_step(self, place: Place | None, expected: str | None) -> Step:
        missing = self._missing(expected)
        if self.broken is not None:
            return Step(None, None, self.broken)
        if place is not None and place.stage == "entries":
            return Step(None, self._head(self.sealed), None)
        position = min(self.sealed, (0 if place is None else place.position) + self._step)
        if position < self.sealed:
            return Step(Place("seals", position, _hash(position)), self._head(position), None)
        if missing is not None:
            return Step(None, self._head(position), missing)
        last = self.rows[0]["id"] if self.rows else UUID(int=0)
        return Step(Place("entries", position, _hash(position), last), self._head(position), None)

    def _missing(self, expected: str | None) -> str | None:
        if expected is None:
            return None
        position, colon, digest = expected.partition(":")
        if not (position.isdecimal() and colon and len(digest) == 64):
            raise InvalidHead("this is no head", "/expected")
        return f"the end is missing, up to {position} at least" if int(position) > self.sealed else None

    def _head(self, position: int) -> str | None:
        return f"{position}:{_hash(position).hex()}" if position else None


def _hash(position: int) -> bytes:
    return sha256(str(position).encode()).digest()


@dataclass
class FakeDesk:
    """As much of the service's ports as the books need. ``moment`` is what the clock says."""

    ledger: FakeBooks = field(default_factory=FakeBooks)
    moment: datetime = NOON

    def now(self) -> datetime:
        return self.moment
