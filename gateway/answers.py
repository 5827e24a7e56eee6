"""The shapes of answers: JSON, problems (RFC 9457), reads with an ETag, created things."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Response, g, request
from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode

JSON = "application/json"
PROBLEM = "application/problem+json"
#: where nothing else stands: may be kept by the client, must be asked for again, and is never for other eyes
PRIVATE = "private, no-cache"
NO_STORE = "no-store"


def encoded(data: Any) -> bytes:
    """Return `data` as JSON. Half a surrogate pair, which UTF-8 cannot write, comes out as a question mark."""
    return _encode(data).encode("utf-8", "replace")


class Answer(Response):
    """A response that is complete when it is made, so that nothing needs to be worked out when it is sent."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:  # noqa: ARG002  (Werkzeug passes it)
        return self.headers

    def get_app_iter(self, environ: WSGIEnvironment) -> Iterable[bytes]:
        """Return a list: Granian sends it in one go, and takes anything else for a stream, part by part."""
        parts: Iterable[bytes] = super().get_app_iter(environ)
        # Nothing of ours waits for an answer's end; whoever does so in a test keeps Werkzeug's iterator.
        return parts if self._on_close else list(parts)


def _made(body: bytes, status: int, *headers: tuple[str, str]) -> Response:
    # A bare body would have its length set a second time.
    return Answer([body], status, [*headers, ("Content-Length", str(len(body)))])


def answer(data: Any, status: int = 200, *, cache: str = PRIVATE, media_type: str = JSON) -> Response:
    """Return an answer with a JSON body."""
    return _made(encoded(data), status, ("Content-Type", media_type), ("Cache-Control", cache))


def read(data: Any, *, cache: str = PRIVATE) -> Response:
    """Return one resource with its ETag; 304 without a body if the client has it already."""
    body = encoded(data)
    tag = blake2b(body, digest_size=12).hexdigest()
    kept = ("Cache-Control", cache), ("ETag", f'"{tag}"')
    known = request.environ.get("HTTP_IF_NONE_MATCH")
    if known is not None and (known.strip() == "*" or request.if_none_match.contains_weak(tag)):
        return _empty(304, *kept)
    return _made(body, 200, ("Content-Type", JSON), *kept)


def created(data: Any, location: str, *, cache: str = PRIVATE) -> Response:
    """Return 201 with the new resource and its address."""
    response = answer(data, 201, cache=cache)
    response.headers["Location"] = location
    return response


def nothing() -> Response:
    """Return 204."""
    return _empty(204, ("Cache-Control", NO_STORE))


def _empty(status: int, *headers: tuple[str, str]) -> Response:
    # A bare body would set its length, 0: a 204 has none, and a 304 the whole resource's or none (RFC 9110 §8.6).
    response = Answer([], status, [*headers])
    del response.headers["Content-Type"]
    return response


def problem(
    status: int,
    code: str,
    detail: str = "",
    *,
    kind: str | None = None,
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> Response:
    """Return a problem document.

    :param code: stable, snake_case, for programs
    :param detail: one sentence for people
    :param kind: the problem's type URI, if it is somebody else's than ours
    :param members: extension members; the standard ones always win
    """
    body = {
        **(members or {}),
        "type": kind or f"urn:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail or HTTPStatus(status).phrase,
        "code": code,
        "request_id": g.call.correlation_id,
    }
    response = answer(body, status, cache=NO_STORE, media_type=PROBLEM)
    if headers:
        response.headers.update(headers)
    return response
