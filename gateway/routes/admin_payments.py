"""Payments of anybody, for the staff: the roles ``finance`` and ``admin``."""

from __future__ import annotations

from typing import Any

from flask import Response

from gateway.answers import NO_STORE, answer, read
from gateway.fields import Choice, PageQuery, Shape, Text
from gateway.inputs import body, query
from gateway.openapi import Routes, operation
from gateway.roles import requires_role
from gateway.rpc import services
from gateway.shapes.admin_payments import STATUSES
from gateway.state import gateway

blueprint = Routes("admin_payments", __name__, url_prefix="/api/v1/admin", description="Payments, for the staff")

MAX_REASON, MAX_ID, MAX_REFERENCE, MAX_MOMENT = 500, 64, 200, 40
STAFF = ("finance", "admin")
NOT_FOUND = {403: ("forbidden",), 404: ("payment_not_found",)}
OF_REASONS = ("invalid_text", "card_number_refused")
WHY = {"description": "Why you look, for the audit trail"}


class AdminPayments(PageQuery):
    customer_id = Text(longest=MAX_ID, metadata={"description": "Whose"})
    status = Choice(*STATUSES)
    reference = Text(longest=MAX_REFERENCE, metadata={"description": "The customer's own key; with `customer_id`"})


PAYMENTS_QUERY = AdminPayments.from_dict(
    {
        "from": Text(longest=MAX_MOMENT, attribute="since", metadata={"description": "Made from this time or day on"}),
        "to": Text(longest=MAX_MOMENT, attribute="until", metadata={"description": "Made before this time or day"}),
    },
    name="AdminPaymentsQuery",
)()


class PaymentLook(Shape):
    reason = Text(shortest=1, longest=MAX_REASON, metadata=WHY)


class CheckReason(Shape):
    reason = Text(required=True, shortest=1, longest=MAX_REASON)


LOOKING, REASON, PAGE_QUERY = PaymentLook(), CheckReason(), PageQuery()


def _payments() -> Any:
    return services(gateway().settings.payments_timeout).payments_svc


@blueprint.get("/payments")
@operation(
    gives=(200, "AdminPaymentPage"),
    query=PAYMENTS_QUERY,
    token=True,
    errors={403: ("forbidden",), 422: ("invalid_filter", "invalid_period", "invalid_user_id", "invalid_text")},
)
@requires_role(*STAFF)
@query(PAYMENTS_QUERY)
def find_payments(data: dict[str, Any]) -> Response:
    """Look for payments of anybody, newest first"""
    return answer(_payments().find_payments(**data), cache=NO_STORE)


@blueprint.get("/payments/<id:payment_id>")
@operation(gives=(200, "InspectedPayment"), query=LOOKING, one=True, token=True, errors={**NOT_FOUND, 422: OF_REASONS})
@requires_role(*STAFF)
@query(LOOKING)
def inspect_payment(data: dict[str, Any], payment_id: str) -> Response:
    """Show a payment of anybody, with its newest 100 refunds

    The look is in the payment's audit trail.
    """
    return read(_payments().inspect_payment(payment_id=payment_id, **data))


@blueprint.get("/payments/<id:payment_id>/audit")
@operation(gives=(200, "TrailPage"), query=PAGE_QUERY, token=True, errors=NOT_FOUND)
@requires_role(*STAFF)
@query(PAGE_QUERY)
def list_payment_trail(data: dict[str, Any], payment_id: str) -> Response:
    """Show all that happened to a payment, newest first: who did it, why, and what became of it"""
    return answer(_payments().list_payment_trail(payment_id=payment_id, **data), cache=NO_STORE)


@blueprint.post("/payments/<id:payment_id>/check")
@operation(
    gives=(200, "InspectedPayment"),
    takes=REASON,
    example={"reason": "The customer sees the charge at the bank"},
    token=True,
    errors={**NOT_FOUND, 422: OF_REASONS},
)
@requires_role(*STAFF)
@body(REASON)
def check_payment_now(data: dict[str, Any], payment_id: str) -> Response:
    """Ask the provider now what became of a payment and its refunds

    Instead of at `next_check_at`; also about refunds that have succeeded, which a bank may have sent back. Nothing is
    done twice by it. Refunds that there is no time left to ask about are shown as they are: ask again.
    """
    return answer(_payments().check_payment_now(payment_id=payment_id, **data), cache=NO_STORE)
