"""Confirming, capturing and canceling payments over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from nameko.exceptions import RpcTimeout

from gateway.shapes import EXAMPLES, PAYMENT_ID
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import USER_ID


@dataclass(frozen=True)
class Change:
    """One route, with a body that is good."""

    name: str
    body: Mapping[str, Any]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> str:
        return f"/api/v1/payments/{PAYMENT_ID}/{self.name}"

    @property
    def rpc(self) -> str:
        return f"payments_svc.{self.name}_payment"


CONFIRM = Change("confirm", {"payment_method": "tok_visa"})
CAPTURE = Change("capture", {"amount": 500})
CANCEL = Change("cancel", {"reason": "duplicate"})
CHANGES = [CONFIRM, CAPTURE, CANCEL]

every_change = pytest.mark.parametrize("change", CHANGES, ids=str)


@pytest.fixture(autouse=True)
def _answers(cluster: FakeCluster) -> None:
    cluster.answers |= {each.rpc: {"payment": EXAMPLES["Payment"], "replayed": False} for each in CHANGES}


@pytest.fixture
def paying(bearer: dict[str, str]) -> dict[str, str]:
    """The headers of a client that pays."""
    return {**bearer, "Idempotency-Key": "order-1"}


@every_change
def test_a_change_gives_the_payment(
    client: FlaskClient, cluster: FakeCluster, paying: dict[str, str], change: Change
) -> None:
    response = client.post(change.path, json=dict(change.body), headers=paying)
    assert response.status_code == 200
    assert response.json == EXAMPLES["Payment"]
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert "Idempotent-Replayed" not in response.headers
    assert "Location" not in response.headers
    asked = {"user_id": USER_ID, "payment_id": PAYMENT_ID, "idempotency_key": "order-1", **change.body}
    assert cluster.called(change.rpc) == [asked]
    assert cluster.calls[-1].timeout == 12


@every_change
@pytest.mark.parametrize("body", [{"json": {}}, {}, {"data": b""}], ids=["empty object", "none", "empty"])
def test_a_change_needs_no_body(
    client: FlaskClient, cluster: FakeCluster, paying: dict[str, str], change: Change, body: dict[str, Any]
) -> None:
    assert client.post(change.path, headers=paying, **body).status_code == 200
    assert cluster.called(change.rpc) == [{"user_id": USER_ID, "payment_id": PAYMENT_ID, "idempotency_key": "order-1"}]


@pytest.mark.parametrize("result", ["succeed", "fail"])
def test_what_the_customer_did_is_passed_on(
    client: FlaskClient, cluster: FakeCluster, paying: dict[str, str], result: str
) -> None:
    assert client.post(CONFIRM.path, json={"authentication": result}, headers=paying).status_code == 200
    assert cluster.called(CONFIRM.rpc)[0]["authentication"] == result


@every_change
def test_a_repeated_change_says_so(
    client: FlaskClient, cluster: FakeCluster, paying: dict[str, str], change: Change
) -> None:
    cluster.answers[change.rpc] = {"payment": EXAMPLES["Payment"], "replayed": True}
    response = client.post(change.path, json=dict(change.body), headers=paying)
    assert response.status_code == 200
    assert response.headers["Idempotent-Replayed"] == "true"


@every_change
def test_a_change_needs_a_key(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], change: Change
) -> None:
    response = client.post(change.path, json=dict(change.body), headers=bearer)
    assert response.status_code == 400
    assert response.json is not None
    assert response.json["code"] == "idempotency_key_missing"
    assert not cluster.called(change.rpc)


@every_change
@pytest.mark.parametrize(
    ("header", "key"), [("order-1", "order-1"), ('"order-1"', "order-1"), ('"' + "x" * 255 + '"', "x" * 255)]
)
def test_a_quoted_key_and_a_bare_one_are_one(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], change: Change, header: str, key: str
) -> None:
    headers = {**bearer, "Idempotency-Key": header}
    assert client.post(change.path, json=dict(change.body), headers=headers).status_code == 200
    assert cluster.called(change.rpc)[0]["idempotency_key"] == key


@every_change
@pytest.mark.parametrize("header", ["", '""', "x" * 256, '"' + "x" * 256 + '"', "a b", "\xfc"])
def test_a_key_that_is_none_is_refused(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], change: Change, header: str
) -> None:
    headers = {**bearer, "Idempotency-Key": header}
    response = client.post(change.path, json=dict(change.body), headers=headers)
    assert response.status_code == 400
    assert response.json is not None
    assert response.json["code"] == "invalid_idempotency_key"
    assert not cluster.called(change.rpc)


@every_change
def test_a_change_needs_a_token(client: FlaskClient, cluster: FakeCluster, change: Change) -> None:
    headers = {"Idempotency-Key": "order-1"}
    assert client.post(change.path, json=dict(change.body), headers=headers).status_code == 401
    assert not cluster.called(change.rpc)


@pytest.mark.parametrize(
    ("change", "body", "pointer", "code"),
    [
        (CONFIRM, {"payment_method": 5}, "/payment_method", "invalid_type"),
        (CONFIRM, {"payment_method": None}, "/payment_method", "required"),
        (CONFIRM, {"payment_method": {"number": "1"}}, "/payment_method", "invalid_type"),
        (CONFIRM, {"payment_method": "x" * 256}, "/payment_method", "too_long"),
        (CONFIRM, {"payment_method": "tok\0"}, "/payment_method", "invalid_characters"),
        (CONFIRM, {"authentication": True}, "/authentication", "invalid_type"),
        (CONFIRM, {"authentication": None}, "/authentication", "required"),
        (CONFIRM, {"authentication": "s" * 41}, "/authentication", "too_long"),
        (CONFIRM, {"amount": 5}, "/amount", "unknown_field"),
        (CAPTURE, {"amount": "500"}, "/amount", "invalid_type"),
        (CAPTURE, {"amount": 5.0}, "/amount", "invalid_type"),
        (CAPTURE, {"amount": 5.5}, "/amount", "invalid_type"),
        (CAPTURE, {"amount": True}, "/amount", "invalid_type"),
        (CAPTURE, {"amount": None}, "/amount", "required"),
        (CAPTURE, {"amount": 2**53}, "/amount", "out_of_range"),
        (CAPTURE, {"currency": "EUR"}, "/currency", "unknown_field"),
        (CAPTURE, {"user_id": USER_ID}, "/user_id", "unknown_field"),
        (CANCEL, {"reason": 5}, "/reason", "invalid_type"),
        (CANCEL, {"reason": None}, "/reason", "required"),
        (CANCEL, {"reason": ["duplicate"]}, "/reason", "invalid_type"),
        (CANCEL, {"reason": "x" * 41}, "/reason", "too_long"),
        (CANCEL, {"status": "canceled"}, "/status", "unknown_field"),
    ],
)
def test_wrong_shapes_of_a_change(
    client: FlaskClient,
    cluster: FakeCluster,
    paying: dict[str, str],
    change: Change,
    body: dict[str, Any],
    pointer: str,
    code: str,
) -> None:
    response = client.post(change.path, json=body, headers=paying)
    assert response.status_code == 422
    assert response.json is not None
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [(pointer, code)]
    assert not cluster.called(change.rpc)


@every_change
@pytest.mark.parametrize(
    ("data", "media_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 422),
        (b'{"a": NaN}', "application/json", 400),
        (b"{}", "text/plain", 415),
    ],
)
def test_a_change_is_json(
    client: FlaskClient,
    cluster: FakeCluster,
    paying: dict[str, str],
    change: Change,
    data: bytes,
    media_type: str,
    status: int,
) -> None:
    assert client.post(change.path, data=data, content_type=media_type, headers=paying).status_code == status
    assert not cluster.called(change.rpc)


def _refusals(change: Change, *faults: tuple[Fault, int]) -> list[Any]:
    return [pytest.param(change, fault, status, id=f"{change}-{fault.code}") for fault, status in faults]


OF_ALL = (
    (Fault("not_found", "payment_not_found", "no"), 404),
    (Fault("forbidden", "account_disabled", "no"), 403),
    (Fault("conflict", "operation_in_progress", "wait", {"retry_after": 1}), 409),
    (Fault("conflict", "idempotency_in_progress", "wait", {"retry_after": 1}), 409),
    (Fault("invalid", "idempotency_key_reused", "used"), 422),
    (Fault("malformed", "invalid_idempotency_key", "no key"), 400),
    (Fault("unavailable", "provider_unreachable", "away", {"retry_after": 5}), 503),
    (Fault("unavailable", "provider_error", "failed", {"retry_after": 1}), 503),
    (Fault("unavailable", "provider_busy", "busy", {"retry_after": 7}), 503),
    (Fault("unavailable", "outcome_unknown", "ask", {"retry_after": 1}), 503),
)


@pytest.mark.parametrize(
    ("change", "fault", "status"),
    [
        *_refusals(
            CONFIRM,
            *OF_ALL,
            (Fault("declined", "payment_declined", "no", {"decline_code": "lost_card", "payment_id": PAYMENT_ID}), 402),
            (Fault("conflict", "payment_not_confirmable", "no"), 409),
            (Fault("invalid", "payment_method_required", "no"), 422),
            (Fault("invalid", "unknown_payment_method", "no"), 422),
            (Fault("invalid", "unsupported_payment_method", "no"), 422),
            (Fault("invalid", "invalid_authentication", "no"), 422),
            (Fault("invalid", "card_number_refused", "no"), 422),
        ),
        *_refusals(
            CAPTURE,
            *OF_ALL,
            (Fault("forbidden", "capture_not_allowed", "no"), 403),
            (Fault("conflict", "payment_not_capturable", "no"), 409),
            (Fault("conflict", "capture_refused", "no", {"decline_code": "capture_refused"}), 409),
            (Fault("invalid", "capture_exceeds_authorized", "no", {"capturable": 400}), 422),
            (Fault("invalid", "invalid_amount", "no"), 422),
        ),
        *_refusals(
            CANCEL,
            *OF_ALL,
            (Fault("conflict", "payment_not_cancelable", "no"), 409),
            (Fault("conflict", "cancel_refused", "no", {"decline_code": "too_late"}), 409),
            (Fault("invalid", "invalid_cancellation_reason", "no"), 422),
        ),
    ],
)
def test_changes_pass_refusals_on(
    client: FlaskClient,
    cluster: FakeCluster,
    document: dict[str, Any],
    paying: dict[str, str],
    change: Change,
    fault: Fault,
    status: int,
) -> None:
    cluster.answers[change.rpc] = fault
    response = client.post(change.path, json=dict(change.body), headers=paying)
    assert response.status_code == status
    assert response.json is not None
    assert response.json["code"] == fault.code
    members = {name: value for name, value in fault.details.items() if name != "retry_after"}
    assert {name: response.json.get(name) for name in members} == members
    wait = fault.details.get("retry_after")
    assert response.headers.get("Retry-After") == (None if wait is None else str(wait))
    _is_documented(document, change, status, fault.code)


def _is_documented(document: dict[str, Any], change: Change, status: int, code: str) -> None:
    told = document["paths"][f"/api/v1/payments/{{payment_id}}/{change}"]["post"]["responses"][str(status)]
    if "$ref" in told:
        told = document["components"]["responses"][told["$ref"].rpartition("/")[2]]
    assert code in told["content"]["application/problem+json"]["examples"]


@pytest.mark.parametrize("change", [CAPTURE, CANCEL], ids=str)
@pytest.mark.parametrize("replayed", [False, True])
def test_what_a_provider_refused_is_repeated_with_the_key(
    client: FlaskClient, cluster: FakeCluster, paying: dict[str, str], change: Change, replayed: bool
) -> None:
    details = {"decline_code": "capture_refused", "replayed": replayed}
    cluster.answers[change.rpc] = Fault("conflict", f"{change}_refused", "no", details)
    response = client.post(change.path, json=dict(change.body), headers=paying)
    assert response.status_code == 409
    assert response.headers.get("Idempotent-Replayed") == ("true" if replayed else None)


@every_change
def test_a_change_that_takes_too_long(
    client: FlaskClient, cluster: FakeCluster, paying: dict[str, str], change: Change
) -> None:
    cluster.answers[change.rpc] = RpcTimeout(12)
    assert client.post(change.path, json=dict(change.body), headers=paying).status_code == 504


@every_change
def test_what_is_no_id_is_not_found_by_the_service(
    client: FlaskClient, cluster: FakeCluster, paying: dict[str, str], change: Change
) -> None:
    cluster.answers[change.rpc] = Fault("not_found", "payment_not_found", "there is no such payment")
    path = f"/api/v1/payments/no-id/{change}"
    assert client.post(path, json=dict(change.body), headers=paying).status_code == 404
    assert cluster.called(change.rpc)[0]["payment_id"] == "no-id"


@every_change
def test_what_somebody_has_no_role_for_is_the_service_to_say(
    client: FlaskClient, cluster: FakeCluster, paying: dict[str, str], change: Change
) -> None:
    """The gateway asks for whoever has signed in, never for the user that somebody names."""
    client.post(change.path, json=dict(change.body), headers={**paying, "X-User-ID": "somebody else"})
    assert cluster.called(change.rpc)[0]["user_id"] == USER_ID
