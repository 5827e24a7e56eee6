"""The hash chain over the books, and how to go through them in steps that are short enough for a request."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Session

from lib.chain import ORIGIN, HashChain, Head, digest_of
from payments_svc.application.ledger_ports import Place, Step
from payments_svc.infrastructure.ledger_tables import ledger_entries, ledger_seals, ledger_unsealed

LOCK = 7_420_116
#: rows that are read at a time
BATCH = 2000
#: after which a step begins no further batch
STEP_SECONDS = 1.0
#: how long an entry may wait for its seal
UNSEALED_AFTER = timedelta(minutes=1)

# As `HashChain.verify` puts it.
ANEW = "the hash is not that of the expected head; the seals were made anew"
PAST_THE_QUEUE = "it was put in past the queue, or taken out of it"
WHY_LATE = "does the sealer run?"

_entries, _seals, _unsealed = ledger_entries.c, ledger_seals.c, ledger_unsealed.c


class BrokenError(Exception):
    """The books are not as they were written.

    :param checked: the last place where they are, if that is known
    """

    def __init__(self, text: str, checked: Place | None) -> None:
        super().__init__(text)
        self.checked = checked


class LedgerChain(HashChain):
    """The chain over the entries. Its steps find what `HashChain.verify` finds, and transactions that do not add up.

    Each step sees the books as they are by then. They only grow, so all steps together are one check.
    """

    def __init__(self) -> None:
        super().__init__(ledger_entries, ledger_seals, ledger_unsealed, lock=LOCK)
        self._next_seals = (
            sa.select(_seals.position, _seals.row_id, _seals.hash, *self._canonical)
            .outerjoin_from(ledger_seals, ledger_entries, _entries.id == _seals.row_id)
            .where(_seals.position > sa.bindparam("position"))
            .order_by(_seals.position)
            .limit(sa.bindparam("at_most", type_=sa.Integer))
        )
        last = sa.bindparam("last", type_=_entries.id.type)
        waits_too_long = _unsealed.added_at < sa.func.statement_timestamp() - UNSEALED_AFTER
        self._next_entries = (
            sa.select(
                _entries.id,
                _entries.transaction_id,
                sa.case((_seals.row_id.is_not(None), False), else_=waits_too_long).label("late"),
            )
            # Each side is told where to begin: PostgreSQL does not conclude it from the other one, and would go through
            # an index from its beginning.
            .outerjoin_from(ledger_entries, ledger_seals, (_seals.row_id == _entries.id) & (_seals.row_id > last))
            .outerjoin(ledger_unsealed, (_unsealed.row_id == _entries.id) & (_unsealed.row_id > last))
            .where(_entries.id > last)
            .order_by(_entries.id)
            .limit(sa.bindparam("at_most", type_=sa.Integer))
        )

    def step(
        self,
        session: Session,
        place: Place | None,
        expected: Head | None,
        *,
        at_most: int = BATCH,
        seconds: float = STEP_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> Step:
        """Go on from `place` for so many seconds, but for one batch at least.

        :param at_most: rows of a batch
        """
        started = clock()
        at = place or Place("seals", 0, ORIGIN)
        try:
            self._compare(session, at)
            while True:
                check = self._check_seals if at.stage == "seals" else self._check_entries
                following = check(session, at, expected, at_most)
                if following is None:
                    return Step(None, _head(at), None)
                at = following
                if clock() - started >= seconds:
                    return Step(at, _head(at), None)
        except BrokenError as broken:
            return Step(None, _head(broken.checked), str(broken))

    def _compare(self, session: Session, at: Place) -> None:
        """Raise if the seal that the last step ended with is not the one that stands there now."""
        found = session.scalar(sa.select(_seals.hash).where(_seals.position == at.position))
        if at.position and (found is None or bytes(found) != at.hash):
            raise BrokenError(f"position {at.position}: the seal has changed since the step before", None)

    def _check_seals(self, session: Session, at: Place, expected: Head | None, at_most: int) -> Place:
        rows = session.execute(self._next_seals, {"position": at.position, "at_most": at_most}).all()
        for row in rows:
            position = at.position + 1
            digest = digest_of(at.hash, position, self._values(row))
            if row.position != position:
                raise BrokenError(f"position {position}: the seal is missing", at)
            if digest != bytes(row.hash):
                what = "is missing" if row._mapping["canonical_id"] is None else "or its seal has been changed"
                raise BrokenError(f"position {position}: the row {row.row_id} {what}", at)
            if expected is not None and expected.position == position and expected.hash != digest:
                raise BrokenError(f"position {position}: {ANEW}", at)
            at = replace(at, position=position, hash=digest)
        if len(rows) == at_most:
            return at
        if expected is not None and expected.position > at.position:
            raise BrokenError(f"position {at.position + 1}: the end is missing, up to {expected.position} at least", at)
        if (finding := self._without_row(session)) is not None:
            raise BrokenError(str(finding), at)
        return replace(at, stage="entries")

    def _check_entries(self, session: Session, at: Place, _expected: Head | None, at_most: int) -> Place | None:
        rows = session.execute(self._next_entries, {"last": at.last, "at_most": at_most}).all()
        for row in rows:
            if row.late is not False:
                why = (
                    PAST_THE_QUEUE if row.late is None else f"it has waited for more than {UNSEALED_AFTER}; {WHY_LATE}"
                )
                raise BrokenError(f"no position: the row {row.id} has no seal: {why}", at)
        if not rows:
            return None
        if (text := unbalanced(session, {row.transaction_id for row in rows})) is not None:
            raise BrokenError(text, at)
        return replace(at, last=rows[-1].id)


def unbalanced(session: Session, among: Collection[UUID] | None = None) -> str | None:
    """Return one line about a transaction that does not add up: somebody has gone round the trigger. None if all do.

    :param among: ids of the transactions to look at; all of them without it
    """
    statement = (
        sa.select(_entries.transaction_id, _entries.currency, sa.func.sum(_entries.amount).label("difference"))
        .group_by(_entries.transaction_id, _entries.currency)
        .having(sa.func.sum(_entries.amount) != 0)
        .order_by(_entries.transaction_id)
        .limit(1)
    )
    if among is not None:
        # As one value: with a subquery in its place PostgreSQL may go through the whole index of transactions.
        ids = sa.bindparam("ids", list(among), type_=pg.ARRAY(_entries.transaction_id.type))
        statement = statement.where(_entries.transaction_id == sa.func.any(sa.cast(ids, ids.type)))
    row = session.execute(statement).first()
    if row is None:
        return None
    difference = f"{row.difference} minor units of {row.currency}"
    return f"transaction {row.transaction_id}: debits and credits differ by {difference}"


def _head(at: Place | None) -> str | None:
    return str(Head(at.position, at.hash)) if at is not None and at.position else None
