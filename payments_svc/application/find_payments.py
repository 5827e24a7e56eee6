"""The staff looks for payments of anybody."""

from __future__ import annotations

from payments_svc.application.history_ports import PaymentFilter, Period
from payments_svc.application.pages import Page, page_by_time
from payments_svc.application.ports import Ports
from payments_svc.domain.arguments import BadArgument, checked_text, parse_user_id
from payments_svc.domain.details import MAX_REFERENCE
from payments_svc.domain.payment_status import PaymentStatus
from payments_svc.domain.period import parse_moment


class InvalidFilter(BadArgument):
    code = "invalid_filter"


def find_payments(
    ports: Ports,
    *,
    customer_id: str | None = None,
    status: str | None = None,
    reference: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int = 20,
    cursor: str | None = None,
) -> Page:
    """Return payments, newest first.

    :param reference: a customer's own key, so only together with `customer_id`
    """
    if status is not None and status not in set(PaymentStatus):
        raise InvalidFilter("there is no such status", "/status")
    if reference is not None and customer_id is None:
        raise InvalidFilter("a reference is a customer's: say whose", "/reference")
    wanted = PaymentFilter(
        customer_id=None if customer_id is None else parse_user_id(customer_id),
        status=None if status is None else PaymentStatus(status),
        reference=None if reference is None else checked_text(reference, "/reference", longest=MAX_REFERENCE),
        period=Period(parse_moment(since, "/from"), parse_moment(until, "/to")),
    )
    return page_by_time(
        lambda at_most, before: ports.history.find_payments(wanted, limit=at_most, before=before),
        time="created_at",
        of=f"found:{wanted}:",
        limit=limit,
        cursor=cursor,
    )
