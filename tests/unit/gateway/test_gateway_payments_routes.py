"""Payments and refunds over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from nameko.exceptions import RpcTimeout

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


def test_paying(client: FlaskClient, cluster: FakeCluster, paying: dict[str, str]) -> None:
    body = PAYMENT | {"description": "Two books", "metadata": {"order": "1"}, "reference": "order-1"}
    body |= {"capture_method": "manual", "confirm": True}
    response = client.post("/api/v1/payments", json=body, headers=paying)
    assert response.status_code == 201
    assert response.json == EXAMPLES["Payment"]
    assert response.headers["Location"] == f"/api/v1/payments/{PAYMENT_ID}"
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert "Idempotent-Replayed" not in response.headers
    assert cluster.called("payments_svc.create_payment") == [{"user_id": USER_ID, "idempotency_key": "order-1", **body}]


def test_payments_may_take_longer_than_other_calls(
    client: FlaskClient, cluster: FakeCluster, paying: dict[str, str]
) -> None:
    client.post("/api/v1/payments", json=PAYMENT, headers=paying)
    assert cluster.calls[-1].timeout == 12


def test_a_repeated_payment_says_so(client: FlaskClient, cluster: FakeCluster, paying: dict[str, str]) -> None:
    cluster.answers["payments_svc.create_payment"] = {"payment": EXAMPLES["Payment"], "replayed": True}
    response = client.post("/api/v1/payments", json=PAYMENT, headers=paying)
    assert response.status_code == 201
    assert response.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("replayed", [False, True])
def test_a_declined_payment_stays_readable(
    client: FlaskClient, cluster: FakeCluster, paying: dict[str, str], replayed: bool
) -> None:
    details = {"decline_code": "insufficient_funds", "payment_id": PAYMENT_ID, "replayed": replayed}
    cluster.answers["payments_svc.create_payment"] = Fault("declined", "payment_declined", "declined", details)
    response = client.post("/api/v1/payments", json=PAYMENT, headers=paying)
    assert response.status_code == 402
    assert response.json is not None
    assert response.json["decline_code"] == "insufficient_funds"
    assert response.json["payment_id"] == PAYMENT_ID
    assert response.headers.get("Idempotent-Replayed") == ("true" if replayed else None)


@pytest.mark.parametrize(
    ("fault", "status", "retry_after"),
    [
        (Fault("invalid", "idempotency_key_reused", "used"), 422, None),
        (Fault("invalid", "payment_method_required", "none"), 422, None),
        (Fault("invalid", "invalid_capture_method", "no"), 422, None),
        (Fault("conflict", "idempotency_in_progress", "running", {"retry_after": 1}), 409, "1"),
        (Fault("conflict", "reference_taken", "taken"), 409, None),
        (Fault("forbidden", "forbidden", "no"), 403, None),
        (Fault("malformed", "invalid_idempotency_key", "no key"), 400, None),
        (Fault("unavailable", "provider_unreachable", "away"), 503, "1"),
        (Fault("unavailable", "provider_busy", "busy", {"retry_after": 7}), 503, "7"),
        (Fault("unavailable", "outcome_unknown", "ask", {"retry_after": 1}), 503, "1"),
        (RpcTimeout(12), 504, None),
    ],
)
def test_payments_pass_refusals_on(
    client: FlaskClient,
    cluster: FakeCluster,
    paying: dict[str, str],
    fault: Exception,
    status: int,
    retry_after: str | None,
) -> None:
    cluster.answers["payments_svc.create_payment"] = fault
    response = client.post("/api/v1/payments", json=PAYMENT, headers=paying)
    assert response.status_code == status
    assert response.headers.get("Retry-After") == retry_after
    assert response.json is not None
    assert response.json["code"] == getattr(fault, "code", "timeout")


@pytest.mark.parametrize(("path", "body"), WRITES)
def test_money_moves_with_a_key_only(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], path: str, body: dict[str, Any]
) -> None:
    response = client.post(path, json=body, headers=bearer)
    assert response.status_code == 400
    assert response.json is not None
    assert response.json["code"] == "idempotency_key_missing"
    assert cluster.calls == [call for call in cluster.calls if call.service == "auth_svc"]


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("order-1", "order-1"),
        ('"order-1"', "order-1"),
        (r'"a\"b\\c"', r"a\"b\\c".replace(r"\"", '"').replace("\\\\", "\\")),
        ("x" * 255, "x" * 255),
        ('"' + "x" * 255 + '"', "x" * 255),
        ('"', '"'),
    ],
)
def test_keys_may_be_quoted(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], header: str, key: str
) -> None:
    response = client.post("/api/v1/payments", json=PAYMENT, headers={**bearer, "Idempotency-Key": header})
    assert response.status_code == 201
    assert cluster.called("payments_svc.create_payment")[0]["idempotency_key"] == key


@pytest.mark.parametrize("header", ["", '""', "x" * 256, '"' + "x" * 256 + '"', "a b", '"a b"', "\xfc", "a\tb"])
def test_keys_that_are_none(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], header: str) -> None:
    response = client.post("/api/v1/payments", json=PAYMENT, headers={**bearer, "Idempotency-Key": header})
    assert response.status_code == 400
    assert response.json is not None
    assert response.json["code"] == "invalid_idempotency_key"
    assert not cluster.called("payments_svc.create_payment")


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"currency": "EUR"}, "/amount", "required"),
        ({"amount": 1}, "/currency", "required"),
        (PAYMENT | {"amount": "1050"}, "/amount", "invalid_type"),
        (PAYMENT | {"amount": 10.5}, "/amount", "invalid_type"),
        (PAYMENT | {"amount": 1050.0}, "/amount", "invalid_type"),
        (PAYMENT | {"amount": True}, "/amount", "invalid_type"),
        (PAYMENT | {"amount": None}, "/amount", "required"),
        (PAYMENT | {"amount": 2**53}, "/amount", "out_of_range"),
        (PAYMENT | {"amount": -(2**70)}, "/amount", "out_of_range"),
        (PAYMENT | {"currency": 978}, "/currency", "invalid_type"),
        (PAYMENT | {"currency": "EURO"}, "/currency", "too_long"),
        (PAYMENT | {"payment_method": {"card": "1"}}, "/payment_method", "invalid_type"),
        (PAYMENT | {"payment_method": "x" * 256}, "/payment_method", "too_long"),
        (PAYMENT | {"capture_method": 1}, "/capture_method", "invalid_type"),
        (PAYMENT | {"capture_method": None}, "/capture_method", "required"),
        (PAYMENT | {"capture_method": "m" * 41}, "/capture_method", "too_long"),
        (PAYMENT | {"confirm": "true"}, "/confirm", "invalid_type"),
        (PAYMENT | {"confirm": 1}, "/confirm", "invalid_type"),
        (PAYMENT | {"confirm": None}, "/confirm", "required"),
        (PAYMENT | {"description": "x" * 501}, "/description", "too_long"),
        (PAYMENT | {"reference": "x" * 201}, "/reference", "too_long"),
        (PAYMENT | {"metadata": "x"}, "/metadata", "invalid_type"),
        (PAYMENT | {"metadata": ["x"]}, "/metadata", "invalid_type"),
        (PAYMENT | {"metadata": {"a": 1}}, "/metadata", "invalid_type"),
        (PAYMENT | {"metadata": {"a": {"b": "c"}}}, "/metadata", "invalid_type"),
        (PAYMENT | {"metadata": {"a": "x" * 501}}, "/metadata", "too_long"),
        (PAYMENT | {"metadata": {"a" * 41: "x"}}, "/metadata", "invalid_key"),
        (PAYMENT | {"metadata": {"": "x"}}, "/metadata", "invalid_key"),
        (PAYMENT | {"metadata": {"a\0": "x"}}, "/metadata", "invalid_key"),
        (PAYMENT | {"metadata": {"a": "x\0"}}, "/metadata", "invalid_characters"),
        (PAYMENT | {"metadata": {str(n): "x" for n in range(51)}}, "/metadata", "too_long"),
        (PAYMENT | {"status": "succeeded"}, "/status", "unknown_field"),
        (PAYMENT | {"user_id": USER_ID}, "/user_id", "unknown_field"),
    ],
)
def test_wrong_shapes_of_a_payment(
    client: FlaskClient,
    cluster: FakeCluster,
    paying: dict[str, str],
    body: dict[str, Any],
    pointer: str,
    code: str,
) -> None:
    response = client.post("/api/v1/payments", json=body, headers=paying)
    assert response.status_code == 422
    assert response.json is not None
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [(pointer, code)]
    assert not cluster.called("payments_svc.create_payment")


@pytest.mark.parametrize(("path", "body"), WRITES)
def test_money_moves_as_json_only(client: FlaskClient, paying: dict[str, str], path: str, body: dict[str, Any]) -> None:
    response = client.post(path, data=str(body), content_type="text/plain", headers=paying)
    assert response.status_code == 415
