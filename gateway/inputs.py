"""What comes in: bodies, query strings and the Idempotency-Key, read and checked before a route sees them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any

from flask import request
from marshmallow import Schema, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.sansio.utils import get_content_length

from gateway import strict_json
from gateway.answers import JSON
from gateway.card_numbers import escaped
from gateway.fields import MAX_MEMBERS
from gateway.state import gateway
from lib.errors import Invalid, Malformed

MAX_BODY = 1024 * 1024
CHUNK = 64 * 1024
MAX_DISCARDED = 16 * 1024 * 1024
DISCARD_WITHIN = 2.0

View = Callable[..., Any]

_QUOTED = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BARE = re.compile(r"[\x21-\x7e]{1,255}")


class ValidationFailed(Invalid):
    """The request's shape is wrong; ``errors`` says where."""

    code = "validation_failed"


class IncompleteBody(Malformed):
    code = "incomplete_body"


class IdempotencyKeyMissing(Malformed):
    code = "idempotency_key_missing"


class InvalidIdempotencyKey(Malformed):
    code = "invalid_idempotency_key"


def body(schema: Schema, *, required: bool = True) -> Callable[[View], View]:
    """Call the view with the JSON body, loaded by `schema`, as its first argument.

    :param required: whether there has to be a body; without one, the schema loads an empty object
    """

    def decorator(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return view(load(schema, _json(required=required)), *args, **kwargs)

        return wrapper

    return decorator


def query(schema: Schema) -> Callable[[View], View]:
    """Call the view with the query string, loaded by `schema`, as its first argument."""

    def decorator(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            values = request.args
            for name in values:
                if len(values.getlist(name)) > 1:
                    pointer = f"/{escaped(name)}"
                    raise _failed([{"pointer": pointer, "code": "repeated", "detail": "this may stand once"}])
            return view(load(schema, values.to_dict()), *args, **kwargs)

        return wrapper

    return decorator


def _json(*, required: bool) -> dict[str, Any]:
    if required:
        _expect_json()
        return strict_json.parse(read_body())
    content = read_body()
    if not content:
        return {}
    _expect_json()
    return strict_json.parse(content)


def _expect_json() -> None:
    # Nearly every client writes just this, and then there is nothing to take apart.
    if request.environ.get("CONTENT_TYPE") != JSON and request.mimetype != JSON:
        raise UnsupportedMediaType


def read_body(limit: int = MAX_BODY) -> bytes:
    """Return the body; one that is larger than `limit` is read no further than `MAX_DISCARDED`, and refused.

    Werkzeug's own limit cuts a body of unknown length at the limit, and takes what is left for the whole.
    """
    environ = request.environ
    length = get_content_length(environ.get("CONTENT_LENGTH"), environ.get("HTTP_TRANSFER_ENCODING"))
    if length == 0 or (length is None and not environ.get("wsgi.input_terminated")):
        return b""
    stream = environ["wsgi.input"]
    with gateway().admission.reading():
        content = b"" if length is not None and length > limit else _up_to(stream, length or limit + 1)
        if len(content) > limit or (length or 0) > limit:
            # Who is still sending does not listen; an answer that comes before the end may never be read. Who asked
            # before sending does.
            if "HTTP_EXPECT" not in environ:
                _discard(stream)
            raise RequestEntityTooLarge
    if length is not None and len(content) < length:
        raise IncompleteBody("the body ends before its Content-Length")
    return content


def _up_to(stream: Any, size: int) -> bytes:
    parts = []
    while size > 0 and (part := stream.read(min(size, CHUNK))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _discard(stream: Any) -> None:
    give_up = time.monotonic() + DISCARD_WITHIN
    left = MAX_DISCARDED
    while left > 0 and time.monotonic() < give_up and (part := stream.read(CHUNK)):
        left -= len(part)


def load(schema: Schema, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `schema` makes of `data`.

    :raises ValidationFailed: with all that is wrong
    """
    # No request of ours has nearly as many; naming each that is unknown would only be work.
    if len(data) > MAX_MEMBERS:
        raise _failed([{"pointer": "", "code": "too_long", "detail": f"at most {MAX_MEMBERS} members"}])
    try:
        return dict(schema.load(data))
    except ValidationError as exc:
        raise _failed(list(_errors(exc.messages, ""))) from exc


def _failed(errors: list[dict[str, str]]) -> ValidationFailed:
    return ValidationFailed("the request is not as it should be", errors=errors)


def _errors(messages: Any, pointer: str) -> Iterator[dict[str, str]]:
    """Flatten marshmallow's messages into ``{"pointer", "code", "detail"}``."""
    if isinstance(messages, Mapping):
        for name, nested in messages.items():
            yield from _errors(nested, pointer if name == "_schema" else f"{pointer}/{escaped(str(name))}")
        return
    for message in messages:
        code, _, detail = message.partition(": ")
        yield {"pointer": pointer, "code": code, "detail": detail}


def idempotency_key(*, required: bool = True) -> str | None:
    """Return the Idempotency-Key header, which may be quoted (draft-ietf-httpapi-idempotency-key-header) or bare."""
    raw = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if raw is None:
        if required:
            raise IdempotencyKeyMissing("this needs the header Idempotency-Key: a value of yours, new for each request")
        return None
    quoted = _QUOTED.fullmatch(raw)
    key = re.sub(r'\\(["\\])', r"\1", quoted.group(1)) if quoted else raw
    if not _BARE.fullmatch(key):
        raise InvalidIdempotencyKey("an idempotency key is 1 to 255 visible ASCII characters")
    return key
