"""Kept means of payment over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway.shapes import COMPONENTS, EXAMPLES
from lib.faults import Fault
from payments_svc.presentation.payment_methods import PaymentMethodPageSchema, PaymentMethodSchema
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import USER_ID, Configure

METHOD = EXAMPLES["PaymentMethod"]
LIST = "/api/v1/payment-methods"
ONE = f"{LIST}/{METHOD['id']}"
DEFAULT = f"{ONE}/default"
NEW = {"provider": "sandbox", "token": "tok_visa"}
OF_IT = {"user_id": USER_ID, "method_id": METHOD["id"]}
#: method, path, body, the RPC method, what it is called with
ROUTES: list[tuple[str, str, Any, str, dict[str, Any]]] = [
    ("POST", LIST, NEW, "keep_payment_method", {"user_id": USER_ID, **NEW}),
    ("GET", LIST, None, "list_payment_methods", {"user_id": USER_ID, "limit": 20}),
    ("GET", ONE, None, "get_payment_method", OF_IT),
    ("DELETE", ONE, None, "forget_payment_method", OF_IT),
    ("PUT", DEFAULT, None, "set_default_payment_method", OF_IT),
]
each_route = pytest.mark.parametrize(("method", "path", "body", "rpc", "arguments"), ROUTES)


@pytest.fixture(autouse=True)
def _answers(cluster: FakeCluster) -> None:
    cluster.answers |= {
        "payments_svc.keep_payment_method": METHOD,
        "payments_svc.list_payment_methods": EXAMPLES["PaymentMethodPage"],
        "payments_svc.get_payment_method": METHOD,
        "payments_svc.forget_payment_method": None,
        "payments_svc.set_default_payment_method": METHOD,
    }


@each_route
def test_a_good_request_calls_the_service_with_exactly_this(
    client: FlaskClient,
    cluster: FakeCluster,
    bearer: dict[str, str],
    method: str,
    path: str,
    body: Any,
    rpc: str,
    arguments: dict[str, Any],
) -> None:
    response = client.open(path, method=method, json=body, headers=bearer)
    assert response.status_code == {"POST": 201, "DELETE": 204}.get(method, 200)
    assert (response.json if response.data else None) == cluster.answers[f"payments_svc.{rpc}"]
    assert cluster.called(f"payments_svc.{rpc}") == [arguments]
    assert "tok_visa" not in response.text


@each_route
def test_without_a_token_nothing_is_asked(
    client: FlaskClient, cluster: FakeCluster, method: str, path: str, body: Any, rpc: str, arguments: Any
) -> None:
    assert client.open(path, method=method, json=body).status_code == 401
    assert not cluster.called(f"payments_svc.{rpc}")


@each_route
def test_what_the_service_refuses_is_told(
    client: FlaskClient,
    cluster: FakeCluster,
    bearer: dict[str, str],
    method: str,
    path: str,
    body: Any,
    rpc: str,
    arguments: Any,
) -> None:
    refusals = [("unavailable", "overloaded", 503)]
    refusals += [("not_found", "payment_method_not_found", 404)] if path != LIST else []
    refusals += [("forbidden", "account_disabled", 403)] if method in ("POST", "PUT") else []
    refusals += [
        ("invalid", "unknown_provider", 422),
        ("invalid", "unknown_payment_method", 422),
        ("invalid", "unsupported_payment_method", 422),
        ("conflict", "too_many_payment_methods", 409),
    ] * (method == "POST")
    for kind, code, status in refusals:
        cluster.answers[f"payments_svc.{rpc}"] = Fault(kind, code, "no")
        response = client.open(path, method=method, json=body, headers=bearer)
        assert response.status_code == status
        assert response.json is not None
        assert response.json["code"] == code


def test_a_new_method_has_an_address(client: FlaskClient, bearer: dict[str, str]) -> None:
    assert client.post(LIST, json=NEW, headers=bearer).headers["Location"] == ONE


def test_a_copy_that_is_still_good_is_not_sent_again(client: FlaskClient, bearer: dict[str, str]) -> None:
    tag = client.get(ONE, headers=bearer).headers["ETag"]
    assert client.get(ONE, headers={**bearer, "If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"token": "t"}, "/provider", "required"),
        ({"provider": "sandbox"}, "/token", "required"),
        ({**NEW, "token": None}, "/token", "required"),
        ({**NEW, "token": 5}, "/token", "invalid_type"),
        ({**NEW, "token": "x" * 256}, "/token", "too_long"),
        ({**NEW, "token": "\0"}, "/token", "invalid_characters"),
        ({**NEW, "provider": "x" * 51}, "/provider", "too_long"),
        ({**NEW, "provider": ["sandbox"]}, "/provider", "invalid_type"),
        ({**NEW, "number": "1"}, "/number", "unknown_field"),
        ({**NEW, "is_default": True}, "/is_default", "unknown_field"),
    ],
)
def test_wrong_shapes_are_refused_where_they_are(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], body: Any, pointer: str, code: str
) -> None:
    response = client.post(LIST, json=body, headers=bearer)
    assert response.status_code == 422
    assert response.json is not None
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [(pointer, code)]
    assert not cluster.called("payments_svc.keep_payment_method")


@pytest.mark.parametrize("field", ["token", "provider"])
def test_a_card_number_is_refused(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], field: str
) -> None:
    response = client.post(LIST, json={**NEW, field: "4242424242424242"}, headers=bearer)
    assert response.status_code == 422
    assert response.json is not None
    assert response.json["code"] == "card_number_refused"
    assert "4242424242424242" not in response.text
    assert not cluster.called("payments_svc.keep_payment_method")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "out_of_range"),
        ("limit=101", "out_of_range"),
        ("limit=ten", "invalid_type"),
        ("a=b", "unknown_field"),
    ],
)
def test_queries_that_make_no_sense(client: FlaskClient, bearer: dict[str, str], query: str, code: str) -> None:
    response = client.get(f"{LIST}?{query}", headers=bearer)
    assert response.status_code == 422
    assert response.json is not None
    assert response.json["errors"][0]["code"] == code


def test_pages_are_asked_for_by_size_and_cursor(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]
) -> None:
    client.get(f"{LIST}?limit=100&cursor=abc", headers=bearer)
    assert cluster.called("payments_svc.list_payment_methods") == [{"user_id": USER_ID, "limit": 100, "cursor": "abc"}]
    cluster.answers["payments_svc.list_payment_methods"] = Fault("malformed", "invalid_cursor", "none of this list")
    assert client.get(f"{LIST}?cursor=x", headers=bearer).status_code == 400


@pytest.mark.parametrize(
    ("path", "methods"),
    [(LIST, "GET, HEAD, OPTIONS, POST"), (ONE, "DELETE, GET, HEAD, OPTIONS"), (DEFAULT, "OPTIONS, PUT")],
)
def test_other_methods_are_named_as_such(client: FlaskClient, bearer: dict[str, str], path: str, methods: str) -> None:
    response = client.patch(path, headers=bearer)
    assert response.status_code == 405
    assert ", ".join(sorted(response.headers["Allow"].split(", "))) == methods


def test_to_keep_is_limited_per_account(
    configure: Configure, cluster: FakeCluster, bearer: dict[str, str], issuer: Any
) -> None:
    client = configure(RATE_LIMITS="on").test_client()
    answers = [client.post(LIST, json=NEW, headers=bearer).status_code for _ in range(31)]
    assert answers == [201] * 30 + [429]
    other = {"Authorization": f"Bearer {issuer.token(sub='0198a3f2-9999-7d4a-9b57-2f4c8e6a1d03')}"}
    assert client.post(LIST, json=NEW, headers=other).status_code == 201
    assert client.get(LIST, headers=bearer).status_code == 200


@pytest.mark.parametrize(
    ("component", "schema"), [("PaymentMethod", PaymentMethodSchema), ("PaymentMethodPage", PaymentMethodPageSchema)]
)
def test_the_document_and_the_service_name_the_same_members(component: str, schema: Any) -> None:
    assert set(COMPONENTS[component]["properties"]) == set(schema().fields)
