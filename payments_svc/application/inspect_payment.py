"""The staff looks at one payment of anybody, with its refunds and all that happened to it."""

from __future__ import annotations

from uuid import UUID

from payments_svc.application.history_ports import By, Row
from payments_svc.application.pages import Page, page
from payments_svc.application.ports import Ports
from payments_svc.domain.arguments import parse_id
from payments_svc.domain.movements import Change
from payments_svc.domain.payment_errors import PaymentNotFound

SHOWN_REFUNDS = 100


def inspect_payment(ports: Ports, *, payment_id: str, by: By) -> Row:
    """Return the payment and up to `SHOWN_REFUNDS` of its refunds, newest first; the look itself is in the trail."""
    payment = _existing(ports, payment_id)
    with ports.unit_of_work() as uow:
        seen = Change("payment.inspected", payment["status"], payment["status"])
        uow.audit.add(payment["id"], payment["customer_id"], seen, by, ports.now())
        uow.commit()
    return {**payment, "refunds": ports.history.refunds(payment["id"], limit=SHOWN_REFUNDS, before=None)}


def list_payment_trail(ports: Ports, *, payment_id: str, limit: int = 20, cursor: str | None = None) -> Page:
    """Return the audit trail of a payment, newest first."""
    known: UUID = _existing(ports, payment_id)["id"]
    return page(
        lambda at_most, before: ports.history.trail(known, limit=at_most, before=before),
        of=f"trail:{known}:",
        limit=limit,
        cursor=cursor,
    )


def _existing(ports: Ports, payment_id: str) -> Row:
    wanted = parse_id(payment_id)
    payment = None if wanted is None else ports.history.payment(wanted)
    if payment is None:
        raise PaymentNotFound("there is no such payment")
    return payment
