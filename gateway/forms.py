"""Forms that programs send, and who sends them: what RFC 6749 says and RFC 7662 and RFC 7009 build on.

Everything that is wrong with a request is ``invalid_request`` here, everything about the client ``invalid_client``;
both answers have the member ``error`` (RFC 6749, section 5.2) beside what every problem document has.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from flask import request
from marshmallow import EXCLUDE
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from gateway import errors
from gateway.card_numbers import refuse_in_pairs
from gateway.fields import MAX_MEMBERS, Shape, Text
from gateway.inputs import ValidationFailed, load, read_body
from lib.errors import DomainError, Malformed, Unauthenticated
from lib.faults import Fault

View = Callable[..., Any]

MEDIA_TYPE = "application/x-www-form-urlencoded"
INVALID_REQUEST, INVALID_CLIENT = "invalid_request", "invalid_client"
MAX_CLIENT_ID, MAX_CLIENT_SECRET = 255, 1024

_BASIC = re.compile(r"basic +([A-Za-z0-9+/]+=*) *", re.IGNORECASE)


class InvalidRequest(Malformed):
    code = INVALID_REQUEST


class InvalidClient(Unauthenticated):
    code = INVALID_CLIENT


class ClientForm(Shape):
    """Base of the forms: a client may name itself here instead of in the Authorization header."""

    class Meta:
        # "The authorization server MUST ignore unrecognized request parameters."
        unknown = EXCLUDE

    client_id = Text(longest=MAX_CLIENT_ID, metadata={"description": "Unless HTTP Basic says it"})
    client_secret = Text(
        longest=MAX_CLIENT_SECRET, load_only=True, metadata={"description": "Beside `client_id`", "format": "password"}
    )


def client_form(schema: ClientForm) -> Callable[[View], View]:
    """Call the view with the form, loaded by `schema`; ``client_id`` and ``client_secret`` are in it in any case."""

    def decorator(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            told = {"error": INVALID_REQUEST}
            try:
                form = _form()
                client = _client(form)
                return view({**load(schema, form), **client}, *args, **kwargs)
            except UnsupportedMediaType as exc:
                return errors.http_problem(exc, detail=f"The body must be sent as {MEDIA_TYPE}.", members=told)
            except RequestEntityTooLarge as exc:
                return errors.http_problem(exc, members=told)
            except (DomainError, Fault) as exc:
                if exc.kind == Unauthenticated.kind:
                    details = {**exc.details, "error": INVALID_CLIENT}
                    return errors.refusal(exc.kind, INVALID_CLIENT, exc.message, details)
                if exc.kind in ("malformed", "invalid"):
                    return errors.refusal(Malformed.kind, INVALID_REQUEST, exc.message, {**exc.details, **told})
                raise

        return wrapper

    return decorator


def _form() -> dict[str, str]:
    """Return the form's parameters; those without a value count as left out (RFC 6749, section 3.2)."""
    if request.mimetype != MEDIA_TYPE:
        raise UnsupportedMediaType
    try:
        pairs = parse_qsl(
            read_body().decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_MEMBERS
        )
    except ValueError as exc:
        raise InvalidRequest("the body is not a form") from exc
    refuse_in_pairs(pairs)
    form = dict(pairs)
    if len(form) != len(pairs):
        raise InvalidRequest("a parameter stands twice in the form")
    return {name: value for name, value in form.items() if value}


def _client(form: Mapping[str, str]) -> dict[str, str]:
    """Return the credentials of the program that asks."""
    header = request.environ.get("HTTP_AUTHORIZATION")
    if header is None:
        if "client_id" not in form or "client_secret" not in form:
            raise InvalidClient("this needs a client's id and secret")
        return {"client_id": form["client_id"], "client_secret": form["client_secret"]}
    if "client_id" in form or "client_secret" in form:
        raise InvalidRequest("a client authenticates by HTTP Basic or in the form, not by both")
    match = _BASIC.fullmatch(header)
    if match is None:
        raise InvalidClient("the Authorization header is not HTTP Basic")
    return _credentials(match.group(1))


def _credentials(encoded: str) -> dict[str, str]:
    try:
        name, colon, secret = b64decode(encoded, validate=True).decode("utf-8").partition(":")
        credentials = {
            "client_id": unquote_plus(name, errors="strict"),
            "client_secret": unquote_plus(secret, errors="strict"),
        }
    except (binascii.Error, UnicodeDecodeError) as exc:
        raise InvalidClient("the Authorization header cannot be read") from exc
    if not colon:
        raise InvalidClient("the Authorization header has no secret")
    try:
        return load(_CREDENTIALS, credentials)
    except ValidationFailed as exc:
        raise InvalidClient("the client's id or secret is too long, or holds what neither can hold") from exc


_CREDENTIALS = ClientForm()
