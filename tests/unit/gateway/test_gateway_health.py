"""Health and metrics: what operators see."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from gateway.shapes import EXAMPLES
from gateway.state import EXTENSION
from lib.errors import Unavailable
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import USER_ID, Configure, FakeRedis, nothing_revoked


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
        "auth_svc:keys",
        "auth_svc:revocations",
        "auth_svc:consumers",
        "users_svc:consumers",
        "payments_svc:consumers",
        "redis:ping",
    }


def test_without_the_broker_nothing_works(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.connected = False
    cluster.instances = dict.fromkeys(cluster.instances, None)
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


def test_not_ready_when_it_is_about_to_end(configure: Configure, cluster: FakeCluster) -> None:
    app: Flask = configure()
    app.extensions[EXTENSION].draining.set()
    client = app.test_client()
    assert _health(client, "/health/ready")[0] == 503
    assert _health(client, "/health/live")[0] == 200
    response = client.get("/nowhere")
    assert response.headers["Connection"] == "close"


def test_not_ready_without_the_broker(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.connected = False
    assert _health(client, "/health/ready")[0] == 503


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_not_ready_before_the_first_keys(configure: Configure, cluster: FakeCluster, path: str) -> None:
    cluster.answers["auth_svc.get_jwks"] = Unavailable("away")
    status, document = _health(configure().test_client(), path)
    assert status == 503
    assert document["checks"]["auth_svc:keys"][0]["status"] == "fail"


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_not_ready_without_a_snapshot_since_the_last_connect(
    configure: Configure, cluster: FakeCluster, path: str
) -> None:
    revocations = nothing_revoked()
    client = configure(revocations=revocations).test_client()
    assert _health(client, path)[0] == 200
    revocations.link_down()
    status, document = _health(client, path)
    assert status == 503
    assert document["checks"]["auth_svc:revocations"][0]["status"] == "fail"
    assert _health(client, "/health/live")[0] == 200


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
