"""What operators see of the books on ``/metrics``.

Nothing is summed anew for a scrape: each process follows the seals, and adds what was sealed since it looked last. A
new process begins at the first entry, a part at a time; ``payments_ledger_summed_entries`` says how far it is. So the
figures are about what is sealed, half a second or so behind, and they do not see what is changed afterwards: verifying
does.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable

import sqlalchemy as sa
from prometheus_client import Counter, Gauge
from sqlalchemy.orm import Session

from payments_svc.infrastructure.ledger_tables import ledger_entries, ledger_seals, ledger_unsealed

log = logging.getLogger(__name__)

#: seconds between two looks, but for a process that has much to catch up with
WATCHED_EVERY = 2.0
#: seconds between two lines in the log
TOLD_EVERY = 60.0
#: entries that are summed at a time
PART = 50_000
#: entries without a seal are counted so far
COUNTED = 100_000

ENTRIES = Gauge("payments_ledger_entries", "Entries in the books, with a seal or without")
POSITION = Gauge("payments_ledger_sealed_entries", "Entries in the books that have their seal")
SEALED = Counter("payments_ledger_sealed_total", "Entries that this process has sealed")
WAITING = Gauge("payments_ledger_unsealed_entries", f"Entries that wait for their seal, counted up to {COUNTED}")
OLDEST = Gauge("payments_ledger_oldest_unsealed_seconds", "Age of the oldest entry that waits for its seal")
SUMMED = Gauge("payments_ledger_summed_entries", "Entries that the difference and the balances are about")
WATCHED = Gauge("payments_ledger_watched_timestamp_seconds", "When these figures were read, in seconds since 1970")
DIFFERENCE = Gauge(
    "payments_ledger_difference", "Debits minus credits in minor units; anything but 0 is an alarm", ["currency"]
)
BALANCE = Gauge("payments_ledger_balance", "Debits minus credits in minor units", ["account", "currency"])

_HEAD = sa.select(ledger_seals.c.position, ledger_seals.c.hash).order_by(ledger_seals.c.position.desc()).limit(1)
_SUMS = (
    sa.select(ledger_entries.c.account, ledger_entries.c.currency, sa.func.sum(ledger_entries.c.amount).label("amount"))
    .join_from(ledger_seals, ledger_entries, ledger_entries.c.id == ledger_seals.c.row_id)
    .where(ledger_seals.c.position > sa.bindparam("after"), ledger_seals.c.position <= sa.bindparam("upto"))
    .group_by(ledger_entries.c.account, ledger_entries.c.currency)
)
_queued = sa.select(ledger_unsealed.c.added_at).limit(COUNTED).subquery()
_WAITING = sa.select(
    sa.func.count().label("number"),
    sa.func.coalesce(
        sa.func.extract("epoch", sa.func.clock_timestamp() - sa.func.min(_queued.c.added_at)), sa.literal(0)
    ).label("age"),
)


class LedgerWatch:
    """One process's view of the books.

    :param balances: whether balances are for the metrics; the difference always is
    :param clock: seconds that only grow
    """

    def __init__(self, *, balances: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._balances = balances
        self._clock = clock
        self._sums: dict[tuple[str, str], int] = defaultdict(int)
        self._summed = 0
        self._looked_at: float | None = None
        self._told: tuple[float, str] | None = None

    def look(self, session: Session) -> None:
        """Bring the metrics up to date, unless that was done a moment ago; put the head into the log now and then."""
        now = self._clock()
        if self._looked_at is not None and now - self._looked_at < WATCHED_EVERY:
            return
        head = session.execute(_HEAD).first()
        position = 0 if head is None else head.position
        behind = self._add_up(session, position)
        waiting = session.execute(_WAITING).one()
        POSITION.set(position)
        ENTRIES.set(position + waiting.number)
        WAITING.set(waiting.number)
        OLDEST.set(float(waiting.age))
        WATCHED.set_to_current_time()
        self._looked_at = None if behind else now
        if head is not None:
            self._tell(f"{position}:{bytes(head.hash).hex()}", now)

    def _add_up(self, session: Session, position: int) -> bool:
        """Add the next part to the sums; return whether there is more."""
        if position < self._summed:
            # Somebody has cut the end off. What is left is counted from the beginning.
            self._sums.clear()
            self._summed = 0
            DIFFERENCE.clear()
            BALANCE.clear()
        upto = min(position, self._summed + PART)
        if upto > self._summed:
            for row in session.execute(_SUMS, {"after": self._summed, "upto": upto}):
                self._sums[row.account, row.currency] += int(row.amount)
            self._summed = upto
            self._show()
        SUMMED.set(self._summed)
        return upto < position

    def _show(self) -> None:
        differences: dict[str, int] = defaultdict(int)
        for (account, currency), amount in self._sums.items():
            differences[currency] += amount
            if self._balances:
                BALANCE.labels(account, currency).set(amount)
        for currency, difference in differences.items():
            DIFFERENCE.labels(currency).set(difference)

    def _tell(self, head: str, now: float) -> None:
        told_at, told = self._told or (None, None)
        if head != told and (told_at is None or now - told_at >= TOLD_EVERY):
            log.info("ledger head %s", head)
            self._told = now, head
