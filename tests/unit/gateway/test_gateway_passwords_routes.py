"""Passwords and claims over HTTP."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from gateway.shapes import EXAMPLES
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.auth_cases import CLAIM, PASSWORD_CHANGE, RESET
from tests.unit.gateway.conftest import SESSION_ID, USER_ID

WEAK = [
    {"pointer": "/new_password", "code": "too_short", "detail": "at least 8 characters"},
    {"pointer": "/new_password", "code": "common", "detail": "one of the most used passwords"},
]


@pytest.mark.parametrize("email", ["ann@example.com", "nobody@example.com", "no address", ""])
def test_forgetting_a_password_gives_nothing_away(client: FlaskClient, cluster: FakeCluster, email: str) -> None:
    cluster.answers["auth_svc.forgot_password"] = {}
    response = client.post("/api/v1/auth/password/forgot", json={"email": email})
    assert response.status_code == 202
    assert response.json == {}
    assert response.headers["Cache-Control"] == "no-store"
    assert cluster.called("auth_svc.forgot_password") == [{"email": email}]


def test_a_reset_signs_nobody_in(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.reset_password"] = {}
    response = client.post("/api/v1/auth/password/reset", json=RESET)
    assert response.status_code == 204
    assert response.data == b""
    assert "Set-Cookie" not in response.headers
    assert cluster.called("auth_svc.reset_password") == [RESET]


def test_a_change_says_which_session_stays(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    cluster.answers["auth_svc.change_password"] = {}
    response = client.post("/api/v1/auth/password/change", json=PASSWORD_CHANGE, headers=bearer)
    assert response.status_code == 204
    expected = {"user_id": USER_ID, "session_id": SESSION_ID, **PASSWORD_CHANGE}
    assert cluster.called("auth_svc.change_password") == [expected]


def test_a_claim_signs_in(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.claim_account"] = EXAMPLES["SignedIn"]
    response = client.post("/api/v1/auth/claim", json=CLAIM)
    assert response.status_code == 200
    assert response.json == EXAMPLES["SignedIn"]
    assert response.headers["Cache-Control"] == "no-store"
    assert cluster.called("auth_svc.claim_account") == [CLAIM]


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [
        ("password/reset", "reset_password", RESET),
        ("password/change", "change_password", PASSWORD_CHANGE),
        ("claim", "claim_account", CLAIM),
    ],
)
def test_a_weak_password_comes_back_with_all_reasons(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], path: str, method: str, body: dict[str, str]
) -> None:
    cluster.answers[f"auth_svc.{method}"] = Fault("invalid", "weak_password", "the password is weak", {"errors": WEAK})
    response = client.post(f"/api/v1/auth/{path}", json=body, headers=bearer)
    assert response.status_code == 422
    assert response.json is not None
    assert response.json["code"] == "weak_password"
    assert response.json["errors"] == WEAK


@pytest.mark.parametrize(
    ("path", "method", "body", "fault", "status"),
    [
        ("password/reset", "reset_password", RESET, Fault("invalid", "invalid_or_expired_token", "too old"), 422),
        ("claim", "claim_account", CLAIM, Fault("invalid", "invalid_or_expired_token", "too old"), 422),
        ("claim", "claim_account", CLAIM, Fault("conflict", "not_claimable", "no invitation"), 409),
        ("password/change", "change_password", PASSWORD_CHANGE, Fault("forbidden", "wrong_password", "wrong"), 403),
        ("password/change", "change_password", PASSWORD_CHANGE, Fault("invalid", "password_unchanged", "same"), 422),
    ],
)
def test_refusals_are_passed_on(
    client: FlaskClient,
    cluster: FakeCluster,
    bearer: dict[str, str],
    path: str,
    method: str,
    body: dict[str, str],
    fault: Fault,
    status: int,
) -> None:
    cluster.answers[f"auth_svc.{method}"] = fault
    response = client.post(f"/api/v1/auth/{path}", json=body, headers=bearer)
    assert response.status_code == status
    assert response.json is not None
    assert response.json["code"] == fault.code


@pytest.mark.parametrize(
    "password", ["", " ", "  leading and trailing  ", "ü" * 1024, "a\u0301bc\U0001f600", "x" * 129]
)
def test_the_password_is_judged_by_the_service(client: FlaskClient, cluster: FakeCluster, password: str) -> None:
    cluster.answers["auth_svc.reset_password"] = {}
    body = {"token": "t", "new_password": password}
    assert client.post("/api/v1/auth/password/reset", json=body).status_code == 204
    assert cluster.called("auth_svc.reset_password") == [body]
