"""What the OpenAPI document says about errors: each status, and each code that clients may meet.

A route names the codes beyond those that every route of its kind has (`gateway.openapi.operation`). A code that is not
in this table is a mistake at import.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.answers import PROBLEM
from gateway.shapes import ref

#: what each status means, with the codes that it has wherever it is possible at all
PROBLEMS: dict[int, tuple[str, tuple[str, ...]]] = {
    400: ("The request cannot be read.", ()),
    401: ("Nobody, or nobody we know, is asking.", ()),
    402: ("The payment was declined; it stays readable.", ()),
    403: ("We know who asks, and they may not.", ()),
    404: ("There is no such thing, or none that the caller may know of.", ()),
    409: ("The state of things forbids it now.", ()),
    412: ("Somebody has changed it since the caller read it.", ()),
    413: ("The body is larger than 1 MiB.", ("content_too_large",)),
    415: ("The body is not of the content type that this takes.", ("unsupported_media_type",)),
    422: ("The request can be read, and breaks a rule.", ()),
    429: ("Too many requests; `Retry-After` says when there is room again.", ("rate_limited",)),
    500: ("Something went wrong on our side.", ("internal_error",)),
    503: (
        "Something that this needs is away or busy. Nothing was done, unless the code says otherwise.",
        (
            "service_unavailable",
            "unavailable",
            "overloaded",
            "database_unavailable",
            "database_slow",
            "outcome_unknown",
            "call_interrupted",
            "upstream_timeout",
        ),
    ),
    504: ("A service did not answer in time; what was asked for may still happen.", ("timeout",)),
}

CODES: dict[str, str] = {
    # The gateway's own, and those of every service.
    "malformed_json": "the body is not JSON",
    "incomplete_body": "the body ends before its Content-Length",
    "idempotency_key_missing": "the header Idempotency-Key is needed",
    "invalid_idempotency_key": "an idempotency key is 1 to 255 visible ASCII characters",
    "invalid_last_event_id": "Last-Event-ID is no number",
    "invalid_cursor": "the cursor is not one of ours",
    "unauthenticated": "there is no access token",
    "invalid_token": "the access token is not good, or no longer: it has expired, or its session has ended",
    "forbidden": "the account lacks the role that this needs",
    "content_too_large": "the body is larger than 1 MiB",
    "unsupported_media_type": "the body has another content type",
    "validation_failed": "a member is missing, unknown, too long or of the wrong type; `errors` says which",
    "unusable_json": "the body is JSON, and still no object that can be worked with",
    "rate_limited": "too many requests from this address or of this account, or too many failures",
    "internal_error": "a mistake of ours; `request_id` finds it in our logs",
    "stale": "it has changed since the version that `If-Match` names",
    "contended": "somebody else changes the same thing now; try again",
    "service_unavailable": "no instance of a service is running",
    "unavailable": "a service cannot be reached",
    "keys_unavailable": "access tokens cannot be checked yet",
    "revocations_unavailable": "it is not known yet which sessions have ended",
    "overloaded": "too many requests are being worked on",
    "too_many_streams": "too many streams are open here, in all or of this account",
    "database_unavailable": "a database is away",
    "database_slow": "a database took too long",
    "outcome_unknown": "it may have happened: ask, or repeat with the same key",
    "call_interrupted": "the connection to a service broke; it may have happened",
    "upstream_timeout": "one service waited too long for another; it may have happened",
    "timeout": "a service took too long",
    # auth_svc
    "email_taken": "an account has this address",
    "weak_password": "the password is too short, too long, common, leaked or personal; `errors` has all reasons",
    "invalid_email": "that is no e-mail address",
    "invalid_name": "a name has 1 to 100 printable characters",
    "invalid_credentials": "the e-mail address or the password is wrong; no other reason is ever told",
    "refresh_invalid": "the refresh token is unknown, or its session has ended",
    "refresh_reused": "the refresh token was used before: the whole session has ended",
    "session_expired": "the session has reached its end; sign in again",
    "session_not_found": "the account has no such session",
    "account_not_found": "there is no such account",
    "invalid_or_expired_token": "the token is unknown, used, replaced by a newer one or too old",
    "invalid_code": "the code is wrong, or too old, or was tried too often",
    "wrong_password": "the current password is wrong",
    "password_unchanged": "the new password is the current one",
    "email_unchanged": "the account has this address",
    "not_claimable": "the account is no invitation, or no longer",
    "unknown_role": "there is no such role",
    "own_account": "nobody disables their own account or takes the role `admin` from themselves",
    "email_not_verified": "its owner has to verify the account's e-mail address first",
    "last_administrator": "there has to be an administrator",
    "invalid_reason": "a reason has 1 to 500 printable characters",
    "invalid_query": "nothing can be searched for with this text",
    "invalid_filter": "an id is no UUID, or there is no such kind of event or status, or a name is missing",
    "invalid_period": "a time is RFC 3339, a day is 2026-01-31; books know no future",
    "invalid_user_id": "the id of an account is a UUID",
    "invalid_request": "the form is not as its RFC wants it",
    "invalid_client": "the client is unknown or revoked, or its secret is wrong or missing",
    # users_svc
    "user_not_found": "there is no such user",
    "not_oneself": "that can only be done to somebody else",
    "blocking": "the caller blocks this user",
    "follow_request_not_found": "this user has not asked to follow the caller",
    "private_account": "only followers see these lists of a private account",
    "network_hidden": "the user shows nobody these lists",
    "notification_not_found": "the account has no such notification",
    "invalid_profile": "a value cannot stand in a profile; `errors` says which and why",
    "handle_taken": "somebody has this handle or one that looks like it, or had it until not long ago",
    "handle_changed_recently": "a handle can be changed every 30 days; `Retry-After` says when again",
    "invitations_closed": "only administrators may add users here",
    "invalid_sort": "there is no such order, or none without a query",
    "invalid_lookup": "these are no lists of at most 100 ids and handles",
    "invalid_search_filter": "a time is neither a day nor an RFC 3339 time",
    "invalid_preference": "a value is none of those that there are; `errors` says which",
    "not_optional": "security notices cannot be switched off; `errors` says what was not for the person to choose",
    "invalid_unsubscribe_token": "the link is not whole, or not one of ours",
    "request_key_reused": "the same Idempotency-Key was used with another body",
    "request_in_progress": "the first request with this Idempotency-Key is still running",
    # payments_svc
    "payment_declined": "the provider declined; `decline_code` says why",
    "reference_taken": "another payment has this reference",
    "idempotency_key_reused": "the same Idempotency-Key was used with another body",
    "idempotency_in_progress": "the first request with this Idempotency-Key is still running",
    "account_disabled": "the account is disabled",
    "refund_not_allowed": "only staff gives money back here",
    "payment_not_found": "there is no such payment",
    "refund_not_found": "there is no such refund",
    "payment_not_refundable": "the payment is in no state to be refunded",
    "refund_exceeds_captured": "more than is left of what was captured; `refundable` says how much is",
    "invalid_amount": "the amount is out of range for the currency",
    "unsupported_currency": "there is no such currency",
    "unknown_payment_method": "the provider does not know the payment method",
    "unsupported_payment_method": "no provider takes the payment method",
    "invalid_text": "a text holds what cannot be kept",
    "invalid_metadata": "the metadata is too large or holds what cannot be kept",
    "payment_method_not_found": "the account keeps no such means of payment",
    "too_many_payment_methods": "an account keeps at most 50 means of payment",
    "unknown_provider": "there is no such provider",
    "card_number_refused": "a card number does not belong here; send the provider's token",
    "operation_in_progress": "something else is under way for this payment, or may be",
    "payment_not_confirmable": "the payment is in no state to be charged",
    "payment_not_capturable": "there is nothing set aside",
    "payment_not_cancelable": "the payment is in no state to be called off",
    "capture_not_allowed": "only staff captures here",
    "capture_refused": "the provider refused; `decline_code` says why",
    "cancel_refused": "the provider refused; `decline_code` says why",
    "payment_method_required": "there is no payment method to charge, or its customer has had it forgotten",
    "capture_exceeds_authorized": "more than was set aside; `capturable` says how much is",
    "invalid_capture_method": "there is no such way to capture",
    "invalid_cancellation_reason": "there is no such reason",
    "invalid_authentication": "there is no such result, or the payment does not ask for one",
    "provider_not_found": "there is no such payment provider",
    "invalid_signature": "the signature is missing, wrong, more than five minutes old or from the future",
    "invalid_head": "this is no head of the books, like 42:9f86d0…",
    "provider_unreachable": "the payment provider cannot be reached; nothing was done",
    "provider_error": "the payment provider failed; nothing was done",
    "provider_busy": "the payment provider wants us to wait; nothing was done",
}

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {"description": "Names this request in all logs", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"description": "How to authenticate (RFC 9110)", "schema": {"type": "string"}},
    "ETag": {"description": "Send it as If-None-Match", "schema": {"type": "string"}},
    "Location": {"description": "Where the new resource is", "schema": {"type": "string", "format": "uri-reference"}},
    "Idempotent-Replayed": {
        "description": "`true` if this answer was given before",
        "schema": {"type": "string", "const": "true"},
    },
    "RateLimit-Policy": {"description": "draft-ietf-httpapi-ratelimit-headers", "schema": {"type": "string"}},
    "RateLimit": {"description": "draft-ietf-httpapi-ratelimit-headers", "schema": {"type": "string"}},
}

#: codes at which the caller may find the members that are to blame
_WITH_ERRORS = {
    "validation_failed": {"pointer": "/email", "code": "required", "detail": "this is needed"},
    "weak_password": {"pointer": "/password", "code": "too_short", "detail": "at least 8 characters"},
    "invalid_profile": {"pointer": "/handle", "code": "reserved_handle", "detail": "nobody can have this handle"},
}
#: refusals of a provider, which a key repeats as it repeats what went well
_REPLAYED = frozenset({"payment_declined", "capture_refused", "cancel_refused"})
#: conflicts that pass
_WITH_WAIT = frozenset({"operation_in_progress", "idempotency_in_progress", "request_in_progress"})
#: RFC 6749, section 5.2
_OAUTH = frozenset({"invalid_request", "invalid_client"})
_QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"


def headers(*names: str) -> dict[str, Any]:
    """Return the headers of an answer."""
    return {name: HEADERS[name] for name in names}


def problem(status: int, codes: Iterable[str]) -> dict[str, Any]:
    """Return the OpenAPI response for an error, with an example for each of its codes."""
    names = ["X-Request-ID"] + ["Retry-After"] * (status in (429, 503)) + ["WWW-Authenticate"] * (status == 401)
    meanings = {code: CODES[code] for code in codes}
    if _REPLAYED & set(meanings):
        names.append("Idempotent-Replayed")
    if status == 409 and _WITH_WAIT & set(meanings):
        names.append("Retry-After")
    told = "\n".join(f"- `{code}`: {meaning}" for code, meaning in meanings.items())
    return {
        "description": f"{PROBLEMS[status][0]}\n\n{told}",
        "headers": headers(*names),
        "content": {
            PROBLEM: {
                "schema": ref("Problem"),
                "examples": {code: {"value": _example(status, code, meaning)} for code, meaning in meanings.items()},
            }
        },
    }


def _example(status: int, code: str, meaning: str) -> dict[str, Any]:
    example: dict[str, Any] = {
        "type": _QUOTA_EXCEEDED if status == 429 else f"urn:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": f"{meaning[:1].upper()}{meaning[1:].replace('`', '')}.",
        "code": code,
        "request_id": "5f0c2d9ab1e84b3c9d7e6a5f4c3b2a10",
    }
    if code in _WITH_ERRORS:
        example["errors"] = [_WITH_ERRORS[code]]
    if code in _OAUTH:
        example["error"] = code
    return example
