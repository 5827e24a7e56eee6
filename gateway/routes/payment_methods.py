"""Kept means of payment."""

from __future__ import annotations

from typing import Any

from flask import Response, g

from gateway.answers import answer, created, nothing, read
from gateway.bearer import signed_in
from gateway.fields import PageQuery, Shape, Text
from gateway.inputs import body, query
from gateway.limits import limited_per_account
from gateway.openapi import Routes, operation
from gateway.rpc import services
from gateway.state import gateway

blueprint = Routes("payment_methods", __name__, url_prefix="/api/v1", description="Kept means of payment")

MAX_PROVIDER, MAX_PROVIDERS_TOKEN = 50, 255
METHOD_NOT_FOUND = ("payment_method_not_found",)
#: who tries tokens has no use for more, and nobody has so many cards
PACE = "30/minute;300/day"


class NewPaymentMethod(Shape):
    provider = Text(required=True, longest=MAX_PROVIDER, metadata={"description": "Whose token it is"})
    token = Text(
        required=True,
        load_only=True,
        longest=MAX_PROVIDERS_TOKEN,
        metadata={"description": "What the provider's own form gave for it; never a card number"},
    )


NEW_METHOD, PAGE_QUERY = NewPaymentMethod(), PageQuery()


def _payments() -> Any:
    return services(gateway().settings.payments_timeout).payments_svc


@blueprint.post("/payment-methods")
@operation(
    gives=(201, "PaymentMethod"),
    takes=NEW_METHOD,
    example={"provider": "sandbox", "token": "tok_visa"},
    token=True,
    errors={
        403: ("account_disabled",),
        409: ("too_many_payment_methods",),
        422: ("unknown_provider", "unknown_payment_method", "unsupported_payment_method", "invalid_text"),
    },
)
@signed_in
@limited_per_account(PACE, shared="payment-methods")
@body(NEW_METHOD)
def keep_payment_method(data: dict[str, Any]) -> Response:
    """Keep a means of payment

    The first one becomes the default. The same token again is the same means of payment. An account keeps up to 50. The
    token is not shown again.
    """
    kept = _payments().keep_payment_method(user_id=g.call.actor.id, **data)
    return created(kept, f"/api/v1/payment-methods/{kept['id']}")


@blueprint.get("/payment-methods")
@operation(gives=(200, "PaymentMethodPage"), query=PAGE_QUERY, token=True)
@signed_in
@query(PAGE_QUERY)
def list_payment_methods(data: dict[str, Any]) -> Response:
    """List the kept means of payment, newest first"""
    return answer(_payments().list_payment_methods(user_id=g.call.actor.id, **data))


@blueprint.get("/payment-methods/<id:method_id>")
@operation(gives=(200, "PaymentMethod"), token=True, errors={404: METHOD_NOT_FOUND})
@signed_in
def get_payment_method(method_id: str) -> Response:
    """Show a kept means of payment"""
    return read(_payments().get_payment_method(user_id=g.call.actor.id, method_id=method_id))


@blueprint.delete("/payment-methods/<id:method_id>")
@operation(gives=(204, None), token=True, errors={404: METHOD_NOT_FOUND})
@signed_in
def forget_payment_method(method_id: str) -> Response:
    """Forget a means of payment

    If it was the default, the newest of the others becomes it. Once more changes nothing. Payments that were made with
    it stay as they are.
    """
    _payments().forget_payment_method(user_id=g.call.actor.id, method_id=method_id)
    return nothing()


@blueprint.put("/payment-methods/<id:method_id>/default")
@operation(
    gives=(200, "PaymentMethod"),
    one=False,
    token=True,
    errors={403: ("account_disabled",), 404: METHOD_NOT_FOUND, 409: ("contended",)},
)
@signed_in
def set_default_payment_method(method_id: str) -> Response:
    """Choose the default

    It pays where a payment names no means of payment. Once more changes nothing.
    """
    return answer(_payments().set_default_payment_method(user_id=g.call.actor.id, method_id=method_id))
