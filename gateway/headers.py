"""Headers that every answer carries, and the answers to browsers on other origins."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, request

from gateway.settings import Settings

#: an answer of the API is data: nothing in it may run, load or be framed
NOTHING_RUNS = "default-src 'none'; frame-ancestors 'none'"
HSTS = "max-age=31536000; includeSubDomains"
EXPOSED = (
    "ETag, Idempotent-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-ID"
)
ALLOWED = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-ID, traceparent"
PREFLIGHT_SECONDS = "600"


def security(settings: Settings) -> Callable[[Response], None]:
    """Return what adds the security headers; a route that set one has its way."""
    values = {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": NOTHING_RUNS,
    }
    if settings.production:
        values["Strict-Transport-Security"] = HSTS
    plain = list(values.items())

    def add(response: Response) -> None:
        headers = response.headers
        if "Content-Security-Policy" in headers:
            for name, value in plain:
                headers.setdefault(name, value)
        else:
            headers.extend(plain)

    return add


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
