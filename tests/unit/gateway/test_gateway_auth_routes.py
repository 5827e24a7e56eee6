"""Accounts and sign-in over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway.shapes import EXAMPLES
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import SESSION_ID, USER_ID

REGISTRATION = {"email": "ann@example.com", "password": "SecurePass123!", "name": "Ann"}
CREDENTIALS = {"email": "ann@example.com", "password": "SecurePass123!"}
POSTS = [
    ("/api/v1/auth/register", REGISTRATION),
    ("/api/v1/auth/login", CREDENTIALS),
    ("/api/v1/auth/refresh", {"refresh_token": "rt_1"}),
]


def test_registering_makes_an_account_and_signs_in(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.register"] = EXAMPLES["Session"]
    response = client.post("/api/v1/auth/register", json=REGISTRATION)
    assert response.status_code == 201
    assert response.json == EXAMPLES["Session"]
    assert response.headers["Location"] == f"/api/v1/users/{USER_ID}"
    assert response.headers["Cache-Control"] == "no-store"
    assert cluster.called("auth_svc.register") == [REGISTRATION]


def test_signing_in_gives_tokens_that_nobody_may_keep(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.login"] = EXAMPLES["Session"]
    response = client.post("/api/v1/auth/login", json=CREDENTIALS)
    assert response.status_code == 200
    assert response.json == EXAMPLES["Session"]
    assert response.headers["Cache-Control"] == "no-store"
    assert cluster.called("auth_svc.login") == [CREDENTIALS]


def test_refreshing_gives_a_new_pair(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.refresh"] = EXAMPLES["Tokens"]
    response = client.post("/api/v1/auth/refresh", json={"refresh_token": "rt_1"})
    assert response.status_code == 200
    assert response.json == EXAMPLES["Tokens"]
    assert response.headers["Cache-Control"] == "no-store"
    assert cluster.called("auth_svc.refresh") == [{"refresh_token": "rt_1"}]


@pytest.mark.parametrize(("path", "body"), POSTS)
def test_an_expired_token_does_not_keep_anybody_from_signing_in(
    client: FlaskClient, cluster: FakeCluster, path: str, body: dict[str, str]
) -> None:
    method = path.rpartition("/")[2]
    cluster.answers[f"auth_svc.{method}"] = EXAMPLES["Tokens" if method == "refresh" else "Session"]
    response = client.post(path, json=body, headers={"Authorization": "Bearer rubbish"})
    assert response.status_code in (200, 201)
    assert cluster.calls[-1].context.actor.is_anonymous
    assert cluster.calls[-1].context.access_token is None


@pytest.mark.parametrize("scope", [None, "local", "others", "global"])
def test_signing_out(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], scope: str | None) -> None:
    cluster.answers["auth_svc.logout"] = {}
    response = client.post("/api/v1/auth/logout", query_string={"scope": scope} if scope else {}, headers=bearer)
    assert response.status_code == 204
    assert response.data == b""
    assert "Content-Type" not in response.headers
    assert cluster.called("auth_svc.logout") == [
        {"user_id": USER_ID, "session_id": SESSION_ID, "scope": scope or "local"}
    ]


@pytest.mark.parametrize("query", ["scope=all", "scope=", "scope=local&scope=global", "scpoe=global"])
def test_signing_out_refuses_a_query_that_it_does_not_understand(
    client: FlaskClient, bearer: dict[str, str], query: str
) -> None:
    response = client.post(f"/api/v1/auth/logout?{query}", headers=bearer)
    assert response.status_code == 422
    assert response.json is not None
    assert response.json["errors"][0]["pointer"] == f"/{query.partition('=')[0]}"


def test_the_own_account(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    cluster.answers["auth_svc.get_account"] = EXAMPLES["Account"]
    response = client.get("/api/v1/auth/me", headers=bearer)
    assert response.status_code == 200
    assert response.json == EXAMPLES["Account"]
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert cluster.called("auth_svc.get_account") == [{"user_id": USER_ID}]


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/v1/auth/logout"), ("GET", "/api/v1/auth/me")])
def test_what_needs_a_token_says_so(client: FlaskClient, cluster: FakeCluster, method: str, path: str) -> None:
    response = client.open(path, method=method)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="leveret"'
    assert not cluster.calls


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault("conflict", "email_taken", "an account with this e-mail already exists"), 409),
        (Fault("invalid", "invalid_email", "that is not an e-mail address"), 422),
    ],
)
def test_registering_passes_refusals_on(client: FlaskClient, cluster: FakeCluster, fault: Fault, status: int) -> None:
    cluster.answers["auth_svc.register"] = fault
    response = client.post("/api/v1/auth/register", json=REGISTRATION)
    assert response.status_code == status
    assert response.json is not None
    assert response.json["code"] == fault.code


def test_a_weak_password_comes_back_with_all_reasons(client: FlaskClient, cluster: FakeCluster) -> None:
    errors = [
        {"pointer": "/password", "code": "too_short", "detail": "at least 8 characters"},
        {"pointer": "/password", "code": "common", "detail": "one of the most used passwords"},
    ]
    cluster.answers["auth_svc.register"] = Fault("invalid", "weak_password", "the password is weak", {"errors": errors})
    response = client.post("/api/v1/auth/register", json=REGISTRATION)
    assert response.status_code == 422
    assert response.json is not None
    assert response.json["errors"] == errors


def test_wrong_credentials_carry_a_challenge_without_an_error(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.login"] = Fault("unauthenticated", "invalid_credentials", "wrong e-mail or password")
    response = client.post("/api/v1/auth/login", json=CREDENTIALS)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="leveret"'


def _wrong_bodies() -> list[Any]:
    cases = []
    for path, body in POSTS:
        for field in body:
            pointer = f"/{field}"
            changes: list[tuple[str, Any, str]] = [
                ("number", 5, "invalid_type"),
                ("bool", True, "invalid_type"),
                ("list", ["x"], "invalid_type"),
                ("object", {"a": "b"}, "invalid_type"),
                ("null", None, "required"),
                ("long", "x" * 1025, "too_long"),
                ("nul", "a\0b", "invalid_characters"),
            ]
            for name, value, code in changes:
                cases.append(pytest.param(path, body | {field: value}, pointer, code, id=f"{path}-{field}-{name}"))
            missing = {key: value for key, value in body.items() if key != field}
            cases.append(pytest.param(path, missing, pointer, "required", id=f"{path}-{field}-missing"))
        cases.append(pytest.param(path, body | {"admin": True}, "/admin", "unknown_field", id=f"{path}-unknown"))
    return cases


@pytest.mark.parametrize(("path", "body", "pointer", "code"), _wrong_bodies())
def test_wrong_shapes_are_refused_where_they_are(
    client: FlaskClient, cluster: FakeCluster, path: str, body: dict[str, Any], pointer: str, code: str
) -> None:
    response = client.post(path, json=body)
    assert response.status_code == 422
    assert response.json is not None
    assert response.json["code"] == "validation_failed"
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [(pointer, code)]
    assert not cluster.calls


@pytest.mark.parametrize(("path", "body"), POSTS)
@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", None])
def test_other_media_types_are_refused(
    client: FlaskClient, cluster: FakeCluster, path: str, body: dict[str, str], media_type: str | None
) -> None:
    response = client.post(path, data=str(body), content_type=media_type)
    assert response.status_code == 415
    assert not cluster.calls


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_spellings_of_the_media_type_are_taken(client: FlaskClient, cluster: FakeCluster, media_type: str) -> None:
    cluster.answers["auth_svc.refresh"] = EXAMPLES["Tokens"]
    response = client.post("/api/v1/auth/refresh", data=b'{"refresh_token":"rt_1"}', content_type=media_type)
    assert response.status_code == 200


@pytest.mark.parametrize("path", [path for path, _ in POSTS] + ["/api/v1/auth/logout", "/api/v1/auth/me"])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "BREW"])
def test_other_methods_are_named_as_such(client: FlaskClient, path: str, method: str) -> None:
    response = client.open(path, method=method)
    assert response.status_code == 405
    expected = {"GET", "HEAD", "OPTIONS"} if path.endswith("/me") else {"POST", "OPTIONS"}
    assert set(response.headers["Allow"].split(", ")) == expected
