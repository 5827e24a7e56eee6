"""The books, in the words of the use cases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from payments_svc.domain.ledger import Posting

Row = dict[str, Any]


class Ledger(Protocol):
    """The writing side, in the transaction of the change."""

    def post(self, posting: Posting, now: datetime) -> None:
        """Write a posting on commit; a second one of the same kind and source makes the commit fail."""


@dataclass(frozen=True)
class EntryFilter:
    """Which entries; None is any.

    :param account: only together with the currency: that is what has a balance
    """

    account: str | None = None
    currency: str | None = None
    payment_id: UUID | None = None


@dataclass(frozen=True)
class Verdict:
    """What going through all of the books has shown.

    :param head: the last seal, as ``42:9f86d0…``; None if nothing is sealed
    :param broken: one line that names the first entry or transaction that is not as it was; None if all are
    """

    head: str | None
    broken: str | None


Stage = Literal["seals", "entries"]
BEFORE_ALL = UUID(int=0)


@dataclass(frozen=True)
class Place:
    """How far somebody has come who goes through the books step by step.

    First along the seals, then along the entries, for one that has none.

    :param position: of the last seal that was looked at; 0 at the beginning
    :param hash: of that seal
    :param last: the last entry that was looked at, in the second stage; every entry comes after the default
    """

    stage: Stage
    position: int
    hash: bytes
    last: UUID = BEFORE_ALL


@dataclass(frozen=True)
class Step:
    """What one step has shown.

    :param place: to go on from; None at the end, or where the books are broken
    :param checked: the last seal that was found to be right, as ``42:9f86d0…``; None if there is none
    :param broken: as of `Verdict`
    """

    place: Place | None
    checked: str | None
    broken: str | None


class Books(Protocol):
    """The books as a whole: questions to them, and their seals.

    A moment is exact if it is longer ago than the longest transaction takes: an entry has its time before it is
    committed.
    """

    def balances(self, at: datetime) -> list[Row]:
        """Return each account's sums of the entries up to and at a moment, by name.

        :returns: ``account, currency, debits, credits``, both not negative, in minor units
        """

    def entries(self, wanted: EntryFilter, *, limit: int, before: UUID | None) -> list[Row]:
        """Return up to `limit` entries, newest first, that come after the entry `before` in that order."""

    def seal(self, at_most: int) -> int:
        """Seal up to `at_most` entries that are committed and have no seal; return how many: none if another process
        is at it."""

    def watch(self) -> None:
        """Bring what operators see of the books, metrics and the head in the log, up to date."""

    def verify(self, expected: str | None) -> Verdict:
        """Go through everything, however long it takes; raises `InvalidHead`."""

    def verify_step(self, place: Place | None, expected: str | None) -> Step:
        """Go through a part from `place` on, within a second or so; raises `InvalidHead`."""
