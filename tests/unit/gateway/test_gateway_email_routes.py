"""The address of an account over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.auth_cases import ADDRESS_CHANGE
from tests.unit.gateway.conftest import USER_ID

VERIFY = "/api/v1/auth/email/verify"
EXPIRED = Fault("invalid", "invalid_or_expired_token", "this link is not valid (any more)")


@pytest.mark.parametrize("status", ["verified", "already_verified"])
def test_a_token_needs_nobody_signed_in(client: FlaskClient, cluster: FakeCluster, status: str) -> None:
    cluster.answers["auth_svc.verify_email"] = {"status": status}
    response = client.post(VERIFY, json={"token": "evt_1"})
    assert response.status_code == 200
    assert response.json == {"status": status}
    assert response.headers["Cache-Control"] == "no-store"
    assert cluster.called("auth_svc.verify_email") == [{"token": "evt_1"}]


def test_a_token_is_good_whoever_is_signed_in(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]
) -> None:
    cluster.answers["auth_svc.verify_email"] = {"status": "verified"}
    assert client.post(VERIFY, json={"token": "evt_1"}, headers=bearer).status_code == 200
    assert cluster.calls[-1].context.actor.is_anonymous


def test_a_code_is_good_for_who_is_signed_in(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    cluster.answers["auth_svc.verify_email_by_code"] = {"status": "verified"}
    response = client.post(VERIFY, json={"code": "123 456"}, headers=bearer)
    assert response.status_code == 200
    assert response.json == {"status": "verified"}
    assert cluster.called("auth_svc.verify_email_by_code") == [{"user_id": USER_ID, "code": "123 456"}]
    assert cluster.calls[-1].context.actor.id == USER_ID


@pytest.mark.parametrize(
    ("header", "code"),
    [(None, "unauthenticated"), ("Bearer rubbish", "invalid_token"), ("Basic YTpi", "invalid_token")],
)
def test_a_code_alone_is_not_enough(client: FlaskClient, cluster: FakeCluster, header: str | None, code: str) -> None:
    response = client.post(VERIFY, json={"code": "123456"}, headers={"Authorization": header} if header else {})
    assert response.status_code == 401
    assert response.json is not None
    assert response.json["code"] == code
    assert not cluster.called("auth_svc.verify_email_by_code")


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "", "required"),
        ({"token": "evt_1", "code": "123456"}, "", "ambiguous"),
        ({"code": 123456}, "/code", "invalid_type"),
        ({"code": None}, "/code", "required"),
        ({"code": ["1"]}, "/code", "invalid_type"),
        ({"code": "1" * 33}, "/code", "too_long"),
        ({"code": "1\0"}, "/code", "invalid_characters"),
        ({"code": "123456", "user_id": USER_ID}, "/user_id", "unknown_field"),
    ],
)
def test_it_is_either_a_token_or_a_code(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], body: dict[str, Any], pointer: str, code: str
) -> None:
    response = client.post(VERIFY, json=body, headers=bearer)
    assert response.status_code == 422
    assert response.json is not None
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [(pointer, code)]
    assert not cluster.calls


def test_a_wrong_code(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    cluster.answers["auth_svc.verify_email_by_code"] = Fault("invalid", "invalid_code", "the code is wrong")
    response = client.post(VERIFY, json={"code": "000000"}, headers=bearer)
    assert response.status_code == 422
    assert response.json is not None
    assert response.json["code"] == "invalid_code"


@pytest.mark.parametrize(
    ("path", "method"),
    [("verify", "verify_email"), ("change/confirm", "confirm_email_change"), ("change/revert", "revert_email_change")],
)
def test_a_link_that_is_too_old(client: FlaskClient, cluster: FakeCluster, path: str, method: str) -> None:
    cluster.answers[f"auth_svc.{method}"] = EXPIRED
    response = client.post(f"/api/v1/auth/email/{path}", json={"token": "t"})
    assert response.status_code == 422
    assert response.json is not None
    assert response.json["code"] == "invalid_or_expired_token"


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault("forbidden", "wrong_password", "the current password is wrong"), 403),
        (Fault("invalid", "invalid_email", "that is no e-mail address"), 422),
        (Fault("invalid", "email_unchanged", "that is the address"), 422),
        (Fault("limited", "rate_limited", "too many tries", {"retry_after": 60}), 429),
    ],
)
def test_asking_for_a_change_passes_refusals_on(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], fault: Fault, status: int
) -> None:
    cluster.answers["auth_svc.change_email"] = fault
    response = client.post("/api/v1/auth/email/change", json=ADDRESS_CHANGE, headers=bearer)
    assert response.status_code == status
    assert response.json is not None
    assert response.json["code"] == fault.code
    assert status != 429 or response.headers["Retry-After"] == "60"


@pytest.mark.parametrize(("path", "method"), [("confirm", "confirm_email_change"), ("revert", "revert_email_change")])
def test_an_address_that_somebody_else_was_faster_with(
    client: FlaskClient, cluster: FakeCluster, path: str, method: str
) -> None:
    cluster.answers[f"auth_svc.{method}"] = Fault("conflict", "email_taken", "an account with this e-mail exists")
    response = client.post(f"/api/v1/auth/email/change/{path}", json={"token": "t"})
    assert response.status_code == 409
    assert response.json is not None
    assert response.json["code"] == "email_taken"


@pytest.mark.parametrize("path", ["verify", "verification", "change", "change/confirm", "change/revert"])
def test_nothing_happens_by_looking(client: FlaskClient, cluster: FakeCluster, path: str) -> None:
    for method in ("GET", "HEAD"):
        response = client.open(f"/api/v1/auth/email/{path}?token=evt_1", method=method)
        assert response.status_code == 405
    assert not cluster.calls
