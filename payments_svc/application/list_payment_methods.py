"""Look at the means of payment that a customer keeps."""

from __future__ import annotations

from payments_svc.application.pages import Page, page
from payments_svc.application.ports import Ports
from payments_svc.domain.arguments import parse_user_id


def list_payment_methods(ports: Ports, *, user_id: str, limit: int = 20, cursor: str | None = None) -> Page:
    customer_id = parse_user_id(user_id)
    return page(
        lambda most, before: ports.payment_methods.methods(customer_id, limit=most, before=before),
        of=f"payment_methods:{customer_id}:",
        limit=limit,
        cursor=cursor,
    )
