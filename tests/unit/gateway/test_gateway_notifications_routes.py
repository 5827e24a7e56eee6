"""Notifications over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway.shapes import EXAMPLES
from gateway.shapes.notifications import NOTIFICATION_ID, TYPES
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import USER_ID
from users_svc.domain import notification_types

FOLDER = "/api/v1/users/notifications"
ONE = f"{FOLDER}/{NOTIFICATION_ID}"
LIST, READ, READ_ALL, DELETE = (
    "users_svc.list_notifications",
    "users_svc.mark_notification_read",
    "users_svc.mark_all_notifications_read",
    "users_svc.delete_notification",
)
ROUTES = [
    ("GET", FOLDER, LIST),
    ("POST", f"{ONE}/read", READ),
    ("POST", f"{FOLDER}/read-all", READ_ALL),
    ("DELETE", ONE, DELETE),
]


@pytest.fixture(autouse=True)
def _answers(cluster: FakeCluster) -> None:
    cluster.answers |= {LIST: EXAMPLES["NotificationPage"], READ: None, READ_ALL: None, DELETE: None}


def test_the_list(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    response = client.get(FOLDER, headers=bearer)
    assert response.status_code == 200
    assert response.json == EXAMPLES["NotificationPage"]
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert cluster.called(LIST) == [{"user_id": USER_ID, "limit": 20, "unread_only": False}]


def test_a_page_of_what_is_unread(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    client.get(f"{FOLDER}?limit=100&cursor=abc&unread=true", headers=bearer)
    assert cluster.called(LIST) == [{"user_id": USER_ID, "limit": 100, "cursor": "abc", "unread_only": True}]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "unread=yes", "unread=1", "unread=", "page=2", "unread=true&unread=true"],
)
def test_a_wrong_query(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], query: str) -> None:
    response = client.get(f"{FOLDER}?{query}", headers=bearer)
    assert response.status_code == 422
    assert not cluster.called(LIST)


def test_a_wrong_cursor(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    cluster.answers[LIST] = Fault("malformed", "invalid_cursor", "the cursor is none of this list")
    assert client.get(f"{FOLDER}?cursor=abc", headers=bearer).status_code == 400


@pytest.mark.parametrize(("method", "path", "rpc"), ROUTES[1:])
def test_writes(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], method: str, path: str, rpc: str
) -> None:
    response = client.open(path, method=method, headers=bearer)
    assert (response.status_code, response.data) == (204, b"")
    told = {} if rpc == READ_ALL else {"notification_id": NOTIFICATION_ID}
    assert cluster.called(rpc) == [{"user_id": USER_ID, **told}]


@pytest.mark.parametrize(("method", "path", "rpc"), ROUTES)
def test_nobody_without_a_token(client: FlaskClient, cluster: FakeCluster, method: str, path: str, rpc: str) -> None:
    assert client.open(path, method=method).status_code == 401
    assert not cluster.called(rpc)


@pytest.mark.parametrize(("method", "path", "rpc"), [ROUTES[1], ROUTES[3]])
def test_somebody_elses_is_not_found(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], method: str, path: str, rpc: str
) -> None:
    cluster.answers[rpc] = Fault("not_found", "notification_not_found", "there is no such notification")
    response = client.open(path, method=method, headers=bearer)
    assert response.status_code == 404
    assert response.json is not None
    assert response.json["code"] == "notification_not_found"


@pytest.mark.parametrize("up_to", [0, 17, 2**53 - 1])
def test_all_up_to_the_newest_that_was_seen(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], up_to: int
) -> None:
    response = client.post(f"{FOLDER}/read-all", json={"up_to": up_to}, headers=bearer)
    assert response.status_code == 204
    assert cluster.called(READ_ALL) == [{"user_id": USER_ID, "up_to": up_to}]


@pytest.mark.parametrize(
    "body", [{"up_to": -1}, {"up_to": 2**53}, {"up_to": "1"}, {"up_to": True}, {"up_to": None}, {"x": 1}]
)
def test_a_wrong_body(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], body: dict[str, Any]) -> None:
    assert client.post(f"{FOLDER}/read-all", json=body, headers=bearer).status_code == 422
    assert not cluster.called(READ_ALL)


@pytest.mark.parametrize("data", [b"{", b"[]", b"7", b"\xff"])
def test_a_body_that_cannot_be_read(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], data: bytes
) -> None:
    response = client.post(f"{FOLDER}/read-all", data=data, content_type="application/json", headers=bearer)
    assert response.status_code in (400, 422)
    assert not cluster.called(READ_ALL)


def test_the_document_tells_every_type() -> None:
    assert set(TYPES) == set(notification_types.TYPES)
