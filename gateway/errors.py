"""Everything that can go wrong, as a problem document. One table from kind to status; nothing else knows statuses.

What is not expected is logged with the request's id and answered without a word of its own: never ``str(exc)``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, g, request
from nameko.exceptions import RpcTimeout, UnknownService
from werkzeug.exceptions import HTTPException

from gateway.answers import problem
from lib import logs
from lib.errors import DomainError
from lib.faults import Fault

log = logs.get("gateway.errors")

STATUS = {
    "malformed": 400,
    "invalid": 422,
    "unauthenticated": 401,
    "declined": 402,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "stale": 412,
    "limited": 429,
    "unavailable": 503,
    "internal": 500,
}

#: what Flask and Werkzeug refuse by themselves; named here, because Python renames its phrases
HTTP_CODES = {
    400: ("malformed_request", "The request cannot be read."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not know that method; the Allow header names those it does."),
    408: ("request_timeout", "The request took too long to arrive."),
    413: ("content_too_large", "The body is larger than 1 MiB."),
    414: ("uri_too_long", "The address is too long."),
    415: ("unsupported_media_type", "The body must be sent as application/json."),
    431: ("header_fields_too_large", "The headers are too large."),
}

REALM = 'Bearer realm="leveret"'
CLIENT_REALM = 'Basic realm="leveret"'
RETRY_AFTER = 1


def register(app: Flask) -> None:
    """Have all errors of the application answered by this module."""
    app.register_error_handler(Fault, _fault)
    app.register_error_handler(DomainError, _domain_error)
    app.register_error_handler(RpcTimeout, _timeout)
    app.register_error_handler(UnknownService, _away)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def refusal(kind: str, code: str, message: str, details: Mapping[str, Any]) -> Response:
    """Return the answer to a refusal of ours or of a service.

    Of the details, ``retry_after`` and ``replayed`` become headers, the others members of the document.
    """
    status = STATUS.get(kind, 500)
    if status == 500:
        log.error("a service failed", code=code, **{key: details[key] for key in details if key == "error_id"})
        return problem(500, "internal_error", "Something went wrong on our side.")
    members = {name: value for name, value in details.items() if name not in ("retry_after", "replayed")}
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = _challenge(code, message)
    if status in (429, 503) or "retry_after" in details:
        headers["Retry-After"] = _seconds(details.get("retry_after"))
    if details.get("replayed"):
        headers["Idempotent-Replayed"] = "true"
    return problem(status, code, _sentence(message), headers=headers, members=members)


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:] + ("" if message.endswith((".", "!", "?")) else ".") if message else ""


def _seconds(value: Any) -> str:
    if isinstance(value, int | float) and 0 < value < 1e9:
        return str(math.ceil(value))
    return str(RETRY_AFTER)


def _challenge(code: str, message: str) -> str:
    """Return the WWW-Authenticate value (RFC 6750, section 3): no error is named to who has sent no token."""
    if code == "invalid_client":
        return CLIENT_REALM
    if g.call.access_token is None and code != "invalid_token":
        return REALM
    return f'{REALM}, error="invalid_token", error_description="{_quotable(message)}"'


def _quotable(message: str) -> str:
    return "".join(each for each in message if " " <= each <= "~" and each not in '"\\')


def _fault(error: Fault) -> Response:
    return refusal(error.kind, error.code, error.message, error.details)


def _domain_error(error: DomainError) -> Response:
    return refusal(error.kind, error.code, error.message, error.details)


def _timeout(_error: RpcTimeout) -> Response:
    return problem(504, "timeout", "The service did not answer in time. What was asked for may still happen.")


def _away(error: Exception) -> Response:
    log.warning("a service is away", error=type(error).__name__)
    return refusal("unavailable", "service_unavailable", "a service that this needs is away; try again", {})


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    if status >= 500:
        return _unexpected(getattr(error, "original_exception", None) or error)
    return http_problem(error)


def http_problem(
    error: HTTPException, *, detail: str | None = None, members: Mapping[str, Any] | None = None
) -> Response:
    """Return the answer to what Werkzeug refuses, below 500.

    :param detail: one sentence for people, where the usual one would be wrong
    """
    status = error.code or 400
    code, usual = HTTP_CODES.get(status, ("http_error", ""))
    # Allow, Retry-After and the like; the body's own headers are those of a page that is not sent.
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    if status == 413:
        # The rest of the body is not read, so the connection cannot be used again.
        headers["Connection"] = "close"
    return problem(status, code, detail or usual, headers=headers, members=members)


def _unexpected(error: BaseException) -> Response:
    rule = request.url_rule
    log.error("unexpected error", route=rule.rule if rule else None, error=type(error).__name__, exc_info=error)
    return problem(500, "internal_error", "Something went wrong on our side.")
