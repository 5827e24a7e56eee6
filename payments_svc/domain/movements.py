"""What a change of a payment leaves behind, beside its new state: entries in the books and in the audit trail.

They are recorded by the rule that makes the change, as events are, and written in the transaction of the change.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from lib.aggregate import Aggregate
from payments_svc.domain.ledger import Posting


@dataclass(frozen=True)
class Change:
    """One line of a payment's history.

    :param action: what was done or happened: ``capture.requested``, ``capture.succeeded``, ``refund.unknown``
    :param before, after: the payment's status, or the refund's where there is a `refund_id`
    :param amount: minor units that it was about, if it was about an amount
    :param code: the provider's reason for a refusal
    """

    action: str
    before: str
    after: str
    amount: int | None = None
    refund_id: UUID | None = None
    code: str | None = None


@dataclass(frozen=True)
class Deadlines:
    """When to look at a payment again, by what became of it.

    :param unknown: it may have happened: ask the provider
    :param accepted: the provider is at it and will tell: ask, in case its message is lost
    :param action: the customer has to act: give up waiting for them
    """

    unknown: datetime
    accepted: datetime
    action: datetime


class Bookkeeping(Aggregate):
    """An aggregate that records postings and changes as it records events."""

    def post(self, posting: Posting) -> None:
        """Record a movement of money; the unit of work writes it on commit."""
        # Through __dict__, because the ORM makes entities without calling __init__.
        self.__dict__.setdefault("_postings", []).append(posting)

    def note(self, change: Change) -> None:
        """Record a line of the history; the unit of work writes it on commit."""
        self.__dict__.setdefault("_changes", []).append(change)

    def pull_postings(self) -> list[Posting]:
        """Return and forget the recorded postings, oldest first."""
        recorded: list[Posting] = self.__dict__.pop("_postings", [])
        return recorded

    def pull_changes(self) -> list[Change]:
        """Return and forget the recorded changes, oldest first."""
        recorded: list[Change] = self.__dict__.pop("_changes", [])
        return recorded
