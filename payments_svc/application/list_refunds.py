"""Look at the refunds of a payment."""

from __future__ import annotations

from payments_svc.application.get_payment import find_payment
from payments_svc.application.pages import Page, page
from payments_svc.application.ports import Ports


def list_refunds(ports: Ports, *, user_id: str, payment_id: str, limit: int = 20, cursor: str | None = None) -> Page:
    payment = find_payment(ports, user_id=user_id, payment_id=payment_id)
    return page(
        lambda most, before: ports.reads.refunds(payment["customer_id"], payment["id"], limit=most, before=before),
        of=f"refunds:{payment['id']}:",
        limit=limit,
        cursor=cursor,
    )
