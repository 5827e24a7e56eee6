"""Look at what was paid and what went back: the customer's part of the books."""

from __future__ import annotations

from dataclasses import replace

from payments_svc.application.history_ports import Period, Row
from payments_svc.application.pages import MAX_LIMIT, Page, page_by_time
from payments_svc.application.ports import Ports
from payments_svc.domain.arguments import parse_user_id
from payments_svc.domain.ledger import PostingKind
from payments_svc.domain.money import written
from payments_svc.domain.period import parse_moment

MAX_EXPORTED = 500
"""Transactions that an export fetches at a time."""

TYPES = {
    PostingKind.CAPTURE: "payment",
    PostingKind.REFUND: "refund",
    # What was to go back and did not is the customer's payment again, whenever that was found out.
    PostingKind.REFUND_REVERSAL: "refund_failure",
    PostingKind.REFUND_RETURN: "refund_failure",
}


def list_transactions(
    ports: Ports,
    *,
    user_id: str,
    since: str | None = None,
    until: str | None = None,
    limit: int = 20,
    cursor: str | None = None,
    most: int = MAX_LIMIT,
) -> Page:
    """Return transactions, newest first.

    :param since: an RFC 3339 time or a date (UTC): from then on
    :param until: likewise: before then
    :param most: the largest `limit`
    """
    customer_id = parse_user_id(user_id)
    period = Period(parse_moment(since, "/from"), parse_moment(until, "/to"))
    found = page_by_time(
        lambda at_most, before: ports.history.transactions(customer_id, period, limit=at_most, before=before),
        time="posted_at",
        of=f"transactions:{customer_id}:{period.since}:{period.until}:",
        limit=limit,
        cursor=cursor,
        most=most,
    )
    return replace(found, data=[_shown(row) for row in found.data])


def _shown(row: Row) -> Row:
    return {**row, "type": TYPES[PostingKind(row["kind"])], "amount_decimal": _decimal(row["amount"], row["currency"])}


def _decimal(amount: int, currency: str) -> str:
    number, _, _ = written(abs(amount), currency).partition(" ")
    return f"-{number}" if amount < 0 else number
