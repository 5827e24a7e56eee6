"""Payments of anybody, for the staff, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway.shapes import EXAMPLES, PAYMENT_ID
from lib.faults import Fault
from payments_svc.domain.payment_errors import PaymentNotFound
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import USER_ID, Issuer

ALL = "/api/v1/admin/payments"
ONE = f"{ALL}/{PAYMENT_ID}"
ROUTES = [
    ("GET", ALL, None),
    ("GET", ONE, None),
    ("GET", f"{ONE}/audit", None),
    ("POST", f"{ONE}/check", {"reason": "x"}),
]


@pytest.fixture(autouse=True)
def _answers(cluster: FakeCluster) -> None:
    cluster.answers |= {
        "payments_svc.find_payments": EXAMPLES["AdminPaymentPage"],
        "payments_svc.inspect_payment": EXAMPLES["InspectedPayment"],
        "payments_svc.list_payment_trail": EXAMPLES["TrailPage"],
        "payments_svc.check_payment_now": EXAMPLES["InspectedPayment"],
    }


@pytest.fixture(params=["finance", "admin"])
def staff(request: pytest.FixtureRequest, issuer: Issuer) -> dict[str, str]:
    return {"Authorization": f"Bearer {issuer.token(roles=[request.param])}"}


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_the_staff_may(client: FlaskClient, staff: dict[str, str], method: str, path: str, body: Any) -> None:
    assert client.open(path, method=method, json=body, headers=staff).status_code == 200


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_others_may_not(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], method: str, path: str, body: Any
) -> None:
    assert client.open(path, method=method, json=body).status_code == 401
    refused = client.open(path, method=method, json=body, headers=bearer)
    assert (refused.status_code, refused.json["code"]) == (403, "forbidden")
    assert not [call for call in cluster.calls if call.service == "payments_svc"]


def test_the_filter_goes_on(client: FlaskClient, cluster: FakeCluster, staff: dict[str, str]) -> None:
    query = f"customer_id={USER_ID}&status=unknown&reference=order-1&from=2026-01-01&to=2026-02-01&limit=3"
    assert client.get(f"{ALL}?{query}", headers=staff).json == EXAMPLES["AdminPaymentPage"]
    assert cluster.called("payments_svc.find_payments") == [
        {
            "customer_id": USER_ID,
            "status": "unknown",
            "reference": "order-1",
            "since": "2026-01-01",
            "until": "2026-02-01",
            "limit": 3,
        }
    ]


def test_a_look_takes_its_reason_along(client: FlaskClient, cluster: FakeCluster, staff: dict[str, str]) -> None:
    response = client.get(f"{ONE}?reason=the+customer+asked", headers=staff)
    assert response.json == EXAMPLES["InspectedPayment"]
    assert response.headers["ETag"]
    assert cluster.called("payments_svc.inspect_payment") == [
        {"payment_id": PAYMENT_ID, "reason": "the customer asked"}
    ]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{ALL}?status=paid", None),
        ("GET", f"{ALL}?limit=101", None),
        ("GET", f"{ALL}?colour=red", None),
        ("GET", f"{ONE}?reason=", None),
        ("GET", f"{ONE}?reason=" + "x" * 501, None),
        ("GET", f"{ONE}/audit?limit=0", None),
        ("POST", f"{ONE}/check", {}),
        ("POST", f"{ONE}/check", {"reason": ""}),
        ("POST", f"{ONE}/check", {"reason": 5}),
        ("POST", f"{ONE}/check", {"reason": "x" * 501}),
        ("POST", f"{ONE}/check", {"reason": "x", "force": True}),
    ],
)
def test_a_bad_request(
    client: FlaskClient, cluster: FakeCluster, staff: dict[str, str], method: str, path: str, body: Any
) -> None:
    response = client.open(path, method=method, json=body, headers=staff)
    assert (response.status_code, response.json["code"]) == (422, "validation_failed")
    assert not [call for call in cluster.calls if call.service == "payments_svc"]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES[1:])
def test_a_payment_that_is_not_there(
    client: FlaskClient, cluster: FakeCluster, staff: dict[str, str], method: str, path: str, body: Any
) -> None:
    for name in ("inspect_payment", "list_payment_trail", "check_payment_now"):
        cluster.answers[f"payments_svc.{name}"] = Fault.of(PaymentNotFound("there is no such payment"))
    response = client.open(path, method=method, json=body, headers=staff)
    assert (response.status_code, response.json["code"]) == (404, "payment_not_found")
