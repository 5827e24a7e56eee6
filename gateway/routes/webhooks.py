"""Messages from payment providers.

Whoever sends one proves it by a signature over the raw bytes, so they go to payments_svc as they came: nothing here
parses them, and of what they are sent as nothing is believed. Only what cannot be a signature ends here, so that not
any stranger's body goes to the broker.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, request

from gateway.answers import JSON, nothing
from gateway.inputs import read_body
from gateway.limits import limited
from gateway.openapi import Routes, operation
from gateway.problems import problem
from gateway.rpc import services
from lib.errors import Malformed

blueprint = Routes("webhooks", __name__, url_prefix="/api/v1", description="Messages from payment providers")

#: of a body: what a provider tells of one thing is a few thousand bytes, and anybody may send what goes to the broker
MOST = 256 * 1024
PROVIDER = re.compile(r"[a-z][a-z0-9]{0,31}", re.ASCII)
#: characters of a signature header
LONGEST_SIGNATURE = 4096
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
SIGNATURE = {
    "in": "header",
    "name": "Sandbox-Signature",
    "schema": {"type": "string"},
    "required": True,
    "description": (
        "Of the provider `sandbox`; another one's header is called after it. The time of signing in seconds, and "
        "HMAC-SHA256 over that, a dot and the raw body, in hexadecimal; several `v1` while a secret is replaced"
    ),
    "example": "t=1767225600,v1=0d1f4b1a6f0c5d3e9b8a7c6d5e4f30211223344556677889900aabbccddeeff0",
}
EXAMPLE = {
    "id": "evt_019b76da8c8074d3a3d1a5b1f5a1c7e2",
    "type": "payment.succeeded",
    "created": 1767225600,
    "data": {
        "attempt_id": "019b76da-8c80-74d3-a3d1-a5b1f5a1c7e1",
        "payment_id": "019b76da-8c80-74d3-a3d1-a5b1f5a1c7e0",
        "amount": 1050,
        "currency": "EUR",
    },
}


class InvalidSignature(Malformed):
    code = "invalid_signature"


def _is_timed(signature: str) -> bool:
    """Tell whether this may be a signature in Stripe's format: one time, and at least one HMAC-SHA256."""
    items = [each.strip().partition("=") for each in signature.split(",")]
    times = [value for name, _, value in items if name == "t"]
    is_timed = len(times) == 1 and _SECONDS.fullmatch(times[0]) is not None
    return is_timed and any(name == "v1" and _DIGEST.fullmatch(value) for name, _, value in items)


#: by provider, what tells whether a header may be its signature, where that is not in Stripe's format
SHAPES: Mapping[str, Callable[[str], bool]] = {}


def _as_sent(view: Callable[..., Any]) -> Callable[..., Any]:
    """Add to the document what is particular to this one: a body of the provider's own form, and its signature."""
    told = view._apidoc["manual_doc"]  # type: ignore[attr-defined]
    content = {JSON: {"schema": {"type": "object"}, "example": EXAMPLE}}
    told["requestBody"] = {"required": True, "content": content}
    told["parameters"].append(SIGNATURE)
    too_large = problem(413, ("content_too_large",))
    told["responses"]["413"] = {**too_large, "description": too_large["description"].replace("1 MiB", "256 KiB")}
    return view


@blueprint.post("/webhooks/<provider>")
@_as_sent
@operation(
    gives=(204, None),
    errors={400: ("invalid_signature", "incomplete_body"), 404: ("provider_not_found",), 413: ()},
)
# A provider tells of each step of each payment, and brings what was refused once more.
@limited("12000/minute")
def receive(provider: str) -> Response:
    """Take a message of a payment provider

    For providers. It is proved by its signature, stored, answered with 204, and processed afterwards: asked for what it
    points to, the provider says how things are. The same message again, in any order with others, is answered with 204,
    too, and changes nothing. A message of more than 256 KiB is refused with 413.
    """
    signature = _signature(provider)
    # What is not signed is refused whatever it says; the service knows whether there is such a provider at all.
    body = b64encode(read_body(MOST)).decode() if signature else ""
    services().payments_svc.receive_webhook(provider=provider, body=body, signature=signature)
    return nothing()


def _signature(provider: str) -> str:
    """Return the provider's signature header, or an empty text.

    :raises InvalidSignature: that is none, whatever the body says
    """
    name = provider if PROVIDER.fullmatch(provider) else ""
    signature = str(request.environ.get(f"HTTP_{name.upper()}_SIGNATURE", ""))
    if not signature:
        return ""
    may_be_one = SHAPES.get(provider, _is_timed)
    if len(signature) > LONGEST_SIGNATURE or not signature.isascii() or not may_be_one(signature):
        raise InvalidSignature("the signature cannot be read")
    return signature
