"""How often one client may do what is expensive or worth guessing at. `gateway.counters` does the counting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from flask import Flask, Response, g, request
from limits import RateLimitItem, parse_many

from gateway import metrics
from gateway.addresses import client_address, limiting_key
from gateway.answers import problem
from gateway.counters import Counters, Window
from gateway.state import gateway

View = Callable[..., Any]

QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"

_MARK, _ACCOUNT_MARK = "__rate_limits__", "__account_limits__"


def limited(limits: str) -> Callable[[View], View]:
    """Mark a view as limited per client address, like ``10/minute;200/day``; `install` makes it so."""

    def decorator(view: View) -> View:
        setattr(view, _MARK, limits)
        return view

    return decorator


def limited_per_account(limits: str, *, shared: str) -> Callable[[View], View]:
    """Limit a view per account, or per client address where nobody is signed in; put it below what signs in.

    :param shared: names what is counted together: all views that have the same name
    """
    named = [(f"{shared}-{_name(each)}", each) for each in parse_many(limits)]

    def decorator(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            counters, refusal = gateway().counters, None
            if counters is None:
                return view(*args, **kwargs)
            client = g.call.actor.id or client_key()
            for name, limit in named:
                # As below: a request that is refused is not counted again.
                count = counters.hit if refusal is None else counters.look
                window = count(limit, client, shared)
                report(name, limit, window)
                if refusal is None and not window.passed:
                    refusal = too_many(name, window, "Too many requests of this kind; try again later.")
            return view(*args, **kwargs) if refusal is None else refusal

        setattr(wrapper, _ACCOUNT_MARK, limits)
        return wrapper

    return decorator


def is_limited(view: View) -> bool:
    """Tell whether a view is limited in either way."""
    return hasattr(view, _MARK) or hasattr(view, _ACCOUNT_MARK)


def limits_of(view: View) -> str | None:
    """Return what the view was marked with."""
    mark: str | None = getattr(view, _MARK, None)
    return mark


def install(app: Flask, counters: Counters | None) -> Callable[[Response], None] | None:
    """Put the limits in front of the marked views; return what adds their headers, or None if limits are off."""
    if counters is None:
        return None
    for endpoint, view in app.view_functions.items():
        marked = limits_of(view)
        if marked is not None:
            app.view_functions[endpoint] = _limit(view, endpoint, parse_many(marked), counters)
    return _add_headers


def client_key() -> str:
    """Return what the request's client is counted by."""
    return limiting_key(client_address(request.environ, gateway().settings.trusted_proxies))


def report(name: str, limit: RateLimitItem, window: Window) -> None:
    """Have the answer's headers tell of a limit."""
    reports: list[tuple[str, RateLimitItem, Window]] = g.setdefault("rate_limits", [])
    reports.append((name, limit, window))


def too_many(name: str, window: Window, detail: str) -> Response:
    """Return 429.

    :param name: of the limit, as the headers have it
    :param detail: one sentence for people
    """
    metrics.LIMITED.labels(request.url_rule.rule if request.url_rule else "unmatched").inc()
    return problem(
        429,
        "rate_limited",
        detail,
        kind=QUOTA_EXCEEDED,
        headers={"Retry-After": str(window.seconds)},
        members={"violated-policies": [name]},
    )


def _limit(view: View, endpoint: str, limits: Sequence[RateLimitItem], counters: Counters) -> View:
    named = [(_name(each), each) for each in limits]

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        client, refusal = client_key(), None
        for name, limit in named:
            # A request that one limit refuses is not held against its client by the others.
            count = counters.hit if refusal is None else counters.look
            window = count(limit, client, endpoint)
            report(name, limit, window)
            if refusal is None and not window.passed:
                refusal = too_many(name, window, "Too many requests from your address; try again later.")
        return view(*args, **kwargs) if refusal is None else refusal

    return wrapper


def _name(limit: RateLimitItem) -> str:
    granularity = limit.GRANULARITY.name
    return granularity if limit.multiples == 1 else f"{limit.multiples}-{granularity}s"


def _add_headers(response: Response) -> None:
    """Tell the limits that were asked (draft-ietf-httpapi-ratelimit-headers)."""
    reports = g.get("rate_limits")
    if reports:
        response.headers["RateLimit-Policy"] = ", ".join(
            f'"{name}";q={limit.amount};w={limit.get_expiry()}' for name, limit, _ in reports
        )
        response.headers["RateLimit"] = ", ".join(
            f'"{name}";r={window.remaining};t={window.seconds}' for name, _, window in reports
        )
