"""Health, metrics, documents and headers: what operators and browsers see."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from gateway.routes.documents import ASSETS
from gateway.shapes import EXAMPLES
from lib.errors import Unavailable
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import USER_ID, Configure, FakeRedis, Issuer

PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": "k" * 32,
    "METRICS_TOKEN": "metrics-token",
    "RATE_LIMITS": "on",
    "AMQP_URI": "amqp://gateway:x@localhost/",
}


# --- health ---


def _health(client: FlaskClient, path: str = "/health") -> tuple[int, Any]:
    response = client.get(path)
    assert response.mimetype == "application/health+json"
    assert response.headers["Cache-Control"] == "no-store"
    return response.status_code, response.json


def test_all_is_well(client: FlaskClient) -> None:
    status, document = _health(client)
    assert status == 200
    assert document["status"] == "pass"
    assert set(document["checks"]) == {
        "rabbitmq:connection",
        "auth_svc:consumers",
        "users_svc:consumers",
        "payments_svc:consumers",
        "redis:ping",
    }


def test_without_the_broker_nothing_works(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.connected = False
    cluster.instances = dict.fromkeys(cluster.instances)
    status, document = _health(client)
    assert (status, document["status"]) == (503, "fail")
    assert document["checks"]["rabbitmq:connection"][0]["status"] == "fail"


@pytest.mark.parametrize("count", [0, None])
@pytest.mark.parametrize("service", ["auth_svc", "users_svc", "payments_svc"])
def test_without_instances_of_a_service_something_does_not_work(
    client: FlaskClient, cluster: FakeCluster, service: str, count: int | None
) -> None:
    cluster.instances[service] = count
    status, document = _health(client)
    assert (status, document["status"]) == (503, "fail")
    assert [name for name, (check,) in document["checks"].items() if check["status"] == "fail"] == [
        f"{service}:consumers"
    ]


def test_the_count_of_instances_is_shown(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.instances["users_svc"] = 3
    assert _health(client)[1]["checks"]["users_svc:consumers"][0]["observedValue"] == 3


def test_redis_is_only_missed(client: FlaskClient, redis_client: FakeRedis) -> None:
    redis_client.error = redis.ConnectionError("secret-host:6379")
    status, document = _health(client)
    assert (status, document["status"]) == (200, "warn")
    assert "secret-host" not in json.dumps(document)


def test_being_alive_depends_on_nothing(client: FlaskClient, cluster: FakeCluster, redis_client: FakeRedis) -> None:
    cluster.connected = False
    redis_client.error = redis.TimeoutError()
    assert _health(client, "/health/live") == (200, {"status": "pass", "serviceId": "gateway", **_version(client)})
    assert not cluster.calls


def _version(client: FlaskClient) -> dict[str, Any]:
    document = _health(client, "/health/live")[1]
    return {"version": document["version"], "checks": {}}


def test_ready_with_the_broker_and_the_keys(configure: Configure, cluster: FakeCluster) -> None:
    cluster.instances["payments_svc"] = 0
    assert _health(configure().test_client(), "/health/ready")[0] == 200


def test_not_ready_without_the_broker(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.connected = False
    assert _health(client, "/health/ready")[0] == 503


def test_not_ready_before_the_first_keys(configure: Configure, cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.get_jwks"] = Unavailable("away")
    status, document = _health(configure().test_client(), "/health/ready")
    assert status == 503
    assert document["checks"]["auth_svc:keys"][0]["status"] == "fail"


# --- metrics ---


def test_requests_are_counted_by_route_and_never_by_path(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.answers["users_svc.get_user"] = EXAMPLES["PublicProfile"]
    client.get(f"/users/{USER_ID}")
    client.get("/nowhere/in-particular")
    client.open("/users", method="BREW")
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.mimetype == "text/plain"
    assert (
        'http_server_request_duration_seconds_count{method="GET",route="/api/v1/users/<id:user_id>",status="200"}'
        in response.text
    )
    assert 'method="GET",route="unmatched",status="404"' in response.text
    assert 'method="_OTHER",route="unmatched",status="405"' in response.text
    assert USER_ID not in response.text
    assert "in-particular" not in response.text
    assert 'build_info{service="gateway"' in response.text


@pytest.mark.parametrize("header", [None, "metrics-token", "Bearer wrong", "Bearer metrics-token2", "Bearer é"])
def test_metrics_need_their_token(configure: Configure, cluster: FakeCluster, header: str | None) -> None:
    client = configure(METRICS_TOKEN="metrics-token").test_client()
    headers = {"Authorization": header.encode().decode("latin-1")} if header else {}
    response = client.get("/metrics", headers=headers)
    assert response.status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer metrics-token"}).status_code == 200


# --- documents ---


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"] == "3.1.0"


def test_the_document_has_every_route_of_the_api_once(app: Flask, document: dict[str, Any]) -> None:
    routes = {
        (rule.rule.replace("<id:", "{").replace(">", "}"), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    documented = {
        (path, method) for path, item in document["paths"].items() for method in item if method != "parameters"
    }
    assert documented == routes
    assert len(routes) == 14


def _operations(document: dict[str, Any]) -> list[Any]:
    return [
        pytest.param(operation, id=f"{method} {path}")
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]


def test_every_operation_is_told_in_full(document: dict[str, Any]) -> None:
    for case in _operations(document):
        (operation,), name = case.values, case.id
        assert operation["summary"], name
        assert {"500", "503", "504"} <= set(operation["responses"]), name
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]
            assert content["example"], name
            assert {"400", "413", "415", "422"} <= set(operation["responses"]), name
        if operation.get("security"):
            assert "401" in operation["responses"], name
        for status, answer in operation["responses"].items():
            if status.startswith("2") and status != "204":
                assert answer["content"]["application/json"]["example"], name


def test_limited_routes_document_that(document: dict[str, Any]) -> None:
    limited = {
        f"{method} {path}"
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters" and "429" in operation["responses"]
    }
    assert limited == {
        "post /api/v1/auth/register",
        "post /api/v1/auth/login",
        "post /api/v1/auth/refresh",
        "post /api/v1/users",
    }


def test_the_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator

    for name, example in EXAMPLES.items():
        root = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        Draft202012Validator(root).validate(example)


def test_passwords_and_keys_are_marked_in_the_document(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["Registration"]["properties"]["password"]["writeOnly"] is True
    assert schemas["Registration"]["properties"]["email"]["maxLength"] == 254
    assert schemas["Registration"]["additionalProperties"] is False
    (key,) = [
        each
        for each in document["paths"]["/api/v1/payments"]["post"]["parameters"]
        if each.get("name") == "Idempotency-Key"
    ]
    assert key["required"] is True


def test_the_document_names_the_public_address(configure: Configure, cluster: FakeCluster) -> None:
    client = configure(PUBLIC_URL="https://api.example.com/").test_client()
    assert client.get("/openapi.json").json["servers"] == [{"url": "https://api.example.com"}]  # type: ignore[index]


def test_the_docs_load_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert page.mimetype == "text/html"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert not re.search(r"https?:|\*", policy)
    assert "unsafe-inline" not in policy.partition("style-src")[0]
    references = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(references) == 4
    for reference in references:
        assert reference.startswith("/docs/")
        assert client.get(reference).status_code == 200
    assert "<script>" not in page.text
    start = client.get("/docs/start.js").text
    assert '"/openapi.json"' in start
    assert "http" not in start
    assert "validatorUrl: null" in start


def test_the_vendored_files_come_with_their_licence() -> None:
    assert "Apache License" in (ASSETS / "LICENSE").read_text()
    assert (ASSETS / "NOTICE").exists()


@pytest.mark.parametrize("name", ["../../app.py", "..%2f..%2fapp.py", "/etc/passwd", "swagger-ui.css/", "."])
def test_the_docs_stay_in_their_folder(client: FlaskClient, name: str) -> None:
    assert client.get(f"/docs/{name}").status_code == 404


def test_the_keys_are_published(client: FlaskClient, issuer: Issuer) -> None:
    response = client.get("/.well-known/jwks.json")
    assert response.status_code == 200
    assert response.mimetype == "application/jwk-set+json"
    assert response.json == issuer.jwks
    assert response.headers["Cache-Control"] == "public, max-age=300"


def test_keys_that_are_not_there_yet_are_503(configure: Configure, cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.get_jwks"] = Unavailable("away")
    assert configure().test_client().get("/.well-known/jwks.json").status_code == 503


def test_where_to_change_the_password(client: FlaskClient) -> None:
    response = client.get("/.well-known/change-password", headers={"Host": "evil.example"})
    assert response.status_code == 302
    assert response.headers["Location"] == "http://localhost:3000/docs"


def test_whom_to_tell_about_a_weakness(configure: Configure, cluster: FakeCluster) -> None:
    response = configure(PUBLIC_URL="https://api.example.com").test_client().get("/.well-known/security.txt")
    assert response.content_type == "text/plain; charset=utf-8"
    assert "Contact: mailto:security@api.example.com\n" in response.text
    assert re.search(r"^Expires: \d{4}-\d\d-\d\dT00:00:00Z$", response.text, re.MULTILINE)


# --- headers ---


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
