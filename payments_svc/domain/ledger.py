"""Double entry: what every movement of money puts into the books.

A posting is immutable and its entries add up to zero, debits positive and credits negative. Corrections are more
postings. The chart of accounts is small on purpose:

- ``provider:<name>`` — what a provider owes us (asset): captured and not refunded yet
- ``sales`` — what customers have paid us (income); a customer's history is this account, by customer
- ``refunds_payable`` — refunds that we owe and the provider has not confirmed (liability)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

SALES, REFUNDS_PAYABLE = "sales", "refunds_payable"


def provider_account(name: str) -> str:
    """Return the account of what a provider owes us."""
    return f"provider:{name}"


class PostingKind(StrEnum):
    CAPTURE = "capture"
    REFUND = "refund"
    REFUND_SETTLEMENT = "refund_settlement"
    REFUND_REVERSAL = "refund_reversal"
    REFUND_RETURN = "refund_return"


class UnbalancedPostingError(Exception):
    """A mistake of ours: nothing of it may be written."""


@dataclass(frozen=True)
class Entry:
    """:param amount: in minor units; a debit is positive, a credit negative"""

    account: str
    amount: int


@dataclass(frozen=True)
class Posting:
    """One movement, unique by its kind and source: the database refuses a second one.

    :param source_id: the payment or refund that moved
    """

    kind: PostingKind
    source_id: UUID
    payment_id: UUID
    refund_id: UUID | None
    customer_id: UUID
    currency: str
    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        if len(self.entries) < 2 or sum(each.amount for each in self.entries) != 0:
            raise UnbalancedPostingError(f"{self.kind}: the entries do not add up to zero")
        if any(each.amount == 0 for each in self.entries):
            raise UnbalancedPostingError(f"{self.kind}: an entry moves nothing")
        if len({each.account for each in self.entries}) < len(self.entries):
            raise UnbalancedPostingError(f"{self.kind}: an account stands there twice")


def move(*, debit: str, credit: str, amount: int) -> tuple[Entry, Entry]:
    """Return the two entries that move `amount` minor units."""
    return Entry(debit, amount), Entry(credit, -amount)
