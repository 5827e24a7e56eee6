"""The Flask application, made from its configuration and its way to the services."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import redis
from flask import Flask
from werkzeug.routing import UnicodeConverter

from gateway import aliases, bearer, errors, headers, lifecycle, limits, openapi, state
from gateway.access_log import AccessLog
from gateway.admission import Admission
from gateway.counters import REDIS_OPTIONS, Counters
from gateway.revocations import SPARE, Revocations
from gateway.routes import (
    admin,
    admin_ledger,
    admin_payments,
    auth,
    connections,
    documents,
    email,
    health,
    notifications,
    oauth,
    pages,
    passwords,
    payment_methods,
    payments,
    preferences,
    search,
    security_events,
    sessions,
    stream,
    transactions,
    unsubscribe,
    users,
    webhooks,
)
from gateway.settings import Settings
from gateway.streams import Streams


class Application(Flask):
    """Flask, less what no request of ours needs."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is: none of ours is a coroutine, and Flask looks anew with every call."""
        return func


class IdConverter(UnicodeConverter):
    """An id in a path. What is no UUID goes on to the service, too, which does not find it."""


def create_app(
    config: Mapping[str, Any],
    cluster: state.Cluster,
    *,
    access_log: AccessLog | None = None,
    counters: str | None = None,
    redis_client: state.Pingable | None = None,
    revocations: Revocations | None = None,
) -> Flask:
    """Return the WSGI application.

    :param config: has passed `lib.config.check` with `gateway.settings.CONFIG`
    :param cluster: started or not; calls fail with 503 until it is connected
    :param access_log: gets a line for each request; the default writes none
    :param counters: where rate limits are counted, as the library `limits` writes it; the default is ``REDIS_URL``
    :param redis_client: what the health check asks; the default is a client of ``REDIS_URL``
    :param revocations: what tokens are held against; the default learns from the cluster, once a keeper loads it
    """
    settings = Settings.of(config)
    uri = counters or settings.redis_url
    counting = Counters(uri, processes=settings.workers) if settings.rate_limits else None
    if revocations is None:
        revocations = Revocations(bearer.snapshots(cluster), keep=settings.access_token_ttl + SPARE)
    cluster.listen(revocations)
    streams = Streams(settings.streams)
    cluster.listen(streams)
    app = Application(__name__, static_folder=None)
    app.url_map.merge_slashes = False
    app.url_map.converters["id"] = IdConverter
    app.extensions[state.EXTENSION] = state.Gateway(
        settings=settings,
        cluster=cluster,
        tokens=bearer.verifier(cluster, issuer=settings.issuer, audience=settings.audience),
        revocations=revocations,
        redis=redis_client or redis.Redis.from_url(settings.redis_url, **REDIS_OPTIONS),
        counters=counting,
        admission=Admission(settings.threads),
        streams=streams,
    )
    errors.register(app)
    api = openapi.document(app, settings)
    app.extensions[documents.API] = api
    api.register_converter(IdConverter, lambda _: {"type": "string", "format": "uuid"})
    app.register_blueprint(health.blueprint)
    app.register_blueprint(documents.blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(unsubscribe.pages)
    accounts = (auth, sessions, email, passwords, security_events, oauth, admin)
    people = (search, preferences, unsubscribe, notifications, stream, connections, users)
    money = (payments, payment_methods, transactions, webhooks, admin_payments, admin_ledger)
    for area in (*accounts, *people, *money):
        api.register_blueprint(area.blueprint)
    finishers = [limits.install(app, counting), headers.cross_origin(settings)]
    lifecycle.install(app, [each for each in finishers if each is not None], access_log or AccessLog())
    app.wsgi_app = headers.Security(aliases.Aliases(app.wsgi_app), settings)  # type: ignore[method-assign]
    return app
