"""What administrators may do, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway.shapes import EXAMPLES
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.auth_cases import OTHER_ID, REASON, ROLES
from tests.unit.gateway.conftest import Issuer

ACCOUNTS, AUDIT = "/api/v1/admin/accounts", "/api/v1/admin/audit"
ACCOUNT = f"{ACCOUNTS}/{OTHER_ID}"
WRITES = [
    ("POST", f"{ACCOUNT}/disable", "disable_account", REASON),
    ("POST", f"{ACCOUNT}/enable", "enable_account", REASON),
    ("PUT", f"{ACCOUNT}/roles", "set_roles", ROLES),
    ("DELETE", f"{ACCOUNT}/sessions", "end_account_sessions", REASON),
]


@pytest.fixture
def admin(issuer: Issuer) -> dict[str, str]:
    """The headers of an administrator."""
    return {"Authorization": f"Bearer {issuer.token(roles=['user', 'admin'])}"}


@pytest.mark.parametrize("status", ["active", "invited", "disabled"])
def test_accounts_are_searched(client: FlaskClient, cluster: FakeCluster, admin: dict[str, str], status: str) -> None:
    cluster.answers["auth_svc.list_accounts"] = EXAMPLES["AdminAccountPage"]
    query = {"query": "ann@ex%_", "status": status, "role": "support", "cursor": "c1"}
    response = client.get(ACCOUNTS, query_string={**query, "limit": 5}, headers=admin)
    assert response.status_code == 200
    assert response.json == EXAMPLES["AdminAccountPage"]
    assert cluster.called("auth_svc.list_accounts") == [{**query, "limit": 5}]
    assert cluster.calls[-1].context.access_token


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("status=gone", "/status", "unknown_value"),
        ("status=", "/status", "unknown_value"),
        ("status=active&status=invited", "/status", "repeated"),
        ("query=" + "x" * 255, "/query", "too_long"),
        ("role=" + "x" * 33, "/role", "too_long"),
        ("name=ann", "/name", "unknown_field"),
    ],
)
def test_a_search_that_is_not_understood_is_refused(
    client: FlaskClient, cluster: FakeCluster, admin: dict[str, str], query: str, pointer: str, code: str
) -> None:
    response = client.get(f"{ACCOUNTS}?{query}", headers=admin)
    assert response.status_code == 422
    assert response.json is not None
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [(pointer, code)]
    assert not cluster.called("auth_svc.list_accounts")


def test_the_audit_is_filtered(client: FlaskClient, cluster: FakeCluster, admin: dict[str, str]) -> None:
    cluster.answers["auth_svc.list_audit_events"] = EXAMPLES["AuditEventPage"]
    query = {"account_id": OTHER_ID, "actor_id": OTHER_ID, "kind": "account_disabled"}
    response = client.get(AUDIT, query_string=query, headers=admin)
    assert response.status_code == 200
    assert response.json == EXAMPLES["AuditEventPage"]
    assert cluster.called("auth_svc.list_audit_events") == [{**query, "limit": 20}]


@pytest.mark.parametrize("name", ["account_id", "actor_id", "kind"])
def test_filters_of_the_audit_are_short(
    client: FlaskClient, cluster: FakeCluster, admin: dict[str, str], name: str
) -> None:
    assert client.get(AUDIT, query_string={name: "x" * 65}, headers=admin).status_code == 422


@pytest.mark.parametrize(("method", "path", "rpc", "body"), WRITES)
@pytest.mark.parametrize(("reason", "code"), [("", "too_short"), ("x" * 501, "too_long"), (None, "required")])
def test_nothing_is_done_without_a_reason(
    client: FlaskClient,
    cluster: FakeCluster,
    admin: dict[str, str],
    method: str,
    path: str,
    rpc: str,
    body: dict[str, Any],
    reason: Any,
    code: str,
) -> None:
    response = client.open(path, method=method, json=body | {"reason": reason}, headers=admin)
    assert response.status_code == 422
    assert response.json is not None
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [("/reason", code)]
    assert not cluster.called(f"auth_svc.{rpc}")


@pytest.mark.parametrize(("method", "path", "rpc", "body"), WRITES)
@pytest.mark.parametrize("reason", ["x", "x" * 500])
def test_a_reason_travels_whole(
    client: FlaskClient,
    cluster: FakeCluster,
    admin: dict[str, str],
    method: str,
    path: str,
    rpc: str,
    body: dict[str, Any],
    reason: str,
) -> None:
    cluster.answers[f"auth_svc.{rpc}"] = EXAMPLES["AdminAccount"]
    assert client.open(path, method=method, json=body | {"reason": reason}, headers=admin).status_code == 200
    assert cluster.called(f"auth_svc.{rpc}") == [{"account_id": OTHER_ID, **body, "reason": reason}]


@pytest.mark.parametrize("roles", [[], ["user"], ["user", "support", "finance", "admin"], ["user", "user"], ["king"]])
def test_roles_are_judged_by_the_service(
    client: FlaskClient, cluster: FakeCluster, admin: dict[str, str], roles: list[str]
) -> None:
    cluster.answers["auth_svc.set_roles"] = EXAMPLES["AdminAccount"]
    response = client.put(f"{ACCOUNT}/roles", json={"roles": roles, **REASON}, headers=admin)
    assert response.status_code == 200
    assert cluster.called("auth_svc.set_roles") == [{"account_id": OTHER_ID, "roles": roles, **REASON}]


@pytest.mark.parametrize(
    ("roles", "pointer", "code"),
    [
        ({"admin": True}, "/roles", "invalid_type"),
        ("admin", "/roles", "invalid_type"),
        (["user"] * 17, "/roles", "too_long"),
        (["user", {"a": 1}], "/roles/1", "invalid_type"),
        ([["admin"]], "/roles/0", "invalid_type"),
        ([True], "/roles/0", "invalid_type"),
        (["x" * 33], "/roles/0", "too_long"),
    ],
)
def test_roles_are_a_list_of_words(
    client: FlaskClient, cluster: FakeCluster, admin: dict[str, str], roles: Any, pointer: str, code: str
) -> None:
    response = client.put(f"{ACCOUNT}/roles", json={"roles": roles, **REASON}, headers=admin)
    assert response.status_code == 422
    assert response.json is not None
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [(pointer, code)]
    assert not cluster.called("auth_svc.set_roles")


@pytest.mark.parametrize(
    ("method", "path", "rpc", "body"),
    [
        *WRITES,
        ("GET", ACCOUNT, "get_account", None),
        ("GET", f"{ACCOUNT}/sessions", "list_sessions", None),
    ],
)
@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault("not_found", "account_not_found", "there is no such account"), 404),
        (Fault("forbidden", "forbidden", "this needs the role admin"), 403),
        (Fault("unauthenticated", "invalid_token", "the session has ended"), 401),
    ],
)
def test_the_service_asks_again(
    client: FlaskClient,
    cluster: FakeCluster,
    admin: dict[str, str],
    method: str,
    path: str,
    rpc: str,
    body: Any,
    fault: Fault,
    status: int,
) -> None:
    cluster.answers[f"auth_svc.{rpc}"] = fault
    response = client.open(path, method=method, json=body, headers=admin)
    assert response.status_code == status
    assert response.json is not None
    assert response.json["code"] == fault.code


def test_an_unknown_role_is_refused(client: FlaskClient, cluster: FakeCluster, admin: dict[str, str]) -> None:
    cluster.answers["auth_svc.set_roles"] = Fault("invalid", "unknown_role", "there is no such role")
    response = client.put(f"{ACCOUNT}/roles", json={"roles": ["king"], **REASON}, headers=admin)
    assert response.status_code == 422
    assert response.json is not None
    assert response.json["code"] == "unknown_role"


def test_what_is_no_id_is_not_the_gateways_business(
    client: FlaskClient, cluster: FakeCluster, admin: dict[str, str]
) -> None:
    cluster.answers["auth_svc.disable_account"] = Fault("not_found", "account_not_found", "there is no such account")
    response = client.post(f"{ACCOUNTS}/nobody/disable", json=REASON, headers=admin)
    assert response.status_code == 404
    assert cluster.called("auth_svc.disable_account") == [{"account_id": "nobody", **REASON}]
