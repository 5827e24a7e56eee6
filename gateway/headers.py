"""Headers that every answer carries, and the answers to browsers on other origins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Response, request

from gateway.aliases import Wsgi
from gateway.settings import Settings

POLICY = "Content-Security-Policy"

#: an answer of the API is data: nothing in it may run, load or be framed
NOTHING_RUNS = "default-src 'none'; frame-ancestors 'none'"
HSTS = "max-age=31536000; includeSubDomains"
EXPOSED = (
    "ETag, Idempotent-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-ID"
)
ALLOWED = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, X-Request-ID, traceparent"
)
PREFLIGHT_SECONDS = "600"


class Security:
    """WSGI middleware that adds the security headers; a route that set a policy of its own has its way."""

    def __init__(self, app: Wsgi, settings: Settings) -> None:
        self._app = app
        self._headers = [("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY")]
        self._headers.append(("Referrer-Policy", "no-referrer"))
        if settings.production:
            self._headers.append(("Strict-Transport-Security", HSTS))

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            headers.extend(self._headers)
            if not any(name == POLICY for name, _ in headers):
                headers.append((POLICY, NOTHING_RUNS))
            return start_response(status, headers, *error)

        return self._app(environ, start)


def cross_origin(settings: Settings) -> Callable[[Response], None] | None:
    """Return what lets the pages of CORS_ORIGINS read answers; None if there are none, which is the default.

    Credentials are bearer tokens that a page has to hold itself, never cookies, so none are allowed here.
    """
    origins = settings.cors_origins
    if not origins:
        return None

    def add(response: Response) -> None:
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin is None or not (origin in origins or "*" in origins):
            return
        headers = response.headers
        headers["Access-Control-Allow-Origin"] = "*" if "*" in origins else origin
        headers["Access-Control-Expose-Headers"] = EXPOSED
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            headers["Access-Control-Allow-Methods"] = headers.get("Allow", "")
            headers["Access-Control-Allow-Headers"] = ALLOWED
            headers["Access-Control-Max-Age"] = PREFLIGHT_SECONDS

    return add
