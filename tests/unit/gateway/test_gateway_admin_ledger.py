"""The books over HTTP: for the staff, read only."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway.shapes import EXAMPLES, PAYMENT_ID
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import Issuer

BASE = "/api/v1/admin/ledger"
HEAD = "42:" + "9f" * 32
#: path, RPC method, component, a good query, what the method gets of it
ROUTES = [
    ("balances", "get_balances", "LedgerBalances", {"at": "2026-01-31T12:00:00Z"}, {"at": "2026-01-31T12:00:00Z"}),
    ("trial-balance", "get_trial_balance", "TrialBalance", {"at": "2026-01-31"}, {"at": "2026-01-31"}),
    (
        "entries",
        "list_ledger_entries",
        "LedgerEntryPage",
        {"account": "sales", "currency": "EUR", "payment_id": PAYMENT_ID, "limit": "5", "cursor": "c1"},
        {"account": "sales", "currency": "EUR", "payment_id": PAYMENT_ID, "limit": 5, "cursor": "c1"},
    ),
    (
        "verify",
        "verify_ledger_step",
        "LedgerCheck",
        {"expected": HEAD, "cursor": "c1"},
        {"expected": HEAD, "cursor": "c1"},
    ),
]
each_route = pytest.mark.parametrize(("path", "rpc", "component", "query", "arguments"), ROUTES)


@pytest.fixture(params=["finance", "admin"])
def staff(request: pytest.FixtureRequest, issuer: Issuer) -> dict[str, str]:
    """The headers of somebody who may see the books."""
    return {"Authorization": f"Bearer {issuer.token(roles=['user', request.param])}"}


@pytest.fixture
def finance(issuer: Issuer) -> dict[str, str]:
    return {"Authorization": f"Bearer {issuer.token(roles=['finance'])}"}


@each_route
def test_the_staff_reads_the_books(
    client: FlaskClient,
    cluster: FakeCluster,
    staff: dict[str, str],
    path: str,
    rpc: str,
    component: str,
    query: dict[str, str],
    arguments: dict[str, Any],
) -> None:
    cluster.answers[f"payments_svc.{rpc}"] = EXAMPLES[component]
    response = client.get(f"{BASE}/{path}", query_string=query, headers=staff)
    assert response.status_code == 200
    assert response.json == EXAMPLES[component]
    assert cluster.called(f"payments_svc.{rpc}") == [arguments]
    assert cluster.calls[-1].context.access_token


@each_route
def test_without_a_query_the_service_decides(
    client: FlaskClient,
    cluster: FakeCluster,
    finance: dict[str, str],
    path: str,
    rpc: str,
    component: str,
    query: dict[str, str],
    arguments: dict[str, Any],
) -> None:
    cluster.answers[f"payments_svc.{rpc}"] = EXAMPLES[component]
    assert client.get(f"{BASE}/{path}", headers=finance).status_code == 200
    assert cluster.called(f"payments_svc.{rpc}") == [{"limit": 20} if path == "entries" else {}]


@each_route
@pytest.mark.parametrize("roles", [[], ["user"], ["support"], ["Admin"], ["finances"], None])
def test_nobody_else_does(
    client: FlaskClient,
    cluster: FakeCluster,
    issuer: Issuer,
    roles: Any,
    path: str,
    rpc: str,
    component: str,
    query: dict[str, str],
    arguments: dict[str, Any],
) -> None:
    headers = {"Authorization": f"Bearer {issuer.token(roles=roles)}"}
    response = client.get(f"{BASE}/{path}", query_string={"x": "1"}, headers=headers)
    assert response.status_code == 403
    assert response.json is not None
    assert response.json["code"] == "forbidden"
    assert client.get(f"{BASE}/{path}").status_code == 401
    assert not [call for call in cluster.calls if call.method != "get_jwks"]


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("balances?when=2026-01-31", "/when", "unknown_field"),
        ("balances?at=" + "2" * 41, "/at", "too_long"),
        ("balances?at=2026-01-31&at=2026-01-30", "/at", "repeated"),
        ("balances?at=%00", "/at", "invalid_characters"),
        ("trial-balance?currency=EUR", "/currency", "unknown_field"),
        ("trial-balance?at=" + "2" * 41, "/at", "too_long"),
        ("entries?account=" + "x" * 65, "/account", "too_long"),
        ("entries?currency=EURO", "/currency", "too_long"),
        ("entries?payment_id=" + "x" * 65, "/payment_id", "too_long"),
        ("entries?limit=0", "/limit", "out_of_range"),
        ("entries?limit=101", "/limit", "out_of_range"),
        ("entries?limit=ten", "/limit", "invalid_type"),
        ("entries?limit=1.5", "/limit", "invalid_type"),
        ("entries?cursor=" + "x" * 513, "/cursor", "too_long"),
        ("entries?customer_id=" + PAYMENT_ID, "/customer_id", "unknown_field"),
        ("verify?expected=" + "1" * 101, "/expected", "too_long"),
        ("verify?cursor=" + "x" * 513, "/cursor", "too_long"),
        ("verify?from=5", "/from", "unknown_field"),
    ],
)
def test_a_query_of_the_wrong_shape_is_refused(
    client: FlaskClient, cluster: FakeCluster, finance: dict[str, str], query: str, pointer: str, code: str
) -> None:
    response = client.get(f"{BASE}/{query}", headers=finance)
    assert response.status_code == 422
    assert response.json is not None
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [(pointer, code)]
    assert not [call for call in cluster.calls if call.service == "payments_svc"]


@pytest.mark.parametrize(
    ("path", "rpc", "fault", "status"),
    [
        ("balances", "get_balances", ("invalid", "invalid_period"), 422),
        ("trial-balance", "get_trial_balance", ("invalid", "invalid_period"), 422),
        ("entries", "list_ledger_entries", ("malformed", "invalid_cursor"), 400),
        ("entries", "list_ledger_entries", ("invalid", "invalid_filter"), 422),
        ("entries", "list_ledger_entries", ("invalid", "invalid_text"), 422),
        ("entries", "list_ledger_entries", ("invalid", "unsupported_currency"), 422),
        ("verify", "verify_ledger_step", ("malformed", "invalid_cursor"), 400),
        ("verify", "verify_ledger_step", ("invalid", "invalid_head"), 422),
        ("verify", "verify_ledger_step", ("forbidden", "forbidden"), 403),
        ("balances", "get_balances", ("unavailable", "database_slow"), 503),
    ],
)
def test_what_the_service_refuses_is_told_and_documented(
    client: FlaskClient,
    cluster: FakeCluster,
    finance: dict[str, str],
    document: dict[str, Any],
    path: str,
    rpc: str,
    fault: tuple[str, str],
    status: int,
) -> None:
    kind, code = fault
    cluster.answers[f"payments_svc.{rpc}"] = Fault(kind, code, "no")
    response = client.get(f"{BASE}/{path}", headers=finance)
    assert response.status_code == status
    assert response.json is not None
    assert response.json["code"] == code
    documented = document["paths"][f"{BASE}/{path}"]["get"]["responses"][str(status)]
    if "$ref" in documented:
        documented = document["components"]["responses"][documented["$ref"].rpartition("/")[2]]
    assert code in documented["content"]["application/problem+json"]["examples"]


@each_route
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nobody_writes_into_the_books(
    client: FlaskClient,
    cluster: FakeCluster,
    finance: dict[str, str],
    method: str,
    path: str,
    rpc: str,
    component: str,
    query: dict[str, str],
    arguments: dict[str, Any],
) -> None:
    assert client.open(f"{BASE}/{path}", method=method, json={}, headers=finance).status_code == 405


def test_books_that_are_broken_are_a_good_answer(
    client: FlaskClient, cluster: FakeCluster, finance: dict[str, str]
) -> None:
    broken = {"status": "broken", "checked": HEAD, "broken": "position 43: the seal is missing", "next_cursor": None}
    cluster.answers["payments_svc.verify_ledger_step"] = broken
    response = client.get(f"{BASE}/verify", headers=finance)
    assert (response.status_code, response.json) == (200, broken)
    assert response.headers["Cache-Control"] == "no-store"


def test_amounts_larger_than_a_float_keeps_arrive_whole(
    client: FlaskClient, cluster: FakeCluster, finance: dict[str, str]
) -> None:
    most = 2 * (2**63 - 1)
    line = {"currency": "EUR", "debits": most, "credits": most, "difference": 0}
    cluster.answers["payments_svc.get_trial_balance"] = {**EXAMPLES["TrialBalance"], "data": [line]}
    response = client.get(f"{BASE}/trial-balance", headers=finance)
    assert json.loads(response.data)["data"] == [line]
