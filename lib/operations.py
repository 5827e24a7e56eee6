"""What an operator asks a service: is it alive, is it well, what has it counted.

Served beside the workers and not by them: a service whose workers are all busy still answers.
"""

from __future__ import annotations

import errno
import hmac
import json
import logging
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

import eventlet
import eventlet.wsgi
import sqlalchemy as sa
from nameko.exceptions import ConfigurationError
from nameko.extensions import DependencyProvider
from prometheus_client import generate_latest
from sqlalchemy.orm import Session

from lib import __version__, metrics
from lib.broker import Broker
from lib.caller import caller_of
from lib.ids import rfc3339, utc_now
from lib.provide import Provide
from lib.queue_consumer import QueueConsumer
from lib.relay import oldest_unsent

log = logging.getLogger(__name__)

CACHE_SECONDS = 1.0
CHECK_WITHIN = 2.0
OUTBOX_WARNS_AFTER = 60.0


class Operations(DependencyProvider):
    """``/api/v1/health``, ``/api/v1/health/live`` and ``/metrics`` on ``HTTP_PORTS[<service>]``.

    The answers have the shape of draft-inadarei-api-health-check-06. Port 0, or the environment's ``HTTP_PORT=0`` that
    further instances are started with, means: no HTTP.
    """

    queue_consumer = QueueConsumer()
    broker = Broker()

    def __init__(self) -> None:
        self._socket: Any = None
        self._checked: tuple[float, dict[str, Any]] | None = None
        self._probe: Any = None
        self._server: Any = None

    def setup(self) -> None:
        config, service = self.container.config, self.container.service_name
        given = os.environ.get("HTTP_PORT") or "0"
        if not given.isascii() or not given.isdecimal() or int(given) > 65535:
            raise ConfigurationError(f"HTTP_PORT: expected a whole number from 0 to 65535, got {given!r}")
        port = int(os.environ.get("HTTP_PORT") or config.get("HTTP_PORTS", {}).get(service, 0))
        if port == 0:
            return
        host = config.get("SERVICE_HTTP_HOST", "127.0.0.1")
        try:
            # Not shared: the kernel would quietly split the requests between us and whoever listens already.
            self._socket = eventlet.listen((host, port), reuse_port=False)
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                raise ConfigurationError(f"HTTP_PORTS[{service}]: port {port} is taken") from exc
            raise ConfigurationError(f"HTTP_PORTS[{service}]: cannot listen on {host}:{port}: {exc.strerror}") from exc

    def start(self) -> None:
        if self._socket is not None:
            self._server = self.container.spawn_managed_thread(self._serve, identifier="operations")

    def stop(self) -> None:
        if self._server is not None:
            self._server.kill()

    def _serve(self) -> None:
        quiet = logging.getLogger(f"{__name__}.access")
        quiet.setLevel(logging.WARNING)
        eventlet.wsgi.server(
            self._socket, self._app, log=quiet, log_output=False, socket_timeout=10, url_length_limit=2048, debug=False
        )

    # --- HTTP ---

    def _app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _answer(start_response, "405 Method Not Allowed", {"status": 405}, [("Allow", "GET, HEAD")])
        path = environ["PATH_INFO"]
        if path == "/api/v1/health/live":
            return _answer(start_response, "200 OK", {"status": "pass"})
        if path == "/api/v1/health":
            health = self.health()
            status = "503 Service Unavailable" if health["status"] == "fail" else "200 OK"
            return _answer(start_response, status, health)
        if path == "/metrics":
            return self._metrics(environ, start_response)
        return _answer(start_response, "404 Not Found", {"status": 404})

    def _metrics(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        token = self.container.config.get("METRICS_TOKEN")
        if token and not hmac.compare_digest(
            environ.get("HTTP_AUTHORIZATION", "").encode(), f"Bearer {token}".encode()
        ):
            return _answer(
                start_response, "401 Unauthorized", {"status": 401}, [("WWW-Authenticate", 'Bearer realm="metrics"')]
            )
        start_response("200 OK", [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")])
        return [generate_latest(metrics.REGISTRY)]

    # --- checks ---

    def health(self) -> dict[str, Any]:
        """Return the health document; computed at most once a second."""
        now = time.monotonic()
        if self._checked is None or now - self._checked[0] > CACHE_SECONDS:
            self._checked = (now, self._check())
        return self._checked[1]

    def _check(self) -> dict[str, Any]:
        checks = {
            "rabbitmq:consuming": [_component("component", "pass" if self.queue_consumer.consuming else "fail")],
            "rabbitmq:publishing": [
                _component(
                    "component", "pass" if self.broker.link.connected and not self.broker.link.blocked else "fail"
                )
            ],
            **self._database_checks(),
        }
        caller = caller_of(self.container)
        if caller is not None:
            checks["tokens:keys"] = [_component("component", "pass" if caller.ready else "fail")]
        states = {entry["status"] for entries in checks.values() for entry in entries}
        return {
            "status": next((each for each in ("fail", "warn") if each in states), "pass"),
            "serviceId": self.container.service_name,
            "version": __version__,
            "checks": checks,
        }

    def _database_checks(self) -> dict[str, list[dict[str, Any]]]:
        provider = next((each for each in self.container.dependencies if isinstance(each, Provide)), None)
        if provider is None:
            return {}
        if self._probe is None or self._probe.dead:
            self._probe = eventlet.spawn(_ask_database, provider.database.open())
        # A database that is stopped, not closed, answers nothing at all; its own statement timeout then never fires.
        # The probe waits on, alone: while it does, nobody asks again.
        found = None
        with eventlet.Timeout(CHECK_WITHIN, False):
            found = self._probe.wait()
        if found is None:
            log.warning("health: no database")
            return {"postgresql:responseTime": [_component("datastore", "fail")]}
        response_ms, lag = found
        return {
            "postgresql:responseTime": [
                _component("datastore", "pass", observedValue=round(response_ms, 1), observedUnit="ms")
            ],
            "outbox:oldestUnsent": [
                _component(
                    "component",
                    "warn" if lag > OUTBOX_WARNS_AFTER else "pass",
                    observedValue=round(lag, 1),
                    observedUnit="s",
                )
            ],
        }


def _ask_database(sessions: Callable[[], Session]) -> tuple[float, float] | None:
    """Return the time of an answer in ms and the outbox's lag in seconds; None if there was none."""
    started = time.perf_counter()
    try:
        with sessions() as session:
            session.execute(sa.text("select 1"))
            return (time.perf_counter() - started) * 1000, oldest_unsent(session)
    except sa.exc.SQLAlchemyError:
        return None


def _component(kind: str, status: str, **values: Any) -> dict[str, Any]:
    return {"componentType": kind, "status": status, "time": rfc3339(utc_now()), **values}


def _answer(
    start_response: Callable[..., Any], status: str, body: dict[str, Any], headers: list[tuple[str, str]] | None = None
) -> list[bytes]:
    payload = json.dumps(body).encode()
    start_response(
        status,
        [
            ("Content-Type", "application/health+json"),
            ("Content-Length", str(len(payload))),
            ("Cache-Control", "no-store"),
            *(headers or []),
        ],
    )
    return [payload]
