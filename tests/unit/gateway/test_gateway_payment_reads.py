"""Looking at payments and refunds over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from gateway.shapes import COMPONENTS, EXAMPLES, PAYMENT_ID, REFUND_ID
from lib.faults import Fault
from payments_svc.presentation.schemas import PaymentSchema, RefundSchema
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import USER_ID

PAYMENT = {"amount": 1050, "currency": "EUR", "payment_method": "tok_visa"}
REFUNDS = f"/api/v1/payments/{PAYMENT_ID}/refunds"
READS = [
    ("/api/v1/payments", "payments_svc.list_payments", {"limit": 20}),
    (f"/api/v1/payments/{PAYMENT_ID}", "payments_svc.get_payment", {"payment_id": PAYMENT_ID}),
    (REFUNDS, "payments_svc.list_refunds", {"payment_id": PAYMENT_ID, "limit": 20}),
    (f"/api/v1/refunds/{REFUND_ID}", "payments_svc.get_refund", {"refund_id": REFUND_ID}),
]
WRITES = [("/api/v1/payments", PAYMENT), (REFUNDS, {"amount": 500})]


@pytest.fixture(autouse=True)
def _answers(cluster: FakeCluster) -> None:
    cluster.answers |= {
        "payments_svc.create_payment": {"payment": EXAMPLES["Payment"], "replayed": False},
        "payments_svc.refund_payment": {"refund": EXAMPLES["Refund"], "replayed": False},
        "payments_svc.list_payments": EXAMPLES["PaymentPage"],
        "payments_svc.get_payment": EXAMPLES["Payment"],
        "payments_svc.list_refunds": EXAMPLES["RefundPage"],
        "payments_svc.get_refund": EXAMPLES["Refund"],
    }


@pytest.fixture
def paying(bearer: dict[str, str]) -> dict[str, str]:
    """The headers of a client that pays."""
    return {**bearer, "Idempotency-Key": "order-1"}


@pytest.mark.parametrize(("path", "method", "arguments"), READS)
def test_reads(
    client: FlaskClient,
    cluster: FakeCluster,
    bearer: dict[str, str],
    path: str,
    method: str,
    arguments: dict[str, Any],
) -> None:
    response = client.get(path, headers=bearer)
    assert response.status_code == 200
    assert response.json == cluster.answers[method]
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert cluster.called(method) == [{"user_id": USER_ID, **arguments}]


@pytest.mark.parametrize(("path", "method", "arguments"), READS)
def test_reads_need_a_token(
    client: FlaskClient, cluster: FakeCluster, path: str, method: str, arguments: dict[str, Any]
) -> None:
    assert client.get(path).status_code == 401
    assert not cluster.called(method)


@pytest.mark.parametrize(("path", "method"), [(path, method) for path, method, _ in READS[1:]])
def test_what_is_not_there_is_not_found(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], path: str, method: str
) -> None:
    cluster.answers[method] = Fault("not_found", "payment_not_found", "there is no such payment")
    assert client.get(path, headers=bearer).status_code == 404


@pytest.mark.parametrize("path", [f"/api/v1/payments/{PAYMENT_ID}", f"/api/v1/refunds/{REFUND_ID}"])
def test_reads_of_one_thing_have_a_tag(client: FlaskClient, bearer: dict[str, str], path: str) -> None:
    tag = client.get(path, headers=bearer).headers["ETag"]
    assert client.get(path, headers={**bearer, "If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize("path", ["/api/v1/payments", REFUNDS])
def test_pages(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], path: str) -> None:
    client.get(f"{path}?limit=100&cursor=abc", headers=bearer)
    assert cluster.calls[-1].arguments["limit"] == 100
    assert cluster.calls[-1].arguments["cursor"] == "abc"


@pytest.mark.parametrize("path", ["/api/v1/payments", REFUNDS])
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "out_of_range"),
        ("limit=101", "out_of_range"),
        ("limit=-1", "out_of_range"),
        ("limit=", "invalid_type"),
        ("limit=ten", "invalid_type"),
        ("limit=1.0", "invalid_type"),
        ("limit=1_0", "invalid_type"),
        ("limit=%EF%BC%91", "invalid_type"),
        ("limit=" + "9" * 5000, "invalid_type"),
        ("limit=1&limit=2", "repeated"),
        ("cursor=a%00b", "invalid_characters"),
        ("cursor=" + "x" * 513, "too_long"),
        ("offset=1", "unknown_field"),
    ],
)
def test_queries_that_make_no_sense(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], path: str, query: str, code: str
) -> None:
    response = client.get(f"{path}?{query}", headers=bearer)
    assert response.status_code == 422
    assert response.json is not None
    assert response.json["errors"][0]["code"] == code


def test_a_cursor_that_was_tampered_with(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    cluster.answers["payments_svc.list_payments"] = Fault("malformed", "invalid_cursor", "none of this list")
    assert client.get("/api/v1/payments?cursor=x", headers=bearer).status_code == 400


def test_the_timeout_of_payments_is_configured(configure: Any, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    app: Flask = configure(RPC_TIMEOUT_PAYMENTS=7.5)
    app.test_client().get("/api/v1/payments", headers=bearer)
    assert cluster.calls[-1].timeout == 7.5


@pytest.mark.parametrize(("component", "schema"), [("Payment", PaymentSchema), ("Refund", RefundSchema)])
def test_the_document_and_the_service_name_the_same_members_of_a_payment(component: str, schema: type[Any]) -> None:
    assert set(COMPONENTS[component]["properties"]) == set(schema().fields)
