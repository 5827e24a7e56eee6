"""Payments and refunds."""

from __future__ import annotations

from typing import Any

from flask import Response, g

from gateway.answers import answer, created, read
from gateway.bearer import signed_in
from gateway.fields import Flag, PageQuery, Shape, Text, Texts, Whole
from gateway.inputs import body, idempotency_key, query
from gateway.openapi import Routes, operation
from gateway.rpc import services
from gateway.state import gateway

blueprint = Routes("payments", __name__, url_prefix="/api/v1", description="Payments and refunds")

MAX_TEXT, MAX_REFERENCE, MAX_TOKEN = 500, 200, 255
MAX_WORD = 40
AMOUNT_NOTE = "In the currency's minor unit: 1050 is 10.50 EUR"
METHOD_NOTE = "A provider's token, or the id of a kept payment method; never a card number"
OF_KEYS = ("idempotency_in_progress",)
OF_OPERATIONS = ("operation_in_progress", *OF_KEYS)
OF_PROVIDERS = ("provider_unreachable", "provider_error", "provider_busy")
OF_METHODS = ("unknown_payment_method", "unsupported_payment_method", "payment_method_required")
PAYMENT_NOT_FOUND = ("payment_not_found",)
KEY_REUSED = "idempotency_key_reused"


def _word(description: str, *words: str) -> Text:
    """Return the field of a word that the service knows; it says so where the word is none of them."""
    return Text(longest=MAX_WORD, metadata={"description": description, "enum": list(words)})


class NewPayment(Shape):
    amount = Whole(required=True, metadata={"minimum": 1, "description": AMOUNT_NOTE})
    currency = Text(required=True, longest=3, metadata={"pattern": "^[A-Za-z]{3}$", "description": "ISO 4217"})
    payment_method = Text(longest=MAX_TOKEN, metadata={"description": METHOD_NOTE})
    capture_method = _word("`manual`: only set the amount aside, until it is captured", "automatic", "manual")
    confirm = Flag(
        metadata={
            "description": "Charge at once; true where there is a `payment_method`. True without one takes the default "
            "payment method"
        }
    )
    description = Text(longest=MAX_TEXT)
    metadata = Texts(most=50, longest_key=40, longest_value=500)
    reference = Text(longest=MAX_REFERENCE, metadata={"description": "Your own key for it, unique among your payments"})


class NewRefund(Shape):
    amount = Whole(metadata={"minimum": 1, "description": f"{AMOUNT_NOTE}; all that is left, if it is not there"})
    reason = Text(longest=MAX_TEXT)


class Confirmation(Shape):
    payment_method = Text(longest=MAX_TOKEN, metadata={"description": f"{METHOD_NOTE}; the payment's own without it"})
    authentication = _word("What the customer did, for the sandbox's 3-D Secure", "succeed", "fail")


class NewCapture(Shape):
    amount = Whole(
        metadata={"minimum": 1, "description": f"{AMOUNT_NOTE}; of less than all, the rest is let go. All without it"}
    )


class Cancellation(Shape):
    reason = _word("Why", "requested_by_customer", "duplicate", "fraudulent", "abandoned")


NEW_PAYMENT, NEW_REFUND, PAGE_QUERY = NewPayment(), NewRefund(), PageQuery()
CONFIRMATION, NEW_CAPTURE, CANCELLATION = Confirmation(), NewCapture(), Cancellation()


def _payments() -> Any:
    # Providers are slower than databases, and this has to outlast the call to them.
    return services(gateway().settings.payments_timeout).payments_svc


def _made(result: dict[str, Any], thing: str, folder: str) -> Response:
    return _marked(created(result[thing], f"/api/v1/{folder}/{result[thing]['id']}"), result)


def _changed(result: dict[str, Any]) -> Response:
    return _marked(answer(result["payment"]), result)


