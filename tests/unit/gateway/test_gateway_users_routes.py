"""Profiles over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway.shapes import EXAMPLES
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import USER_ID, Issuer

NEW_USER = {"email": "ann@example.com", "name": "Ann"}


@pytest.fixture(autouse=True)
def _answers(cluster: FakeCluster) -> None:
    cluster.answers |= {
        "users_svc.create_user": EXAMPLES["CreatedUser"],
        "users_svc.get_profile": EXAMPLES["Profile"],
        "users_svc.get_user": EXAMPLES["PublicProfile"],
    }


def _request_keys(cluster: FakeCluster) -> list[str]:
    return [call["request_key"] for call in cluster.called("users_svc.create_user")]


def test_adding_a_user_without_a_token(client: FlaskClient, cluster: FakeCluster) -> None:
    response = client.post("/api/v1/users", json=NEW_USER)
    assert response.status_code == 201
    assert response.json == EXAMPLES["CreatedUser"]
    assert response.headers["Location"] == f"/api/v1/users/{USER_ID}"
    call = cluster.calls[-1]
    assert {name: call.arguments[name] for name in NEW_USER} == NEW_USER
    assert call.context.actor.is_anonymous


def test_where_registration_is_private_the_answer_tells_nothing(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.answers["users_svc.create_user"] = {"accepted": True}
    response = client.post("/api/v1/users", json=NEW_USER)
    assert (response.status_code, response.data) == (202, b"{}")
    assert response.headers["Cache-Control"] == "no-store"
    assert "Location" not in response.headers


def test_adding_a_user_with_a_token_says_who_adds(client: FlaskClient, cluster: FakeCluster, issuer: Issuer) -> None:
    token = issuer.token(roles=["admin"])
    response = client.post("/api/v1/users", json=NEW_USER, headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 201
    assert cluster.calls[-1].context.access_token == token
    assert cluster.calls[-1].context.actor.has_role("admin")


def test_each_request_without_a_key_is_a_request_of_its_own(client: FlaskClient, cluster: FakeCluster) -> None:
    for _ in range(2):
        client.post("/api/v1/users", json=NEW_USER)
    first, second = _request_keys(cluster)
    assert first != second


@pytest.mark.parametrize("again", ["key-1", '"key-1"'])
def test_the_same_key_is_the_same_request(client: FlaskClient, cluster: FakeCluster, again: str) -> None:
    for key in ("key-1", again):
        client.post("/api/v1/users", json=NEW_USER, headers={"Idempotency-Key": key})
    first, second = _request_keys(cluster)
    assert first == second


def test_a_key_of_somebody_else_gives_nobody_their_user(
    client: FlaskClient, cluster: FakeCluster, issuer: Issuer
) -> None:
    mine = {"Authorization": f"Bearer {issuer.token()}"}
    yours = {"Authorization": f"Bearer {issuer.token(sub='0198a3f2-9999-7d4a-9b57-2f4c8e6a1d03')}"}
    for headers, body in (
        ({}, NEW_USER),
        ({}, NEW_USER | {"email": "bob@example.com"}),
        ({}, NEW_USER | {"name": "Bob"}),
        (mine, NEW_USER),
        (yours, NEW_USER),
    ):
        client.post("/api/v1/users", json=body, headers={"Idempotency-Key": "1", **headers})
    assert len(set(_request_keys(cluster))) == 5


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "\xfc"])
def test_a_key_that_is_none_is_refused(client: FlaskClient, cluster: FakeCluster, key: str) -> None:
    response = client.post("/api/v1/users", json=NEW_USER, headers={"Idempotency-Key": key})
    assert response.status_code == 400
    assert response.json is not None
    assert response.json["code"] == "invalid_idempotency_key"
    assert not cluster.called("users_svc.create_user")


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault("forbidden", "invitations_closed", "invitations are closed"), 403),
        (Fault("conflict", "email_taken", "taken"), 409),
        (Fault("invalid", "invalid_name", "no name"), 422),
        (Fault("unavailable", "broker_unavailable", "away", {"retry_after": 2.5}), 503),
    ],
)
def test_adding_a_user_passes_refusals_on(client: FlaskClient, cluster: FakeCluster, fault: Fault, status: int) -> None:
    cluster.answers["users_svc.create_user"] = fault
    response = client.post("/api/v1/users", json=NEW_USER)
    assert response.status_code == status
    assert response.json is not None
    assert response.json["code"] == fault.code
    assert response.headers.get("Retry-After") == ("3" if status == 503 else None)


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"name": "Ann"}, "/email", "required"),
        ({"email": "ann@example.com"}, "/name", "required"),
        (NEW_USER | {"email": 5}, "/email", "invalid_type"),
        (NEW_USER | {"name": ["Ann"]}, "/name", "invalid_type"),
        (NEW_USER | {"email": "x" * 255}, "/email", "too_long"),
        (NEW_USER | {"name": "x" * 201}, "/name", "too_long"),
        (NEW_USER | {"id": USER_ID}, "/id", "unknown_field"),
        (NEW_USER | {"a/b~c": 1}, "/a~1b~0c", "unknown_field"),
    ],
)
def test_wrong_shapes_of_a_user(
    client: FlaskClient, cluster: FakeCluster, body: dict[str, Any], pointer: str, code: str
) -> None:
    response = client.post("/api/v1/users", json=body)
    assert response.status_code == 422
    assert response.json is not None
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [(pointer, code)]
    assert not cluster.calls


def test_all_that_is_wrong_is_told_at_once(client: FlaskClient) -> None:
    response = client.post("/api/v1/users", json={"name": 5, "x": 1})
    assert response.json is not None
    assert {(each["pointer"], each["code"]) for each in response.json["errors"]} == {
        ("/email", "required"),
        ("/name", "invalid_type"),
        ("/x", "unknown_field"),
    }


def test_a_user_is_added_as_json_only(client: FlaskClient) -> None:
    assert client.post("/api/v1/users", data=NEW_USER).status_code == 415


def test_the_own_profile(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    response = client.get("/api/v1/users/profile", headers=bearer)
    assert response.status_code == 200
    assert response.json == EXAMPLES["Profile"]
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert cluster.called("users_svc.get_profile") == [{"user_id": USER_ID}]


def test_the_own_profile_needs_a_token(client: FlaskClient, cluster: FakeCluster) -> None:
    assert client.get("/api/v1/users/profile").status_code == 401
    assert not cluster.calls


def test_anybody_sees_a_user(client: FlaskClient, cluster: FakeCluster) -> None:
    response = client.get(f"/api/v1/users/{USER_ID}")
    assert response.status_code == 200
    assert response.json == EXAMPLES["PublicProfile"]
    assert response.headers["Vary"] == "Authorization"
    assert cluster.calls[-1].context.actor.is_anonymous


def test_a_signed_in_viewer_looks_as_themselves(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]
) -> None:
    response = client.get(f"/api/v1/users/{USER_ID}", headers=bearer)
    assert response.status_code == 200
    assert cluster.calls[-1].context.actor.id == USER_ID


def test_a_bad_token_is_not_taken_for_none(client: FlaskClient, cluster: FakeCluster) -> None:
    response = client.get(f"/api/v1/users/{USER_ID}", headers={"Authorization": "Bearer nonsense"})
    assert response.status_code == 401
    assert not cluster.called("users_svc.get_user")


@pytest.mark.parametrize("user_id", [USER_ID, "nobody", "..", "%00", "%ff", "a" * 4000, ";id=1"])
def test_who_is_not_there_is_not_found(client: FlaskClient, cluster: FakeCluster, user_id: str) -> None:
    cluster.answers["users_svc.get_user"] = Fault("not_found", "user_not_found", "there is no such user")
    response = client.get(f"/api/v1/users/{user_id}")
    assert response.status_code == 404
    assert response.json is not None
    assert response.json["code"] == "user_not_found"


@pytest.mark.parametrize("header", ["same", "weak", "list", "*"])
def test_who_has_the_newest_copy_gets_none(client: FlaskClient, cluster: FakeCluster, header: str) -> None:
    tag = client.get(f"/api/v1/users/{USER_ID}").headers["ETag"]
    assert tag.startswith('"')
    values = {"same": tag, "weak": f"W/{tag}", "list": f'"other", {tag}', "*": "*"}
    response = client.get(f"/api/v1/users/{USER_ID}", headers={"If-None-Match": values[header]})
    assert response.status_code == 304
    assert response.data == b""
    assert response.headers["ETag"] == tag
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["Vary"] == "Authorization"


def test_who_has_an_old_copy_gets_the_new_one(client: FlaskClient, cluster: FakeCluster) -> None:
    tag = client.get(f"/api/v1/users/{USER_ID}").headers["ETag"]
    cluster.answers["users_svc.get_user"] = EXAMPLES["PublicProfile"] | {"display_name": "Anna"}
    response = client.get(f"/api/v1/users/{USER_ID}", headers={"If-None-Match": tag})
    assert response.status_code == 200
    assert response.headers["ETag"] != tag


@pytest.mark.parametrize("header", ["rubbish", '"', ",,", 'W/"', "\xff"])
def test_a_condition_that_makes_no_sense_is_no_condition(client: FlaskClient, header: str) -> None:
    response = client.get(f"/api/v1/users/{USER_ID}", headers={"If-None-Match": header})
    assert response.status_code == 200
