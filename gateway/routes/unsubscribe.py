"""The link in mails that ends the mails of one type (RFC 8058).

A mail program posts to it when somebody presses its button. One that does not know how opens it: the page there has a
button of its own, and needs no script.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import UnsupportedMediaType
from werkzeug.formparser import FormDataParser

from gateway import errors
from gateway.answers import NO_STORE, answer
from gateway.card_numbers import refuse_in_pairs
from gateway.fields import MAX_MEMBERS, MAX_TOKEN, Shape, Text
from gateway.inputs import MAX_BODY, ValidationFailed, query, read_body
from gateway.limits import limited
from gateway.openapi import Routes, operation
from gateway.rpc import services
from lib.faults import Fault

blueprint = Routes("unsubscribe", __name__, url_prefix="/api/v1/users", description="The end of mails")
#: for people, and no part of the API
pages = Blueprint("unsubscribe-page", __name__, url_prefix="/api/v1/users")

FOLDER = Path(__file__).parent.parent / "static" / "unsubscribe"
#: the page's form goes to where the page is; nothing on it runs
POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
FIELD, ONE_CLICK = "List-Unsubscribe", "One-Click"
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
HTML = "text/html; charset=utf-8"


class UnsubscribeQuery(Shape):
    token = Text(required=True, longest=MAX_TOKEN, metadata={"description": "Out of the mail's link"})


UNSUBSCRIBE = UnsubscribeQuery()


@cache
def _content(name: str) -> bytes:
    return (FOLDER / f"{name}.html").read_bytes()


def _page(name: str) -> Response:
    response = Response(_content(name), content_type=HTML)
    response.headers["Cache-Control"] = NO_STORE
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return response


@pages.get("/unsubscribe")
def ask() -> Response:
    """The page behind the link, for mail programs that do not post themselves. To get it changes nothing."""
    return _page("ask")


def _as_form(view: Callable[..., Any]) -> Callable[..., Any]:
    """Add to the document what is particular to this one: the form, and the page that a browser gets."""
    told = view._apidoc["manual_doc"]  # type: ignore[attr-defined]
    only = {"type": "string", "const": ONE_CLICK}
    schema = {"type": "object", "properties": {FIELD: only}, "required": [FIELD]}
    content = {each: {"schema": schema, "example": {FIELD: ONE_CLICK}} for each in FORMS}
    told["requestBody"] = {"required": True, "content": content}
    told["responses"]["200"]["content"]["text/html"] = {"schema": {}}
    return view


@blueprint.post("/unsubscribe")
@_as_form
@operation(
    gives=(200, "Empty"),
    query=UNSUBSCRIBE,
    errors={400: ("incomplete_body",), 409: ("contended",), 413: (), 415: (), 422: ("invalid_unsubscribe_token",)},
)
@limited("600/minute")
@query(UNSUBSCRIBE)
def unsubscribe(data: dict[str, str]) -> Response:
    """End the mails of one type

    By the link in a mail's `List-Unsubscribe` header (RFC 8058), without signing in; again and again with the same
    answer. What is shown in the app stays, as do all other mails.
    """
    for_people = request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"
    try:
        _check_form()
        services().users_svc.unsubscribe(**data)
    except UnsupportedMediaType as exc:
        return errors.http_problem(exc, detail=f"The body must be sent as {' or '.join(FORMS)}.")
    except Fault as exc:
        # The form again, as it were, with what is wrong; there is nothing that another try would change.
        if for_people and exc.code == "invalid_unsubscribe_token":
            return _page("failed")
        raise
    return _page("done") if for_people else answer({}, cache=NO_STORE)


def _check_form() -> None:
    """Refuse what is not the one form that RFC 8058 knows: a stray POST is nobody's wish.

    :raises UnsupportedMediaType: it is no form
    :raises ValidationFailed: it is another one
    :raises CardNumberRefused: as everywhere
    """
    if request.mimetype not in FORMS:
        raise UnsupportedMediaType
    content = read_body()
    parser = FormDataParser(max_form_memory_size=MAX_BODY, max_content_length=MAX_BODY, max_form_parts=MAX_MEMBERS)
    _, form, _ = parser.parse(BytesIO(content), request.mimetype, len(content), request.mimetype_params)
    refuse_in_pairs(form.items(multi=True))
    if form.getlist(FIELD) != [ONE_CLICK]:
        told = {"pointer": f"/{FIELD}", "code": "required", "detail": f"this is needed, with the value {ONE_CLICK}"}
        raise ValidationFailed("the request is not as it should be", errors=[told])
