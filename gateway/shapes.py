"""What answers look like, for the OpenAPI document only: the services make them.

JSON Schema 2020-12, as OpenAPI 3.1 has it. Answers may get more members; none is taken away.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

USER_ID = "0198a3f2-6c1e-7d4a-9b57-2f4c8e6a1d03"
PAYMENT_ID = "0198a3f4-11aa-7c02-8e31-5d9b7f204c68"
REFUND_ID = "0198a3f5-90bc-7e11-a3d4-0c6e9d815f27"
WHEN = "2026-01-31T12:00:00.123456Z"
TOKEN = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9…"  # noqa: S105  (an example)


def _string(**more: Any) -> Schema:
    return {"type": "string", **more}


def _maybe(**more: Any) -> Schema:
    return {"type": ["string", "null"], **more}


def _object(required: list[str] | None = None, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties) if required is None else required}


def ref(name: str) -> Schema:
    """Return a reference to a component of this module."""
    return {"$ref": f"#/components/schemas/{name}"}


def page_of(name: str) -> Schema:
    """Return a list in pages."""
    return _object(
        data={"type": "array", "items": ref(name)},
        next_cursor=_maybe(description="Send it as `cursor` for the next page; null on the last one"),
    )


ID = _string(format="uuid", examples=[USER_ID])
TIME = _string(format="date-time", examples=[WHEN])
AMOUNT = {"type": "integer", "minimum": 0, "description": "In the currency's minor unit: 1050 is 10.50 EUR"}
CURRENCY = _string(pattern="^[A-Z]{3}$", description="ISO 4217")

USER = _object(id=ID, email=_string(), name=_string(), email_verified={"type": "boolean"}, created_at=TIME)
TOKENS = _object(
    access_token=_string(description="A JWT for the header `Authorization: Bearer …`"),
    refresh_token=_string(description="Works once; POST /auth/refresh gives the next pair"),
    token_type=_string(const="Bearer"),
    expires_in={"type": "integer", "description": "Seconds that the access token is good for"},
)

PROBLEM = _object(
    required=["type", "title", "status", "detail", "code", "request_id"],
    type=_string(format="uri-reference"),
    title=_string(),
    status={"type": "integer"},
    detail=_string(description="For people"),
    code=_string(pattern="^[a-z0-9_]+$", description="For programs: it does not change"),
    request_id=_string(),
    errors={
        "type": "array",
        "items": _object(
            pointer=_string(description="A JSON pointer to the member of the request; empty for the whole"),
            code=_string(),
            detail=_string(),
        ),
    },
)

COMPONENTS: dict[str, Schema] = {
    "Problem": PROBLEM,
    "User": USER,
    "Tokens": TOKENS,
    "Session": {"allOf": [ref("Tokens"), _object(user=ref("User"))]},
    "Account": _object(
        id=ID,
        email=_string(),
        name=_string(),
        email_verified={"type": "boolean"},
        status=_string(enum=["active", "invited", "disabled"]),
        roles={"type": "array", "items": _string()},
        created_at=TIME,
    ),
    "CreatedUser": _object(id=ID, email=_string(), name=_string()),
    "PublicProfile": _object(id=ID, handle=_maybe(), display_name=_string(), avatar_url=_maybe(), created_at=TIME),
    "Profile": _object(
        id=ID,
        email=_string(),
        handle=_maybe(),
        display_name=_string(),
        bio=_maybe(),
        avatar_url=_maybe(),
        location=_maybe(),
        website=_maybe(),
        birth_date=_maybe(format="date"),
        locale=_maybe(),
        time_zone=_maybe(),
        discoverable={"type": "boolean"},
        created_at=TIME,
        updated_at=TIME,
    ),
    "Payment": _object(
        id=ID,
        status=_string(
            enum=[
                "requires_payment_method",
                "requires_confirmation",
                "requires_action",
                "processing",
                "requires_capture",
                "succeeded",
                "canceled",
                "unknown",
            ]
        ),
        amount=AMOUNT,
        currency=CURRENCY,
        amount_captured=AMOUNT,
        amount_refunded=AMOUNT,
        payment_method=_maybe(),
        decline_code=_maybe(),
        description=_maybe(),
        metadata={"type": "object", "additionalProperties": _string()},
        reference=_maybe(),
        provider=_maybe(),
        next_check_at=_maybe(format="date-time", description="When an unknown outcome is asked for again"),
        created_at=TIME,
        updated_at=TIME,
    ),
    "PaymentPage": page_of("Payment"),
    "Refund": _object(
        id=ID,
        payment_id=ID,
        amount=AMOUNT,
        currency=CURRENCY,
        status=_string(enum=["pending", "succeeded", "failed", "canceled", "unknown"]),
        reason=_maybe(),
        failure_code=_maybe(),
        next_check_at=_maybe(format="date-time"),
        created_at=TIME,
    ),
    "RefundPage": page_of("Refund"),
}

USER_EXAMPLE = {
    "id": USER_ID,
    "email": "ann@example.com",
    "name": "Ann Example",
    "email_verified": False,
    "created_at": WHEN,
}
TOKENS_EXAMPLE = {"access_token": TOKEN, "refresh_token": "rt_…", "token_type": "Bearer", "expires_in": 900}
PAYMENT_EXAMPLE = {
    "id": PAYMENT_ID,
    "status": "succeeded",
    "amount": 1050,
    "currency": "EUR",
    "amount_captured": 1050,
    "amount_refunded": 0,
    "payment_method": "tok_visa",
    "decline_code": None,
    "description": "Two books",
    "metadata": {"order": "1234"},
    "reference": "order-1234",
    "provider": "sandbox",
    "next_check_at": None,
    "created_at": WHEN,
    "updated_at": WHEN,
}
REFUND_EXAMPLE = {
    "id": REFUND_ID,
    "payment_id": PAYMENT_ID,
    "amount": 500,
    "currency": "EUR",
    "status": "succeeded",
    "reason": "damaged",
    "failure_code": None,
    "next_check_at": None,
    "created_at": WHEN,
}

EXAMPLES: dict[str, Any] = {
    "User": USER_EXAMPLE,
    "Tokens": TOKENS_EXAMPLE,
    "Session": {"user": USER_EXAMPLE, **TOKENS_EXAMPLE},
    "Account": {**USER_EXAMPLE, "status": "active", "roles": []},
    "CreatedUser": {"id": USER_ID, "email": "ann@example.com", "name": "Ann Example"},
    "PublicProfile": {
        "id": USER_ID,
        "handle": None,
        "display_name": "Ann Example",
        "avatar_url": None,
        "created_at": WHEN,
    },
    "Profile": {
        "id": USER_ID,
        "email": "ann@example.com",
        "handle": None,
        "display_name": "Ann Example",
        "bio": None,
        "avatar_url": None,
        "location": None,
        "website": None,
        "birth_date": None,
        "locale": None,
        "time_zone": None,
        "discoverable": True,
        "created_at": WHEN,
        "updated_at": WHEN,
    },
    "Payment": PAYMENT_EXAMPLE,
    "PaymentPage": {"data": [PAYMENT_EXAMPLE], "next_cursor": None},
    "Refund": REFUND_EXAMPLE,
    "RefundPage": {"data": [REFUND_EXAMPLE], "next_cursor": None},
}
