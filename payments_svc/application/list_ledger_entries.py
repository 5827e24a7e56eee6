"""The staff reads in the books."""

from __future__ import annotations

from payments_svc.application.ledger_ports import EntryFilter
from payments_svc.application.pages import Page, page
from payments_svc.application.ports import Ports
from payments_svc.domain.arguments import BadArgument, checked_text, parse_id
from payments_svc.domain.money import known_currency

MAX_ACCOUNT = 64


class InvalidFilter(BadArgument):
    code = "invalid_filter"


def list_ledger_entries(
    ports: Ports,
    *,
    account: str | None = None,
    currency: str | None = None,
    payment_id: str | None = None,
    limit: int = 20,
    cursor: str | None = None,
) -> Page:
    """Return entries, newest first.

    :param account: together with the currency: entries of that balance
    :param payment_id: entries of that payment and its refunds
    """
    if (account is None) != (currency is None):
        missing = "/account" if account is None else "/currency"
        raise InvalidFilter("an account has a balance in each currency: name both or neither", missing)
    payment = None if payment_id is None else parse_id(payment_id)
    if payment_id is not None and payment is None:
        raise InvalidFilter("the payment's id is a UUID", "/payment_id")
    wanted = EntryFilter(
        account=None if account is None else checked_text(account, "/account", longest=MAX_ACCOUNT),
        currency=None if currency is None else known_currency(currency),
        payment_id=payment,
    )
    return page(
        lambda at_most, before: ports.ledger.entries(wanted, limit=at_most, before=before),
        of=f"ledger entries:{wanted}:",
        limit=limit,
        cursor=cursor,
    )
