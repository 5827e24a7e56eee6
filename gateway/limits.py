"""How often one client may do what is expensive or worth guessing at.

Counted in Redis, for all gateway processes together, in a window that moves (Flask-Limiter). Without Redis, each
process counts for itself: the limits get wider, nothing breaks, and no request waits longer than `REDIS_TIMEOUT`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import redis
from flask import Flask, Response, request
from flask_limiter import Limiter, RateLimitExceeded, RequestLimit
from limits import RateLimitItem, parse_many
from redis.backoff import NoBackoff
from redis.retry import Retry

from gateway import metrics
from gateway.addresses import client_address, limiting_key
from gateway.answers import problem
from gateway.settings import Settings
from lib import logs

log = logs.get("gateway.limits")

View = Callable[..., Any]

REDIS_TIMEOUT = 0.05
#: redis-py would try three times more, with pauses of up to ten seconds
REDIS_OPTIONS: dict[str, Any] = {
    "socket_connect_timeout": REDIS_TIMEOUT,
    "socket_timeout": REDIS_TIMEOUT,
    "retry": Retry(NoBackoff(), 0),
}
QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"

_MARK = "__rate_limits__"


def limited(limits: str) -> Callable[[View], View]:
    """Mark a view as limited per client address, like ``10/minute;200/day``; `install` makes it so."""

    def decorator(view: View) -> View:
        setattr(view, _MARK, limits)
        return view

    return decorator


def limits_of(view: View) -> str | None:
    """Return what the view was marked with."""
    mark: str | None = getattr(view, _MARK, None)
    return mark


def install(app: Flask, settings: Settings, counters: str | None = None) -> Callable[[Response], None] | None:
    """Put the limits in front of the marked views; return what adds their headers, or None if limits are off.

    :param counters: where to count, as the library `limits` writes it; the default is Redis
    """
    if not settings.rate_limits:
        return None

    def client() -> str:
        return limiting_key(client_address(request.environ, settings.trusted_proxies))

    uri = counters or settings.redis_url
    limiter = Limiter(
        client,
        storage_uri=f"redis+{uri}" if uri.startswith("unix:") else uri,
        storage_options=dict(REDIS_OPTIONS) if "redis" in uri or uri.startswith("unix:") else {},
        strategy="moving-window",
        in_memory_fallback_enabled=True,
        key_prefix="leveret",
    )
    # The extension looks at every request and every response, for limits that hold everywhere and for headers of its
    # own kind. There is neither here: the marked views ask by themselves.
    hooks: list[Any] = [app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs]
    kept = [list(each.get(None, ())) for each in hooks]
    limiter.init_app(app)
    for each, functions in zip(hooks, kept, strict=True):
        each[None] = functions
    policies: dict[str, str] = {}
    for endpoint, view in app.view_functions.items():
        marked = limits_of(view)
        if marked is not None:
            limited_view: Any = limiter.limit(marked)(view)
            app.view_functions[endpoint] = limited_view
            policies[endpoint] = ", ".join(map(_policy, parse_many(marked)))

    def exceeded(error: RateLimitExceeded) -> Response:
        metrics.LIMITED.labels(request.url_rule.rule if request.url_rule else "unmatched").inc()
        breached = limiter.current_limit
        return problem(
            429,
            "rate_limited",
            "Too many requests from your address; try again later.",
            kind=QUOTA_EXCEEDED,
            headers={"Retry-After": str(_seconds_until(breached) if breached else 60)},
            members={"violated-policies": [_name(error.limit.limit)]},
        )

    def add_headers(response: Response) -> None:
        policy = policies.get(request.endpoint or "")
        if policy is None:
            return
        response.headers["RateLimit-Policy"] = policy
        try:
            response.headers["RateLimit"] = ", ".join(
                f'"{_name(each.limit)}";r={max(0, each.remaining)};t={_seconds_until(each)}'
                for each in limiter.current_limits
            )
        except redis.RedisError:
            log.debug("no counts for the RateLimit header")

    app.register_error_handler(RateLimitExceeded, exceeded)
    return add_headers


def _policy(limit: RateLimitItem) -> str:
    return f'"{_name(limit)}";q={limit.amount};w={limit.get_expiry()}'


def _name(limit: RateLimitItem) -> str:
    return limit.GRANULARITY.name


def _seconds_until(limit: RequestLimit) -> int:
    """Return when the window has room again: Flask-Limiter rounds up, and never beyond the whole window here."""
    return min(limit.limit.get_expiry(), max(1, math.ceil(limit.reset_at - time.time())))
