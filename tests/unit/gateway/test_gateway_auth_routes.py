"""Accounts and sign-in over HTTP."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from gateway.shapes import EXAMPLES
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import SESSION_ID, USER_ID

REGISTRATION = {"email": "ann@example.com", "password": "SecurePass123!", "name": "Ann"}
CREDENTIALS = {"email": "ann@example.com", "password": "SecurePass123!"}


def test_registering_makes_an_account_and_signs_in(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.register"] = EXAMPLES["SignedIn"]
    response = client.post("/api/v1/auth/register", json=REGISTRATION)
    assert response.status_code == 201
    assert response.json == EXAMPLES["SignedIn"]
    assert response.headers["Location"] == f"/api/v1/users/{USER_ID}"
    assert response.headers["Cache-Control"] == "no-store"
    assert cluster.called("auth_svc.register") == [REGISTRATION]


def test_private_registration_says_nothing(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.register"] = {"accepted": True}
    response = client.post("/api/v1/auth/register", json=REGISTRATION)
    assert response.status_code == 202
    assert response.json == {}
    assert "Location" not in response.headers
    assert response.headers["Cache-Control"] == "no-store"


def test_signing_in_gives_tokens_that_nobody_may_keep(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.login"] = EXAMPLES["SignedIn"]
    response = client.post("/api/v1/auth/login", json=CREDENTIALS)
    assert response.status_code == 200
    assert response.json == EXAMPLES["SignedIn"]
    assert response.headers["Cache-Control"] == "no-store"
    assert cluster.called("auth_svc.login") == [CREDENTIALS]


def test_a_known_device_says_so(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.login"] = EXAMPLES["SignedIn"]
    response = client.post("/api/v1/auth/login", json=CREDENTIALS | {"device_token": "d" * 512})
    assert response.status_code == 200
    assert response.json is not None
    assert response.json["device_token"] == EXAMPLES["SignedIn"]["device_token"]
    assert cluster.called("auth_svc.login") == [CREDENTIALS | {"device_token": "d" * 512}]


@pytest.mark.parametrize("path", ["register", "login"])
def test_too_many_sign_ins_at_once_have_to_wait(client: FlaskClient, cluster: FakeCluster, path: str) -> None:
    cluster.answers[f"auth_svc.{path}"] = Fault("unavailable", "overloaded", "too many", {"retry_after": 4})
    response = client.post(f"/api/v1/auth/{path}", json=REGISTRATION if path == "register" else CREDENTIALS)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "4"
    assert response.json is not None
    assert response.json["code"] == "overloaded"


@pytest.mark.parametrize("code", ["refresh_invalid", "refresh_reused", "session_expired"])
def test_a_refresh_token_that_is_no_good(client: FlaskClient, cluster: FakeCluster, code: str) -> None:
    cluster.answers["auth_svc.refresh"] = Fault("unauthenticated", code, "no")
    response = client.post("/api/v1/auth/refresh", json={"refresh_token": "rt_1"})
    assert response.status_code == 401
    assert response.json is not None
    assert response.json["code"] == code
    assert "error=" not in response.headers["WWW-Authenticate"]


def test_refreshing_gives_a_new_pair(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.refresh"] = EXAMPLES["Tokens"]
    response = client.post("/api/v1/auth/refresh", json={"refresh_token": "rt_1"})
    assert response.status_code == 200
    assert response.json == EXAMPLES["Tokens"]
    assert response.headers["Cache-Control"] == "no-store"
    assert cluster.called("auth_svc.refresh") == [{"refresh_token": "rt_1"}]


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


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_spellings_of_the_media_type_are_taken(client: FlaskClient, cluster: FakeCluster, media_type: str) -> None:
    cluster.answers["auth_svc.refresh"] = EXAMPLES["Tokens"]
    response = client.post("/api/v1/auth/refresh", data=b'{"refresh_token":"rt_1"}', content_type=media_type)
    assert response.status_code == 200
