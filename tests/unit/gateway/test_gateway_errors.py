"""What can go wrong, as problem documents."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from nameko.exceptions import (
    IncorrectSignature,
    MalformedRequest,
    MethodNotFound,
    RemoteError,
    RpcTimeout,
    UnknownService,
)
from werkzeug.exceptions import BadGateway, Gone

from gateway.errors import STATUS
from gateway.openapi import PROBLEMS
from gateway.shapes import EXAMPLES
from lib import errors
from lib.errors import DomainError, OutcomeUnknown, Unavailable
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import USER_ID

USER = f"/api/v1/users/{USER_ID}"
SECRET = "postgresql://app:hunter2@db"


def _answering(client: FlaskClient, cluster: FakeCluster, answer: Any) -> Any:
    cluster.answers["users_svc.get_user"] = answer
    return client.get(USER)


def _kinds() -> set[str]:
    return {each.kind for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, DomainError)}


def test_every_kind_of_error_has_a_status() -> None:
    assert set(STATUS) == _kinds()


@pytest.mark.parametrize("kind", sorted(STATUS))
def test_every_status_is_documented_somewhere(kind: str) -> None:
    # 412 comes with the first route that takes If-Match.
    assert STATUS[kind] in PROBLEMS or kind == "stale"


@pytest.mark.parametrize("kind", sorted(set(STATUS) - {"internal", "stale", "declined", "conflict", "limited"}))
def test_a_kind_becomes_its_status(client: FlaskClient, cluster: FakeCluster, kind: str) -> None:
    if STATUS[kind] in (400, 403, 422):
        # These are no answers to reading a user; the client that checks answers would say so.
        cluster.answers["users_svc.create_user"] = Fault(kind, "some_code", "some reason")
        response = client.post("/api/v1/users", json={"email": "a", "name": "b"})
    else:
        response = _answering(client, cluster, Fault(kind, "some_code", "some reason", {"colour": "red"}))
        assert response.json["colour"] == "red"
    assert response.status_code == STATUS[kind]
    assert response.json["code"] == "some_code"
    assert response.json["title"] == "Some code"
    assert response.json["detail"] == "Some reason."
    assert response.json["type"] == "urn:problem:some_code"


def test_the_standard_members_win(client: FlaskClient, cluster: FakeCluster) -> None:
    details = {"status": 200, "code": "x", "type": "x", "title": "x", "detail": "x", "request_id": "x"}
    response = _answering(client, cluster, Fault("not_found", "user_not_found", "no", details))
    assert response.json["status"] == 404
    assert response.json["code"] == "user_not_found"
    assert response.json["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.parametrize(
    "failure",
    [
        Fault("internal", "internal_error", SECRET, {"error_id": "abc", "sql": SECRET}),
        Fault("no such kind", "strange", SECRET),
        RemoteError("ProgrammingError", SECRET),
        MethodNotFound(SECRET),
        IncorrectSignature(SECRET),
        MalformedRequest(SECRET),
        RuntimeError(SECRET),
        KeyError(SECRET),
        RecursionError(SECRET),
        DomainError(SECRET),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_what_is_not_expected_says_nothing(client: FlaskClient, cluster: FakeCluster, failure: Exception) -> None:
    with structlog.testing.capture_logs() as lines:
        response = _answering(client, cluster, failure)
    assert response.status_code == 500
    assert response.json["code"] == "internal_error"
    assert SECRET not in response.text
    assert set(response.json) == {"type", "title", "status", "detail", "code", "request_id"}
    assert [line for line in lines if line["log_level"] == "error"]


def test_an_id_that_a_service_gave_its_error_is_in_the_log(client: FlaskClient, cluster: FakeCluster) -> None:
    with structlog.testing.capture_logs() as lines:
        _answering(client, cluster, Fault("internal", "internal_error", "x", {"error_id": "abc"}))
    assert lines[0]["error_id"] == "abc"


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (RpcTimeout(5), 504, "timeout"),
        (UnknownService("users_svc"), 503, "service_unavailable"),
        (Unavailable("users_svc is not running"), 503, "unavailable"),
        (OutcomeUnknown("ask"), 503, "outcome_unknown"),
        (Fault("unavailable", "database_unavailable", "away", {"retry_after": 7}), 503, "database_unavailable"),
    ],
)
def test_what_is_away_or_slow(
    client: FlaskClient, cluster: FakeCluster, failure: Exception, status: int, code: str
) -> None:
    response = _answering(client, cluster, failure)
    assert response.status_code == status
    assert response.json["code"] == code


@pytest.mark.parametrize(
    ("value", "header"),
    [(7, "7"), (0.2, "1"), (2.01, "3"), (0, "1"), (-5, "1"), (None, "1"), ("soon", "1"), (1e12, "1")],
)
def test_retry_after_is_a_number_of_seconds(client: FlaskClient, cluster: FakeCluster, value: Any, header: str) -> None:
    response = _answering(client, cluster, Fault("unavailable", "away", "away", {"retry_after": value}))
    assert response.headers["Retry-After"] == header
    assert "retry_after" not in response.json


def test_a_token_that_a_service_refuses_is_challenged_with_the_reason(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]
) -> None:
    cluster.answers["users_svc.get_user"] = Fault("unauthenticated", "invalid_token", 'the "token" is\n\x1bgone')
    response = client.get(USER, headers=bearer)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == (
        'Bearer realm="leveret", error="invalid_token", error_description="the token isgone"'
    )


def test_half_a_surrogate_from_a_service_can_be_answered(client: FlaskClient, cluster: FakeCluster) -> None:
    response = _answering(client, cluster, EXAMPLES["PublicProfile"] | {"display_name": "a\ud800b"})
    assert response.status_code == 200
    assert response.json["display_name"] == "a?b"


def test_an_error_in_the_gateway_itself_is_answered(app: Flask, cluster: FakeCluster) -> None:
    # The answer lacks what the route needs.
    cluster.answers["auth_svc.register"] = {}
    response = app.test_client().post("/auth/register", json={"email": "a", "password": "b", "name": "c"})
    assert response.status_code == 500
    assert response.json is not None
    assert response.json["code"] == "internal_error"


def test_other_http_errors_are_problems_too(configure: Any, cluster: FakeCluster) -> None:
    app: Flask = configure(PUBLIC_URL="http://localhost:3000/")

    def gone() -> None:
        raise Gone

    def bad_gateway() -> None:
        raise BadGateway

    app.add_url_rule("/api/v1/gone", view_func=gone)
    app.add_url_rule("/api/v1/bad", view_func=bad_gateway)
    client = app.test_client()
    assert client.get("/gone").status_code == 410
    assert client.get("/bad").status_code == 500
