"""Sessions over HTTP."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from gateway.shapes import EXAMPLES
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import SESSION_ID, USER_ID

SESSIONS = "/api/v1/auth/sessions"


def test_the_list_says_which_session_asks(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    cluster.answers["auth_svc.list_sessions"] = EXAMPLES["SessionList"]
    response = client.get(SESSIONS, headers=bearer)
    assert response.status_code == 200
    assert response.json == EXAMPLES["SessionList"]
    assert cluster.called("auth_svc.list_sessions") == [{"user_id": USER_ID, "session_id": SESSION_ID}]


@pytest.mark.parametrize("name", [SESSION_ID, "0198a3f2-9999-7d4a-9b57-2f4c8e6a1d03", "no-uuid", "%00", "ü"])
def test_one_session_is_ended_by_its_id(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], name: str
) -> None:
    cluster.answers["auth_svc.end_session"] = {}
    response = client.delete(f"{SESSIONS}/{name}", headers=bearer)
    assert response.status_code == 204
    assert response.data == b""
    assert cluster.called("auth_svc.end_session") == [{"user_id": USER_ID, "session_id": name.replace("%00", "\0")}]


def test_a_session_of_somebody_else_is_not_found(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]
) -> None:
    cluster.answers["auth_svc.end_session"] = Fault("not_found", "session_not_found", "there is no such session")
    response = client.delete(f"{SESSIONS}/{SESSION_ID}", headers=bearer)
    assert response.status_code == 404
    assert response.json is not None
    assert response.json["code"] == "session_not_found"


@pytest.mark.parametrize("path", [f"{SESSIONS}/", f"{SESSIONS}//", f"{SESSIONS}/{SESSION_ID}/", f"{SESSIONS}/a/b"])
def test_other_addresses_are_not_found(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], path: str
) -> None:
    assert client.delete(path, headers=bearer).status_code == 404
    assert not cluster.called("auth_svc.end_session")
