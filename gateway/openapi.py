"""The OpenAPI 3.1 document: flask-smorest collects the routes, `operation` says what they take and give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import flask_smorest
from flask import Flask
from marshmallow import Schema

from gateway import shapes
from gateway.answers import PROBLEM
from gateway.limits import limits_of
from gateway.settings import Settings
from lib import __version__

View = Callable[..., Any]

BEARER = "bearer"

#: what each status means, with the code that stands for it most often
PROBLEMS: dict[int, tuple[str, str]] = {
    400: ("The request cannot be read.", "malformed_json"),
    401: ("Nobody, or nobody we know, is asking.", "invalid_token"),
    402: ("The payment was declined; it stays readable.", "payment_declined"),
    403: ("We know who asks, and they may not.", "forbidden"),
    404: ("There is no such thing, or none that the caller may know of.", "not_found"),
    409: ("The state of things forbids it now.", "conflict"),
    413: ("The body is larger than 1 MiB.", "content_too_large"),
    415: ("The body is not application/json.", "unsupported_media_type"),
    422: ("The request can be read, and breaks a rule.", "validation_failed"),
    429: ("Too many requests from this address.", "rate_limited"),
    500: ("Something went wrong on our side.", "internal_error"),
    503: ("Something that this needs is away; nothing was done, unless the code is outcome_unknown.", "unavailable"),
    504: ("A service did not answer in time; what was asked for may still happen.", "timeout"),
}
ALWAYS = (500, 503, 504)

_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {"description": "Names this request in all logs", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"description": "RFC 6750", "schema": {"type": "string"}},
    "ETag": {"description": "Send it as If-None-Match", "schema": {"type": "string"}},
    "Location": {"description": "Where the new resource is", "schema": {"type": "string", "format": "uri-reference"}},
    "Idempotent-Replayed": {
        "description": "`true` if this answer was given before",
        "schema": {"type": "string", "const": "true"},
    },
    "RateLimit-Policy": {"description": "draft-ietf-httpapi-ratelimit-headers", "schema": {"type": "string"}},
    "RateLimit": {"description": "draft-ietf-httpapi-ratelimit-headers", "schema": {"type": "string"}},
}
IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "A value of yours, new for each request and the same for its repetitions; bare or quoted",
    "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
}
IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "schema": {"type": "string"},
    "description": "The ETag of the copy that the client has",
}


def operation(
    *,
    gives: tuple[int, str | None],
    takes: Schema | None = None,
    example: Mapping[str, Any] | None = None,
    body_required: bool = True,
    query: Schema | None = None,
    token: bool | None = False,
    key: bool | None = None,
    errors: tuple[int, ...] = (),
) -> Callable[[View], View]:
    """Describe a view. Its docstring gives the summary and the description.

    :param gives: status and component of the good answer
    :param takes: load schema of the body, with an `example`
    :param token: whether an access token is needed; None: it may be there
    :param key: whether an Idempotency-Key is needed; False: it may be there; None: there is none
    :param errors: statuses beyond those that follow from the rest
    """
    status, component = gives

    def decorator(view: View) -> View:
        statuses = {*errors, *ALWAYS}
        parameters: list[dict[str, Any]] = []
        doc: dict[str, Any] = {}
        if takes is not None:
            statuses |= {400, 413, 415, 422}
            content = {"schema": takes, "example": dict(example or {})}
            doc["requestBody"] = {"required": body_required, "content": {"application/json": content}}
        if query is not None:
            statuses.add(422)
            parameters.append({"in": "query", "schema": query})
        if key is not None:
            statuses.add(400)
            parameters.append({**IDEMPOTENCY_KEY, "required": key})
        if token is not False:
            statuses.add(401)
            doc["security"] = [{BEARER: []}] if token else [{}, {BEARER: []}]
        limited = limits_of(view) is not None
        if limited:
            statuses.add(429)
        readable = status == 200 and takes is None and query is None
        if readable:
            parameters.append(IF_NONE_MATCH)
        names = ["X-Request-ID"] + ["RateLimit-Policy", "RateLimit"] * limited
        names += ["Location"] * (status == 201) + ["Idempotent-Replayed"] * (key is True) + ["ETag"] * readable
        responses: dict[str, Any] = {str(status): _good(status, component, names)}
        if readable:
            responses["304"] = {"description": "The client's copy is still good", "headers": _headers("ETag")}
        # References have to be plain texts: apispec turns them into $ref.
        responses.update({str(each): _problem_name(each) for each in sorted(statuses)})
        doc.update(responses=responses, parameters=parameters)
        view._apidoc = {"manual_doc": doc}  # type: ignore[attr-defined]  # flask-smorest's place for it
        return view

    return decorator


def _headers(*names: str) -> dict[str, Any]:
    return {name: _HEADERS[name] for name in names}


def _good(status: int, component: str | None, headers: list[str]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase, "headers": _headers(*headers)}
    if component is not None:
        content = {"schema": shapes.ref(component), "example": shapes.EXAMPLES[component]}
        response["content"] = {"application/json": content}
    return response


def _problem_name(status: int) -> str:
    return f"Problem{status}"


def _problem(status: int) -> dict[str, Any]:
    description, code = PROBLEMS[status]
    headers = ["X-Request-ID"] + ["Retry-After"] * (status in (429, 503)) + ["WWW-Authenticate"] * (status == 401)
    if status == 402:
        headers.append("Idempotent-Replayed")
    example = {
        "type": f"urn:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": description,
        "code": code,
        "request_id": "5f0c2d9ab1e84b3c9d7e6a5f4c3b2a10",
    }
    if status == 422:
        example["errors"] = [{"pointer": "/email", "code": "required", "detail": "this is needed"}]
    return {
        "description": description,
        "headers": _headers(*headers),
        "content": {PROBLEM: {"schema": shapes.ref("Problem"), "example": example}},
    }


class Api(flask_smorest.Api):  # type: ignore[misc]  # it is untyped
    """Collects the document; errors and the document's own routes are ours."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """`gateway.errors` has them."""


class Routes(flask_smorest.Blueprint):  # type: ignore[misc]
    """A blueprint whose views are in the document."""


def document(app: Flask, settings: Settings) -> Api:
    """Return the API object that blueprints are registered with."""
    api = Api(
        app,
        spec_kwargs={
            "title": "Leveret",
            "version": __version__,
            "openapi_version": "3.1.0",
            "info": {
                "description": (
                    "Accounts, profiles and payments.\n\n"
                    "Errors are problem documents (RFC 9457). `/api/…` and bare paths mean the same as `/api/v1/…`."
                ),
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "servers": [{"url": settings.public_url}],
        },
    )
    api.spec.components.security_scheme(
        BEARER, {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The access token"}
    )
    for name, schema in shapes.COMPONENTS.items():
        api.spec.components.schema(name, schema)
    for status in PROBLEMS:
        api.spec.components.response(_problem_name(status), _problem(status))
    return api
