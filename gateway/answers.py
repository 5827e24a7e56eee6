"""The shapes of answers: JSON, problems (RFC 9457), reads with an ETag, created things."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from http import HTTPStatus
from typing import Any

from flask import Response, g, request

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode

PROBLEM = "application/problem+json"
#: where nothing else stands: may be kept by the client, must be asked for again, and is never for other eyes
PRIVATE = "private, no-cache"
NO_STORE = "no-store"


def encoded(data: Any) -> bytes:
    """Return `data` as JSON. Half a surrogate pair, which UTF-8 cannot write, comes out as a question mark."""
    return _encode(data).encode("utf-8", "replace")


def answer(data: Any, status: int = 200, *, cache: str = PRIVATE, media_type: str = "application/json") -> Response:
    """Return an answer with a JSON body."""
    response = Response(encoded(data), status, content_type=media_type)
    response.headers["Cache-Control"] = cache
    return response


def read(data: Any, *, cache: str = PRIVATE) -> Response:
    """Return one resource with its ETag; 304 without a body if the client has it already."""
    body = encoded(data)
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    known = request.environ.get("HTTP_IF_NONE_MATCH")
    if known is not None and (known.strip() == "*" or request.if_none_match.contains_weak(tag.strip('"'))):
        response = Response(status=304)
        del response.headers["Content-Type"]
    else:
        response = Response(body, content_type="application/json")
    response.headers["Cache-Control"] = cache
    response.headers["ETag"] = tag
    return response


def created(data: Any, location: str, *, cache: str = PRIVATE) -> Response:
    """Return 201 with the new resource and its address."""
    response = answer(data, 201, cache=cache)
    response.headers["Location"] = location
    return response


def nothing() -> Response:
    """Return 204."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    response.headers["Cache-Control"] = NO_STORE
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
