"""The OpenAPI 3.1 document: flask-smorest collects the routes, `operation` says what they take and give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import flask_smorest
from flask import Flask
from marshmallow import Schema

from gateway import shapes
from gateway.limits import is_limited
from gateway.problems import PROBLEMS, headers, problem
from gateway.settings import Settings
from lib import __version__

View = Callable[..., Any]

BEARER, CLIENT = "bearer", "client"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
MERGE_PATCH = "application/merge-patch+json"
EVENT_STREAM = "text/event-stream"

ALWAYS = (500, 503, 504)
_OF_BODIES = ("malformed_json", "incomplete_body")
_OF_TOKENS = ("unauthenticated", "invalid_token")
_OF_SHAPES = ("validation_failed", "unusable_json", "card_number_refused")
_OF_CHECKS = ("keys_unavailable", "revocations_unavailable")

#: the errors that many routes have alike, by the name of their component
SHARED: dict[str, tuple[int, tuple[str, ...]]] = {
    **{f"Problem{status}": (status, codes) for status, (_, codes) in PROBLEMS.items() if codes},
    "Problem400": (400, _OF_BODIES),
    "Problem401": (401, _OF_TOKENS),
    "Problem403": (403, ("forbidden",)),
    "Problem409": (409, ("contended",)),
    "Problem422": (422, _OF_SHAPES),
    "Problem503SignedIn": (503, (*PROBLEMS[503][1], *_OF_CHECKS)),
}
_NAMES = {content: name for name, content in SHARED.items()}

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
    "example": '"1c9b3f0e7a52d8461b0c7e93"',
}

IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "schema": {"type": "string"},
    "description": "The ETag of what the change is meant for; 412 if that is no longer how it is. `*` is anything",
    "example": '"7-1c9b3f0e7a52d8461b0c7e93"',
}

LAST_EVENT_ID = {
    "in": "header",
    "name": "Last-Event-ID",
    "schema": {"type": "string", "pattern": "^[0-9]{1,15}$"},
    "description": "The last `id` that the client has: what came later is sent first. Without it: from now on",
    "example": "17",
}

Errors = tuple[int, ...] | Mapping[int, tuple[str, ...]]


def operation(
    *,
    gives: tuple[int, str | None],
    or_gives: tuple[int, str] | None = None,
    takes: Schema | None = None,
    example: Mapping[str, Any] | None = None,
    form: bool = False,
    merge: bool = False,
    events: bool = False,
    files: tuple[str, ...] = (),
    body_required: bool = True,
    query: Schema | None = None,
    token: bool | None = False,
    key: bool | None = None,
    one: bool | None = None,
    errors: Errors = (),
) -> Callable[[View], View]:
    """Describe a view. Its docstring gives the summary and the description.

    :param gives: status and component of the good answer
    :param or_gives: those of another good answer
    :param takes: load schema of the body, with an `example`
    :param form: the body is a form of RFC 6749, with the client's credentials
    :param merge: the body is a merge patch (`gateway.versions`): JSON by either name, with If-Match, and an ETag comes
    :param events: the good answer is a stream of server-sent events, which Last-Event-ID resumes
    :param files: media types of the good answer, if it is no JSON
    :param token: whether an access token is needed; None: it may be there
    :param key: whether an Idempotency-Key is needed; False: it may be there; None: there is none
    :param one: whether one resource is read, with an ETag; None: if it has neither body nor query
    :param errors: statuses and codes beyond those that follow from the rest
    """
    status = gives[0]

    def decorator(view: View) -> View:
        codes = _Codes(errors)
        parameters: list[dict[str, Any]] = []
        doc: dict[str, Any] = {}
        if form:
            codes.add(400, "invalid_request")
            codes.add(401, "invalid_client")
            doc["security"] = [{CLIENT: []}, {}]
        elif takes is not None:
            codes.add(400, *_OF_BODIES)
            codes.add(422, *_OF_SHAPES)
        if takes is not None:
            codes.add(413)
            codes.add(415)
            types = [FORM] if form else [JSON, *[MERGE_PATCH] * merge]
            content = {each: {"schema": takes, "example": dict(example or {})} for each in types}
            doc["requestBody"] = {"required": body_required, "content": content}
        if events:
            codes.add(400, "invalid_last_event_id")
            codes.add(503, "too_many_streams")
            parameters.append(LAST_EVENT_ID)
        if merge:
            codes.add(412, "stale")
            parameters.append(IF_MATCH)
        if query is not None:
            codes.add(422, "validation_failed", "card_number_refused")
            parameters.append({"in": "query", "schema": query})
            if "cursor" in query.fields:
                codes.add(400, "invalid_cursor")
        if key is not None:
            codes.add(400, *["idempotency_key_missing"] * key, "invalid_idempotency_key")
            parameters.append({**IDEMPOTENCY_KEY, "required": key})
        if token is not False:
            codes.add(401, *(_OF_TOKENS if token else ("invalid_token",)))
            codes.add(503, *_OF_CHECKS)
            doc["security"] = [{BEARER: []}] if token else [{}, {BEARER: []}]
        limited = is_limited(view)
        if limited:
            codes.add(429)
        plain = status == 200 and takes is None and query is None and not events and not files
        readable = one if one is not None else plain
        if readable:
            parameters.append(IF_NONE_MATCH)
        elif status != 200 or takes is not None:
            codes.add(409, "contended")
        names = ["X-Request-ID"] + ["RateLimit-Policy", "RateLimit"] * limited
        names += ["Location"] * (status == 201) + ["Idempotent-Replayed"] * (key is True)
        names += ["ETag"] * (readable or merge)
        responses: dict[str, Any] = {str(status): _good(*gives, names, *((EVENT_STREAM,) if events else files))}
        if or_gives is not None:
            responses[str(or_gives[0])] = _good(*or_gives, [each for each in names if each != "Location"])
        if readable:
            responses["304"] = {"description": "The client's copy is still good", "headers": headers("ETag")}
        responses.update(codes.responses())
        doc.update(responses=responses, parameters=parameters)
        view._apidoc = {"manual_doc": doc}  # type: ignore[attr-defined]  # flask-smorest's place for it
        return view

    return decorator


class _Codes:
    """The errors of one operation, by status."""

    def __init__(self, errors: Errors) -> None:
        self._own = dict(errors) if isinstance(errors, Mapping) else dict.fromkeys(errors, ())
        self._general: dict[int, tuple[str, ...]] = {}
        for status in (*self._own, *ALWAYS):
            self.add(status)

    def add(self, status: int, *codes: str) -> None:
        """Note that the operation may end so; `codes` come after those that the status has everywhere."""
        known = self._general.setdefault(status, PROBLEMS[status][1])
        self._general[status] = (*known, *(each for each in codes if each not in known))

    def responses(self) -> dict[str, Any]:
        """Return the operation's responses; what is particular to it stands first."""
        found: dict[str, Any] = {}
        for status, general in sorted(self._general.items()):
            codes = tuple(dict.fromkeys((*self._own.get(status, ()), *general)))
            # References have to be plain texts: apispec turns them into $ref.
            found[str(status)] = _NAMES.get((status, codes)) or problem(status, codes)
        return found


def _good(status: int, component: str | None, names: list[str], *media_types: str) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase, "headers": headers(*names)}
    if component is not None:
        content = {"schema": shapes.ref(component), "example": shapes.EXAMPLES[component]}
        response["content"] = dict.fromkeys(media_types or (JSON,), content)
    return response


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
                    "Errors are problem documents (RFC 9457). `/api/…` and bare paths mean the same as `/api/v1/…`.\n\n"
                    "What is the same everywhere is not repeated below: another address is 404 `not_found`, another "
                    "method 405 `method_not_allowed` with the header `Allow`; a card number in a query, even in one "
                    "that the operation does not know of, is 422 `card_number_refused`."
                ),
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "servers": [{"url": settings.public_url}],
        },
    )
    api.spec.components.security_scheme(
        BEARER, {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The access token"}
    )
    api.spec.components.security_scheme(
        CLIENT,
        {
            "type": "http",
            "scheme": "basic",
            "description": "A program's id and secret, each form-encoded first (RFC 6749, section 2.3.1)",
        },
    )
    for name, schema in shapes.COMPONENTS.items():
        api.spec.components.schema(name, schema)
    for name, (status, codes) in SHARED.items():
        api.spec.components.response(name, problem(status, codes))
    return api
