"""How the gateway is, for operators and their machines."""

from __future__ import annotations

from typing import Any

import redis
from flask import Blueprint, Response

from gateway import metrics
from gateway.answers import NO_STORE, answer
from gateway.bearer import has_keys
from gateway.settings import SERVICES
from gateway.state import gateway
from lib import __version__
from lib.ids import rfc3339, utc_now

blueprint = Blueprint("health", __name__)

MEDIA_TYPE = "application/health+json"


@blueprint.get("/health")
def health() -> Response:
    """The whole: fails when the broker is away or a service has no instance; Redis is only missed."""
    own = gateway()
    checks = _own_needs()
    for service in SERVICES:
        count = own.cluster.consumers(service)
        checks[f"{service}:consumers"] = [
            _check("component", bool(count), observedValue=count or 0, observedUnit="consumers")
        ]
    checks["redis:ping"] = [_check("datastore", _redis_answers(), otherwise="warn")]
    return _report(checks)


@blueprint.get("/health/live")
def live() -> Response:
    """The process answers; nothing else is looked at."""
    return _report({})


@blueprint.get("/health/ready")
def ready() -> Response:
    """This process can take requests: it has the broker, the keys to check tokens with and what is revoked, and is
    not about to end.

    One missing service does not count: the others' routes still work, here as on any other instance.
    """
    return _report({**_own_needs(), "gateway:listening": [_check("component", not gateway().draining.is_set())]})


@blueprint.get("/metrics")
def show_metrics() -> Response:
    """For Prometheus."""
    return metrics.show()


def _own_needs() -> dict[str, list[dict[str, Any]]]:
    own = gateway()
    connected = own.cluster.connected
    return {
        "rabbitmq:connection": [_check("component", connected)],
        # Kept once they are there, whatever becomes of auth_svc.
        "auth_svc:keys": [_check("component", connected and has_keys(own.tokens.keys))],
        # Asked for anew after every connect.
        "auth_svc:revocations": [_check("component", connected and own.revocations.ready)],
    }


def _redis_answers() -> bool:
    try:
        return bool(gateway().redis.ping())
    except redis.RedisError:
        return False


def _check(kind: str, fine: bool, *, otherwise: str = "fail", **values: Any) -> dict[str, Any]:
    return {"componentType": kind, "status": "pass" if fine else otherwise, "time": rfc3339(utc_now()), **values}


def _report(checks: dict[str, list[dict[str, Any]]]) -> Response:
    states = {each["status"] for entries in checks.values() for each in entries}
    status = next((each for each in ("fail", "warn") if each in states), "pass")
    document = {"status": status, "serviceId": "gateway", "version": __version__, "checks": checks}
    response = answer(document, 503 if status == "fail" else 200, cache=NO_STORE, media_type=MEDIA_TYPE)
    if status == "fail":
        response.headers["Retry-After"] = "1"
    return response
