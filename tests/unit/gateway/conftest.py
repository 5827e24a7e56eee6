"""The gateway without sockets: Flask's test client in front, a fake cluster behind.

Every answer that a test gets is held against the OpenAPI document and against what all answers have in common.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from gateway.access_log import AccessLog
from gateway.aliases import canonical
from gateway.app import create_app
from gateway.revocations import Revocations
from gateway.settings import CONFIG, load_config
from lib import config as configuration
from tests.conftest import ROOT
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.revoking import KEEP, SESSION_ID, USER_ID, Source
from tests.unit.lib.fakes import Clock, Connection, message

KEY_ID = "key-1"

Configure = Callable[..., Flask]


class FakeRedis:
    """Answers pings, or raises what it is given."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def ping(self) -> bool:
        if self.error is not None:
            raise self.error
        return True


class Issuer:
    """Signs access tokens as auth_svc does."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.public = {
            **jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True),
            "kid": KEY_ID,
            "use": "sig",
            "alg": "ES256",
        }

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.public]}

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": "http://localhost:3000",
            "aud": "leveret",
            "sub": USER_ID,
            "sid": SESSION_ID,
            "jti": "0198a3f2-8000-7d4a-9b57-2f4c8e6a1d03",
            "iat": now,
            "auth_time": now,
            "exp": now + 900,
            "roles": [],
            "email_verified": False,
            "amr": ["pwd"],
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, *, headers: dict[str, Any] | None = None, key: Any = None, **changes: Any) -> str:
        return jwt.encode(
            self.claims(**changes),
            key or self.key,
            algorithm="ES256",
            headers={"typ": "at+jwt", "kid": KEY_ID, **(headers or {})},
        )


def nothing_revoked() -> Revocations:
    """Return what a process knows that is connected and has its snapshot."""
    revocations = Revocations(Source(), keep=KEEP)
    revocations.link_up(Connection())  # type: ignore[arg-type]
    assert revocations.load()
    return revocations


class Conformance:
    """Holds answers against the OpenAPI document."""

    def __init__(self, app: Flask, document: dict[str, Any]) -> None:
        self._adapter = app.url_map.bind("localhost")
        self.document = document

    def check(self, method: str, path: str, response: TestResponse) -> None:
        self._common(method, response)
        try:
            rule, _ = self._adapter.match(canonical(path), method, return_rule=True)
        except HTTPException:
            return
        documented = self.document["paths"].get(rule.rule.replace("<id:", "{").replace(">", "}"), {})
        operation = documented.get(method.lower())
        if operation is None:
            return
        answers = operation["responses"]
        assert str(response.status_code) in answers, f"{method} {rule.rule} does not document {response.status_code}"
        answer = answers[str(response.status_code)]
        if "$ref" in answer:
            answer = self.document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        if response.data:
            schema = answer["content"][response.mimetype]["schema"]
            root = {**schema, "components": self.document["components"]}
            Draft202012Validator(root).validate(response.json if response.is_json else response.text)

    def _common(self, method: str, response: TestResponse) -> None:
        headers, status = response.headers, response.status_code
        assert headers["X-Request-ID"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert b"Traceback" not in response.data
        if status >= 400 and not response.mimetype.startswith("application/health"):
            assert headers["Cache-Control"] == "no-store"
            assert response.mimetype == "application/problem+json"
            if method != "HEAD":
                problem = response.json
                assert problem is not None
                assert problem["status"] == status
                assert problem["request_id"] == headers["X-Request-ID"]
                assert {"type", "title", "detail", "code"} <= set(problem)
        if status == 401:
            assert headers["WWW-Authenticate"].startswith(("Bearer ", "Basic "))
        if status == 405:
            assert headers["Allow"]
        if status in (429, 503):
            assert int(headers["Retry-After"]) > 0
        if status == 201:
            assert headers["Location"].startswith("/api/v1/")


class ConformingClient(FlaskClient):
    """Flask's test client, with every answer checked."""

    conformance: Conformance

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        response = super().open(*args, **kwargs)
        path = str(args[0] if args else kwargs["path"]).partition("?")[0]
        self.conformance.check(str(kwargs.get("method", "GET")), path, response)
        return response


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep log lines from being rendered, which is slow for exceptions."""
    with structlog.testing.capture_logs():
        yield


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="session")
def stranger() -> Issuer:
    """Signs with a key that nobody has published."""
    return Issuer()


@pytest.fixture(scope="session")
def shared_cluster() -> FakeCluster:
    """Behind the application that most tests share; use `cluster`."""
    return FakeCluster()


@pytest.fixture
def cluster(shared_cluster: FakeCluster, issuer: Issuer) -> Iterator[FakeCluster]:
    shared_cluster.reset()
    shared_cluster.answers["auth_svc.get_jwks"] = issuer.jwks
    yield shared_cluster
    assert not shared_cluster.mistakes


@pytest.fixture(scope="session")
def shared_redis() -> FakeRedis:
    return FakeRedis()


@pytest.fixture
def redis_client(shared_redis: FakeRedis) -> FakeRedis:
    shared_redis.error = None
    return shared_redis


@pytest.fixture(scope="session")
def defaults() -> dict[str, Any]:
    """The default configuration, without rate limits."""
    return load_config(ROOT / "config.yaml", {}) | {"RATE_LIMITS": "off"}


@pytest.fixture(scope="session")
def document(defaults: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document, which depends on no fixture of one test."""
    client = create_app(defaults, FakeCluster(), counters="memory://", redis_client=FakeRedis()).test_client()
    return dict(json.loads(client.get("/openapi.json").data))


@pytest.fixture(scope="session")
def configure(
    shared_cluster: FakeCluster, shared_redis: FakeRedis, defaults: dict[str, Any], document: dict[str, Any]
) -> Configure:
    """Return a function that makes an application from changes to the default configuration."""

    def make(
        counters: str = "memory://",
        access_log: AccessLog | None = None,
        revocations: Revocations | None = None,
        **changes: Any,
    ) -> Flask:
        config = defaults | changes
        configuration.check(config, CONFIG)
        app = create_app(
            config,
            shared_cluster,
            access_log=access_log,
            counters=counters,
            redis_client=shared_redis,
            revocations=revocations or nothing_revoked(),
        )
        conformance = Conformance(app, document)
        app.test_client_class = type("Client", (ConformingClient,), {"conformance": conformance})
        return app

    return make


@pytest.fixture(scope="session")
def shared_app(configure: Configure) -> Flask:
    return configure()


@pytest.fixture
def app(shared_app: Flask, cluster: FakeCluster, redis_client: FakeRedis) -> Flask:
    """The application as it is by default; it keeps the public keys that it has once fetched."""
    return shared_app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client without a token."""
    return app.test_client()


@pytest.fixture
def bearer(issuer: Issuer) -> dict[str, str]:
    """The headers of a signed-in client."""
    return {"Authorization": f"Bearer {issuer.token()}"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def connection() -> Connection:
    return Connection()


@pytest.fixture
def revocations(source: Source, clock: Clock) -> Revocations:
    """Not connected yet."""
    return Revocations(source, keep=KEEP, clock=clock.monotonic)


@pytest.fixture
def tell(revocations: Revocations, connection: Connection) -> Any:
    """Connect with a snapshot, and return what delivers an event."""
    revocations.link_up(connection)
    assert revocations.load()
    return lambda body: connection.deliver(message(body))
