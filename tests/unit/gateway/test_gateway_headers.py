"""Headers of every answer, and of those to other origins."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from gateway.shapes import EXAMPLES
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import USER_ID, Configure

PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": "k" * 32,
    "METRICS_TOKEN": "metrics-token",
    "RATE_LIMITS": "on",
    "AMQP_URI": "amqp://gateway:x@localhost/",
    # It has none.
    "DB_URIS": {},
    "MIGRATION_DB_URIS": {},
}


def test_only_production_asks_browsers_for_https(configure: Configure, client: FlaskClient) -> None:
    assert "Strict-Transport-Security" not in client.get("/health").headers
    production = configure(**PRODUCTION).test_client()
    assert production.get("/health").headers["Strict-Transport-Security"].startswith("max-age=31536000")


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/api/v1/users/profile", "/docs"])
def test_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert len(headers.getlist("Content-Security-Policy")) == 1


def test_other_origins_are_let_in_by_configuration_only(client: FlaskClient) -> None:
    response = client.get("/health", headers={"Origin": "https://app.example.com"})
    assert not [name for name in response.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118


def test_configured_origins_are_let_in(configure: Configure, cluster: FakeCluster) -> None:
    client = configure(CORS_ORIGINS="https://app.example.com, http://localhost:5173").test_client()
    response = client.get("/health", headers={"Origin": "http://localhost:5173"})
    assert response.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert response.headers["Vary"] == "Origin"
    for origin in ("https://evil.example", "null", "https://app.example.com.evil.example"):
        response = client.get("/health", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in response.headers
        assert response.headers["Vary"] == "Origin"


def test_a_preflight_is_answered(configure: Configure, cluster: FakeCluster) -> None:
    client = configure(CORS_ORIGINS="https://app.example.com").test_client()
    response = client.options(
        "/api/v1/payments",
        headers={"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"},
    )
    assert response.status_code == 200
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "Idempotency-Key" in response.headers["Access-Control-Allow-Headers"]
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]


def test_any_origin_can_be_let_in(configure: Configure, cluster: FakeCluster) -> None:
    client = configure(CORS_ORIGINS="*").test_client()
    response = client.get("/health", headers={"Origin": "https://anybody.example"})
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_vary_keeps_what_else_an_answer_depends_on(configure: Configure, cluster: FakeCluster) -> None:
    cluster.answers["users_svc.get_user"] = EXAMPLES["PublicProfile"]
    client = configure(CORS_ORIGINS="https://app.example.com").test_client()
    assert client.get(f"/users/{USER_ID}").headers["Vary"] == "Authorization, Origin"
