"""Which paths and methods there are, and which other spellings."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from gateway.aliases import canonical
from gateway.shapes import EXAMPLES
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import USER_ID

USER = f"/api/v1/users/{USER_ID}"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture(autouse=True)
def _user(cluster: FakeCluster) -> None:
    cluster.answers["users_svc.get_user"] = EXAMPLES["PublicProfile"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/users", "/api/v1/users"),
        ("/api/users", "/api/v1/users"),
        ("/users", "/api/v1/users"),
        ("/auth/register", "/api/v1/auth/register"),
        ("/api/auth/register", "/api/v1/auth/register"),
        ("/health", "/health"),
        ("/health/live", "/health/live"),
        ("/docs", "/docs"),
        ("/docs/start.js", "/docs/start.js"),
        ("/.well-known/jwks.json", "/.well-known/jwks.json"),
        # Nothing is rewritten twice, cleaned up or guessed.
        ("/api/api/v1/users", "/api/v1/api/v1/users"),
        ("/api/v1/api/v1/users", "/api/v1/api/v1/users"),
        ("/v1/users", "/api/v1/v1/users"),
        ("//users", "/api/v1//users"),
        ("/api//users", "/api/v1//users"),
        ("/health/../users", "/api/v1/health/../users"),
        ("/Health", "/api/v1/Health"),
        ("/API/v1/users", "/api/v1/API/v1/users"),
        ("/api", "/api/v1/api"),
        ("/api/v1", "/api/v1/v1"),
        ("/", "/api/v1/"),
        ("", "/api/v1"),
        ("/healthy", "/api/v1/healthy"),
    ],
)
def test_a_path_has_one_canonical_form(path: str, expected: str) -> None:
    assert canonical(path) == expected
    if path.startswith("/api/v1/"):
        assert canonical(expected) == expected


@pytest.mark.parametrize("prefix", ["", "/api", "/api/v1"])
def test_every_form_reaches_the_same_route(client: FlaskClient, cluster: FakeCluster, prefix: str) -> None:
    assert client.get(f"{prefix}/users/{USER_ID}").status_code == 200
    assert client.get(f"{prefix}/users/profile").status_code == 401
    assert client.post(f"{prefix}/auth/register").status_code == 415
    assert client.get(f"{prefix}/payments").status_code == 401
    assert client.delete(f"{prefix}/payments").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v2/users",
        "//users",
        "/users//profile",
        "/users/",
        "/users/profile/",
        "/Users/profile",
        "/users/PROFILE/x",
        "/users/%2e%2e/health",
        "/%2e%2e/health",
        "/health/../users",
        "/health/x",
        "/api/health",
        "/users/a%2Fb",
        "/users/profile;x=1/y",
        "/%00",
        "/%ff%fe",
        "/" + "a" * 8000,
        "/.well-known/nothing",
        "/docs/../openapi.json",
        "/docs/%2e%2e/%2e%2e/app.py",
        "/docs/nothing",
    ],
)
def test_other_paths_are_not_found_and_never_a_redirect(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert "Location" not in response.headers


def test_the_application_knows_its_routes_once(app: Flask) -> None:
    rules = [rule.rule for rule in app.url_map.iter_rules()]
    assert not [rule for rule in rules if rule.startswith(("/auth", "/users", "/payments", "/api/auth", "/api/users"))]


def test_options_tells_the_methods(client: FlaskClient) -> None:
    response = client.options(USER)
    assert response.status_code == 200
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_head_is_get_without_a_body(client: FlaskClient) -> None:
    response = client.head(USER)
    assert response.status_code == 200
    assert response.data == b""
    assert response.headers["ETag"] == client.get(USER).headers["ETag"]


@pytest.mark.parametrize("host", ["evil.example", "a b", "[", "localhost:99999999", "é", "a/b", ""])
def test_a_strange_host_is_no_error_of_ours(client: FlaskClient, host: str) -> None:
    response = client.get(USER, headers={"Host": host.encode().decode("latin-1")})
    assert response.status_code in (200, 400)
