"""What the gateway counts. Labels are bounded: route templates, never a path, an id or a text of an exception.

With several worker processes, each writes into the directory ``PROMETHEUS_MULTIPROC_DIR`` (`gateway.__main__` makes
one), and whichever worker is asked adds them up.
"""

from __future__ import annotations

import hmac
import os

from flask import Response, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

from gateway.state import gateway
from lib import __version__
from lib.errors import Unauthenticated

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

SECONDS = Histogram(
    "http_server_request_duration_seconds",
    "Time from a request's arrival at the application to its answer",
    ["method", "route", "status"],
    buckets=BUCKETS,
)
LIMITED = Counter("http_server_rate_limited_total", "Requests that were refused for being too many", ["route"])
BUILD = Gauge("build_info", "Always 1", ["service", "version"], multiprocess_mode="max")


class MetricsTokenNeeded(Unauthenticated):
    code = "metrics_token_needed"


def known_method(method: str) -> str:
    """Return the method, or one word for all those that clients make up."""
    return method if method in METHODS else "_OTHER"


def observe(method: str, route: str | None, status: int, seconds: float) -> None:
    """Count one request."""
    SECONDS.labels(known_method(method), route or "unmatched", str(status)).observe(seconds)


def show() -> Response:
    """Answer ``GET /metrics``; needs METRICS_TOKEN if one is set."""
    token = gateway().settings.metrics_token
    given = request.environ.get("HTTP_AUTHORIZATION", "").encode("utf-8", "replace")
    if token and not hmac.compare_digest(given, f"Bearer {token}".encode()):
        raise MetricsTokenNeeded("this needs the metrics token")
    BUILD.labels("gateway", __version__).set(1)
    registry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
