"""Payments and refunds."""

from __future__ import annotations

from typing import Any

from flask import Response, g

from gateway.answers import answer, created, read
from gateway.bearer import signed_in
from gateway.fields import PageQuery, Shape, Text, Texts, Whole
from gateway.inputs import body, idempotency_key, query
from gateway.openapi import Routes, operation
from gateway.rpc import services
from gateway.state import gateway

blueprint = Routes("payments", __name__, url_prefix="/api/v1", description="Payments and refunds")

MAX_TEXT, MAX_REFERENCE, MAX_TOKEN = 500, 200, 255
AMOUNT_NOTE = "In the currency's minor unit: 1050 is 10.50 EUR"
OF_KEYS = ("idempotency_in_progress",)
OF_PROVIDERS = ("provider_unreachable", "provider_error")
PAYMENT_NOT_FOUND = ("payment_not_found",)


class NewPayment(Shape):
    amount = Whole(required=True, metadata={"minimum": 1, "description": AMOUNT_NOTE})
    currency = Text(required=True, longest=3, metadata={"pattern": "^[A-Za-z]{3}$", "description": "ISO 4217"})
    payment_method = Text(longest=MAX_TOKEN, metadata={"description": "A provider's token; never a card number"})
    description = Text(longest=MAX_TEXT)
    metadata = Texts(most=50, longest_key=40, longest_value=500)
    reference = Text(longest=MAX_REFERENCE, metadata={"description": "Your own key for it, unique among your payments"})


class NewRefund(Shape):
    amount = Whole(metadata={"minimum": 1, "description": f"{AMOUNT_NOTE}; all that is left, if it is not there"})
    reason = Text(longest=MAX_TEXT)


NEW_PAYMENT, NEW_REFUND, PAGE_QUERY = NewPayment(), NewRefund(), PageQuery()


def _payments() -> Any:
    # Providers are slower than databases, and this has to outlast the call to them.
    return services(gateway().settings.payments_timeout).payments_svc


def _made(result: dict[str, Any], thing: str, folder: str) -> Response:
    response = created(result[thing], f"/api/v1/{folder}/{result[thing]['id']}")
    if result["replayed"]:
        response.headers["Idempotent-Replayed"] = "true"
    return response


@blueprint.post("/payments")
@operation(
    gives=(201, "Payment"),
    takes=NEW_PAYMENT,
    example={"amount": 1050, "currency": "EUR", "payment_method": "tok_visa", "description": "Two books"},
    token=True,
    key=True,
    errors={
        402: ("payment_declined",),
        403: ("account_disabled",),
        409: (*OF_KEYS, "reference_taken"),
        422: (
            "idempotency_key_reused",
            "invalid_amount",
            "unsupported_currency",
            "unknown_payment_method",
            "unsupported_payment_method",
            "invalid_text",
            "invalid_metadata",
            "card_number_refused",
        ),
        503: OF_PROVIDERS,
    },
)
@signed_in
@body(NEW_PAYMENT)
def create_payment(data: dict[str, Any]) -> Response:
    """Pay

    201 with the payment in whatever state it reached. Declined: 402 `payment_declined` with `decline_code` and
    `payment_id`. The same key and body give the same answer; the same key with another body is 422
    `idempotency_key_reused`; while the first request is running it is 409 `idempotency_in_progress`.
    """
    key = idempotency_key()
    result = _payments().create_payment(user_id=g.call.actor.id, idempotency_key=key, **data)
    return _made(result, "payment", "payments")


@blueprint.get("/payments")
@operation(gives=(200, "PaymentPage"), query=PAGE_QUERY, token=True)
@signed_in
@query(PAGE_QUERY)
def list_payments(data: dict[str, Any]) -> Response:
    """List the own payments, newest first"""
    return answer(_payments().list_payments(user_id=g.call.actor.id, **data))


@blueprint.get("/payments/<id:payment_id>")
@operation(gives=(200, "Payment"), token=True, errors={404: PAYMENT_NOT_FOUND})
@signed_in
def get_payment(payment_id: str) -> Response:
    """Show a payment"""
    return read(_payments().get_payment(user_id=g.call.actor.id, payment_id=payment_id))


@blueprint.post("/payments/<id:payment_id>/refunds")
@operation(
    gives=(201, "Refund"),
    takes=NEW_REFUND,
    example={"amount": 500, "reason": "damaged"},
    body_required=False,
    token=True,
    key=True,
    errors={
        403: ("refund_not_allowed",),
        404: PAYMENT_NOT_FOUND,
        409: (*OF_KEYS, "payment_not_refundable"),
        422: ("idempotency_key_reused", "refund_exceeds_captured", "invalid_amount", "invalid_text"),
        503: OF_PROVIDERS,
    },
)
@signed_in
@body(NEW_REFUND, required=False)
def refund_payment(data: dict[str, Any], payment_id: str) -> Response:
    """Give money back

    Never more than was captured: 422 `refund_exceeds_captured`.
    """
    key = idempotency_key()
    result = _payments().refund_payment(user_id=g.call.actor.id, payment_id=payment_id, idempotency_key=key, **data)
    return _made(result, "refund", "refunds")


@blueprint.get("/payments/<id:payment_id>/refunds")
@operation(gives=(200, "RefundPage"), query=PAGE_QUERY, token=True, errors={404: PAYMENT_NOT_FOUND})
@signed_in
@query(PAGE_QUERY)
def list_refunds(data: dict[str, Any], payment_id: str) -> Response:
    """List the refunds of a payment"""
    return answer(_payments().list_refunds(user_id=g.call.actor.id, payment_id=payment_id, **data))


@blueprint.get("/refunds/<id:refund_id>")
@operation(gives=(200, "Refund"), token=True, errors={404: ("refund_not_found",)})
@signed_in
def get_refund(refund_id: str) -> Response:
    """Show a refund"""
    return read(_payments().get_refund(user_id=g.call.actor.id, refund_id=refund_id))
