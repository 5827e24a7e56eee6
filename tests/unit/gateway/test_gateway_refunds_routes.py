"""Refunds over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway.shapes import EXAMPLES, PAYMENT_ID, REFUND_ID
from lib.faults import Fault
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


def test_giving_back_a_part(client: FlaskClient, cluster: FakeCluster, paying: dict[str, str]) -> None:
    response = client.post(REFUNDS, json={"amount": 500, "reason": "damaged"}, headers=paying)
    assert response.status_code == 201
    assert response.json == EXAMPLES["Refund"]
    assert response.headers["Location"] == f"/api/v1/refunds/{REFUND_ID}"
    assert cluster.called("payments_svc.refund_payment") == [
        {
            "user_id": USER_ID,
            "payment_id": PAYMENT_ID,
            "idempotency_key": "order-1",
            "amount": 500,
            "reason": "damaged",
        }
    ]


@pytest.mark.parametrize("body", [{"json": {}}, {}, {"data": b""}])
def test_giving_back_all_of_it_needs_no_body(
    client: FlaskClient, cluster: FakeCluster, paying: dict[str, str], body: dict[str, Any]
) -> None:
    response = client.post(REFUNDS, headers=paying, **body)
    assert response.status_code == 201
    assert cluster.called("payments_svc.refund_payment") == [
        {"user_id": USER_ID, "payment_id": PAYMENT_ID, "idempotency_key": "order-1"}
    ]


def test_a_repeated_refund_says_so(client: FlaskClient, cluster: FakeCluster, paying: dict[str, str]) -> None:
    cluster.answers["payments_svc.refund_payment"] = {"refund": EXAMPLES["Refund"], "replayed": True}
    assert client.post(REFUNDS, headers=paying).headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault("invalid", "refund_exceeds_captured", "too much", {"refundable": 50}), 422),
        (Fault("conflict", "payment_not_refundable", "no"), 409),
        (Fault("forbidden", "refund_not_allowed", "no"), 403),
        (Fault("not_found", "payment_not_found", "no"), 404),
    ],
)
def test_refunds_pass_refusals_on(
    client: FlaskClient, cluster: FakeCluster, paying: dict[str, str], fault: Fault, status: int
) -> None:
    cluster.answers["payments_svc.refund_payment"] = fault
    response = client.post(REFUNDS, json={"amount": 1}, headers=paying)
    assert response.status_code == status
    assert response.json is not None
    assert response.json["code"] == fault.code
    assert response.json.get("refundable") == fault.details.get("refundable")


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"amount": "5"}, "/amount", "invalid_type"),
        ({"amount": None}, "/amount", "required"),
        ({"reason": 5}, "/reason", "invalid_type"),
        ({"reason": "x" * 501}, "/reason", "too_long"),
        ({"currency": "EUR"}, "/currency", "unknown_field"),
    ],
)
def test_wrong_shapes_of_a_refund(
    client: FlaskClient, paying: dict[str, str], body: dict[str, Any], pointer: str, code: str
) -> None:
    response = client.post(REFUNDS, json=body, headers=paying)
    assert response.status_code == 422
    assert response.json is not None
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [(pointer, code)]
