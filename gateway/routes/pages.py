"""The pages that mails link to.

A mail's token stands in the link's fragment, which a browser sends to nobody. To get a page changes nothing and asks no
service: only its button, by the page's script, posts the token to the API. So neither a mailbox's virus scanner nor a
preview uses a link up.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from pathlib import Path

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from gateway.answers import NO_STORE

blueprint = Blueprint("pages", __name__, url_prefix="/pages")

FOLDER = Path(__file__).parent.parent / "static" / "pages"
PAGES = (
    "verify-email",
    "claim",
    "reset-password",
    "confirm-email",
    "revert-email",
    "forgot-password",
)
ASSET_TYPES = {
    "pages.js": "text/javascript; charset=utf-8",
    "pages.css": "text/css; charset=utf-8",
}

#: nothing inline, nothing from elsewhere, nothing sent but by the script to ourselves
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)


@cache
def _content(name: str) -> tuple[bytes, str]:
    body = (FOLDER / name).read_bytes()
    return body, blake2b(body, digest_size=12).hexdigest()


@blueprint.get("/<name>")
def page(name: str) -> Response:
    """A page, or what pages are made of."""
    if name in PAGES:
        response = Response(_content(f"{name}.html")[0], content_type="text/html; charset=utf-8")
        response.headers["Cache-Control"] = NO_STORE
    elif name in ASSET_TYPES:
        body, tag = _content(name)
        response = Response(body, content_type=ASSET_TYPES[name])
        response.headers["Cache-Control"] = "no-cache"
        response.set_etag(tag)
        response.make_conditional(request)
    else:
        raise NotFound
    response.headers["Content-Security-Policy"] = POLICY
    # Who opened the page from elsewhere gets no hold of its window.
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return response