def _marked(response: Response, result: dict[str, Any]) -> Response:
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
            KEY_REUSED,
            "invalid_amount",
            "unsupported_currency",
            *OF_METHODS,
            "invalid_capture_method",
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

    201 with the payment in whatever state it reached: `processing`, `requires_action` with `next_action`, and `unknown`
    with `next_check_at`, too: it may have been charged, which is found out by itself. Declined: 402 `payment_declined`
    with `decline_code` and `payment_id`. The same key and body give the same answer; the same key with another body is
    422 `idempotency_key_reused`; while the first request is running it is 409 `idempotency_in_progress`.
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
    """Show a payment

    Once `next_check_at` has come, the provider is asked first what became of it.
    """
    return read(_payments().get_payment(user_id=g.call.actor.id, payment_id=payment_id))


@blueprint.post("/payments/<id:payment_id>/confirm")
@operation(
    gives=(200, "Payment"),
    takes=CONFIRMATION,
    example={"payment_method": "tok_visa"},
    body_required=False,
    token=True,
    key=True,
    errors={
        402: ("payment_declined",),
        403: ("account_disabled",),
        404: PAYMENT_NOT_FOUND,
        409: (*OF_OPERATIONS, "payment_not_confirmable"),
        422: (KEY_REUSED, *OF_METHODS, "invalid_authentication", "invalid_text", "card_number_refused"),
        503: OF_PROVIDERS,
    },
)
@signed_in
@body(CONFIRMATION, required=False)
def confirm_payment(data: dict[str, Any], payment_id: str) -> Response:
    """Charge a payment, or go on after the customer has acted

    With another `payment_method` after a decline, or where the payment's own was a kept one and is forgotten; with
    `authentication` where the status is `requires_action`.
    """
    return _change("confirm_payment", payment_id, data)


@blueprint.post("/payments/<id:payment_id>/capture")
@operation(
    gives=(200, "Payment"),
    takes=NEW_CAPTURE,
    example={"amount": 500},
    body_required=False,
    token=True,
    key=True,
    errors={
        403: ("account_disabled", "capture_not_allowed"),
        404: PAYMENT_NOT_FOUND,
        409: (*OF_OPERATIONS, "payment_not_capturable", "capture_refused"),
        422: (KEY_REUSED, "capture_exceeds_authorized", "invalid_amount"),
        503: OF_PROVIDERS,
    },
)
@signed_in
@body(NEW_CAPTURE, required=False)
def capture_payment(data: dict[str, Any], payment_id: str) -> Response:
    """Take what was set aside, or a part of it

    Once; the rest of a part goes back to the customer. `pending_operation` says so where the outcome is not known yet.
    """
    return _change("capture_payment", payment_id, data)


@blueprint.post("/payments/<id:payment_id>/cancel")
@operation(
    gives=(200, "Payment"),
    takes=CANCELLATION,
    example={"reason": "requested_by_customer"},
    body_required=False,
    token=True,
    key=True,
    errors={
        403: ("account_disabled",),
        404: PAYMENT_NOT_FOUND,
        409: (*OF_OPERATIONS, "payment_not_cancelable", "cancel_refused"),
        422: (KEY_REUSED, "invalid_cancellation_reason"),
        503: OF_PROVIDERS,
    },
)
@signed_in
@body(CANCELLATION, required=False)
def cancel_payment(data: dict[str, Any], payment_id: str) -> Response:
    """Call a payment off and let go of what was set aside

    Not while it is `processing` or `unknown`, and not once it has succeeded: that is what refunds are for.
    """
    return _change("cancel_payment", payment_id, data)


def _change(method: str, payment_id: str, data: dict[str, Any]) -> Response:
    key = idempotency_key()
    call = getattr(_payments(), method)
    return _changed(call(user_id=g.call.actor.id, payment_id=payment_id, idempotency_key=key, **data))


@blueprint.post("/payments/<id:payment_id>/refunds")
@operation(
    gives=(201, "Refund"),
    takes=NEW_REFUND,
    example={"amount": 500, "reason": "damaged"},
    body_required=False,
    token=True,
    key=True,
    errors={
        403: ("account_disabled", "refund_not_allowed"),
        404: PAYMENT_NOT_FOUND,
        409: (*OF_OPERATIONS, "payment_not_refundable"),
        422: (KEY_REUSED, "refund_exceeds_captured", "invalid_amount", "invalid_text"),
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
