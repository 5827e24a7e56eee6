"""Resources that count their versions: reads with an ETag, merge patches (RFC 7396) with If-Match (RFC 9110).

The tag holds the version and, behind it, what the answer said. A condition looks at the version alone: what is shown
beside the resource, like the number of followers, changes without anybody's patch getting stale by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import wraps
from hashlib import blake2b
from typing import Any

from flask import Response, request
from marshmallow import Schema
from werkzeug.exceptions import UnsupportedMediaType

from gateway import strict_json
from gateway.answers import JSON, PRIVATE, answer
from gateway.inputs import load, read_body
from lib.errors import Stale

MERGE_PATCH = "application/merge-patch+json"

View = Callable[..., Any]

# Nine digits, as no version needs more and PostgreSQL's integers end soon after.
_TAG = re.compile(r"([0-9]{1,9})-[0-9a-f]{24}")


class NotAPatch(UnsupportedMediaType):
    """The body is of another type; the answer says of which it may be (RFC 5789, section 2.2)."""

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        return [*super().get_headers(*args, **kwargs), ("Accept-Patch", f"{MERGE_PATCH}, {JSON}")]


def read_version(data: Mapping[str, Any]) -> Response:
    """Return a resource and its ETag; 304 without a body if the client has it already.

    :param data: its ``version`` counts the changes
    """
    response = patched(data)
    known = request.environ.get("HTTP_IF_NONE_MATCH")
    tag, _ = response.get_etag()
    if known is not None and (known.strip() == "*" or (tag and request.if_none_match.contains_weak(tag))):
        response.status_code = 304
        response.set_data(b"")
        del response.headers["Content-Type"], response.headers["Content-Length"]
    return response


def patched(data: Mapping[str, Any]) -> Response:
    """Return a resource that was changed just now, with its new ETag."""
    response = answer(data, cache=PRIVATE)
    content = blake2b(response.get_data(), digest_size=12).hexdigest()
    response.headers["ETag"] = f'"{data["version"]}-{content}"'
    return response


def merge_patch(schema: Schema) -> Callable[[View], View]:
    """Call the view with the changes, loaded by `schema`, and with the version that they are meant for, or None."""

    def decorator(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if request.mimetype not in (MERGE_PATCH, JSON):
                raise NotAPatch
            changes = load(schema, strict_json.parse(read_body()))
            return view(changes, _expected_version(), *args, **kwargs)

        return wrapper

    return decorator


def _expected_version() -> int | None:
    """Return the version that If-Match names; None for any.

    :raises Stale: it names nothing that this has ever been
    """
    header = request.environ.get("HTTP_IF_MATCH")
    if header is None or header.strip() == "*":
        return None
    # Weak tags do not count here (RFC 9110, section 13.1.1). Versions only grow: of several, just the newest can be
    # the present one.
    # Werkzeug reads an empty tag as None.
    found = [_TAG.fullmatch(tag or "") for tag in request.if_match.as_set()]
    versions = [int(each[1]) for each in found if each is not None]
    if not versions:
        raise Stale("this has changed since it was read; read it again")
    return max(versions)
