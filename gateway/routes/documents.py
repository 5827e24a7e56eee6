"""The documents at the root: the API's description, and what ``/.well-known`` is known for."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from hashlib import blake2b
from pathlib import Path
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, redirect, request
from werkzeug import Response as AnyResponse
from werkzeug.exceptions import NotFound

from gateway.answers import encoded
from gateway.openapi import Api
from gateway.state import gateway
from lib.ids import utc_now

blueprint = Blueprint("documents", __name__)

API = "gateway.api"
ASSETS = Path(__file__).parent.parent / "static" / "swagger-ui"
ASSET_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "start.js": "text/javascript; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui-bundle.js.LICENSE.txt": "text/plain; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
DAY = 86400
KEYS_SECONDS = 300

#: Swagger UI sets styles from its script, and its icons are data URLs; nothing comes from elsewhere
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@cache
def _document(api: Api) -> bytes:
    return encoded(api.spec.to_dict())


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """The OpenAPI 3.1 document."""
    body = _document(current_app.extensions[API])
    return Response(body, content_type="application/json", headers={"Cache-Control": "no-cache"})


@blueprint.get("/docs")
def docs() -> Response:
    """Swagger UI."""
    return _asset("index.html")


@blueprint.get("/docs/<name>")
def docs_asset(name: str) -> Response:
    """What Swagger UI is made of."""
    if name not in ASSET_TYPES:
        raise NotFound
    return _asset(name, cache=f"public, max-age={DAY}")


@cache
def _content(name: str) -> tuple[bytes, str]:
    body = (ASSETS / name).read_bytes()
    return body, blake2b(body, digest_size=12).hexdigest()


def _asset(name: str, *, cache: str = "no-cache") -> Response:
    body, tag = _content(name)
    response = Response(body, content_type=ASSET_TYPES[name])
    response.headers["Cache-Control"] = cache
    response.headers["Content-Security-Policy"] = DOCS_POLICY
    response.set_etag(tag)
    response.make_conditional(request)
    return response


@blueprint.get("/.well-known/jwks.json")
def jwks() -> Response:
    """The public keys that access tokens are signed with (RFC 7517)."""
    return Response(
        encoded(gateway().tokens.keys.document),
        content_type="application/jwk-set+json",
        headers={"Cache-Control": f"public, max-age={KEYS_SECONDS}", "Access-Control-Allow-Origin": "*"},
    )


@blueprint.get("/.well-known/change-password")
def change_password() -> AnyResponse:
    """Where password managers send people (W3C, A Well-Known URL for Changing Passwords)."""
    return redirect(f"{gateway().settings.public_url}/pages/forgot-password", 302)


@blueprint.get("/.well-known/security.txt")
def security() -> Response:
    """Whom to tell about a weakness (RFC 9116)."""
    public_url = gateway().settings.public_url
    # RFC 9116 wants less than a year; whole days, so that the document does not change all the time.
    expires = (utc_now() + timedelta(days=180)).strftime("%Y-%m-%dT00:00:00Z")
    lines = [
        f"Contact: mailto:security@{urlsplit(public_url).hostname}",
        f"Expires: {expires}",
        "Preferred-Languages: en",
        f"Canonical: {public_url}/.well-known/security.txt",
    ]
    return Response("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")
