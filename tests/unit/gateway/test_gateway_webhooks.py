"""Messages of payment providers at the gateway: the raw bytes go on, and nothing is believed here."""

from __future__ import annotations

from base64 import b64decode
from io import BytesIO

import pytest
from flask.testing import FlaskClient

from lib.faults import Fault
from tests.fakes.cluster import FakeCluster

METHOD = "payments_svc.receive_webhook"
PATH = "/api/v1/webhooks/sandbox"
SIGNED = {"Sandbox-Signature": "t=1,v1=00"}
CARD = b'{"card": "4242 4242 4242 4242"}'


@pytest.fixture(autouse=True)
def _answers(cluster: FakeCluster) -> None:
    cluster.answers |= {METHOD: {"new": True}}


@pytest.mark.parametrize(
    "body", [b'{"a":  1}\n', b"", b"\xff\x00 no JSON", CARD, b"[" * 5000, b'{"a":1,"a":2}', b"x" * 256 * 1024]
)
def test_the_raw_bytes_go_on(client: FlaskClient, cluster: FakeCluster, body: bytes) -> None:
    response = client.post(PATH, data=body, headers=SIGNED)
    assert (response.status_code, response.data) == (204, b"")
    (call,) = cluster.called(METHOD)
    assert b64decode(call["body"]) == body
    assert (call["provider"], call["signature"]) == ("sandbox", "t=1,v1=00")


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "text/plain", "application/vnd.x+json", ""]
)
def test_what_it_is_sent_as_does_not_matter(client: FlaskClient, content_type: str) -> None:
    assert client.post(PATH, data=b"{}", headers=SIGNED, content_type=content_type).status_code == 204


def test_nobody_has_to_be_signed_in_and_a_bad_token_is_none_of_its_business(
    client: FlaskClient, cluster: FakeCluster
) -> None:
    assert client.post(PATH, data=b"{}", headers={**SIGNED, "Authorization": "Bearer nonsense"}).status_code == 204


def test_each_provider_has_a_header_of_its_own(client: FlaskClient, cluster: FakeCluster) -> None:
    both = {**SIGNED, "Stripe-Signature": "t=2,v1=11"}
    client.post("/api/v1/webhooks/stripe", data=b"{}", headers=both)
    (call,) = cluster.called(METHOD)
    assert (call["provider"], call["signature"]) == ("stripe", "t=2,v1=11")


def test_what_is_not_signed_is_not_sent_along(client: FlaskClient, cluster: FakeCluster) -> None:
    """It would be refused, after a megabyte has gone through the broker."""
    client.post(PATH, data=b"x" * 1000, headers={"Stripe-Signature": "t=2,v1=11"})
    (call,) = cluster.called(METHOD)
    assert (call["body"], call["signature"]) == ("", "")


def test_a_repeated_message_is_answered_like_a_new_one(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.answers[METHOD] = {"new": False}
    assert client.post(PATH, data=b"{}", headers=SIGNED).status_code == 204


@pytest.mark.parametrize(
    "kind, code, status",
    [("malformed", "invalid_signature", 400), ("not_found", "provider_not_found", 404)],
)
def test_refusals_are_problems(client: FlaskClient, cluster: FakeCluster, kind: str, code: str, status: int) -> None:
    cluster.answers[METHOD] = Fault(kind, code, "no", {})
    response = client.post(PATH, data=CARD, headers=SIGNED)
    assert (response.status_code, response.json["code"]) == (status, code)
    assert "4242" not in response.text


@pytest.mark.parametrize("name", ["nobody", "Sandbox", "sand-box", "x" * 200, "%F0%9F%90%87", "%00", "a%20b"])
def test_any_name_of_a_provider_is_asked_for(client: FlaskClient, cluster: FakeCluster, name: str) -> None:
    cluster.answers[METHOD] = Fault("not_found", "provider_not_found", "no", {})
    response = client.post(f"/api/v1/webhooks/{name}", data=b"{}", headers=SIGNED)
    assert response.json["code"] == "provider_not_found"


def test_a_body_that_is_too_large_is_refused(client: FlaskClient, cluster: FakeCluster) -> None:
    """Anybody can send a signature header, and what has one goes to the broker."""
    response = client.post(PATH, data=b"x" * (256 * 1024 + 1), headers=SIGNED)
    assert (response.status_code, response.json["code"]) == (413, "content_too_large")
    stream = {"wsgi.input": BytesIO(b"x" * (256 * 1024 + 1)), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    chunked = {**SIGNED, "Transfer-Encoding": "chunked"}
    assert client.post(PATH, headers=chunked, environ_overrides=stream).status_code == 413
    assert cluster.called(METHOD) == []
    assert client.post(PATH, data=b"x" * 256 * 1024, headers=SIGNED).status_code == 204


@pytest.mark.parametrize("header", ["\xe9", "x" * 4000, ",,,=", "t=1"])
def test_any_header_goes_on_as_it_is(client: FlaskClient, cluster: FakeCluster, header: str) -> None:
    client.post(PATH, data=b"{}", headers={"Sandbox-Signature": header})
    (call,) = cluster.called(METHOD)
    assert call["signature"] == header


@pytest.mark.parametrize("path", ["/webhooks/sandbox", "/api/webhooks/sandbox"])
def test_the_short_addresses_mean_the_same(client: FlaskClient, path: str) -> None:
    assert client.post(path, data=b"{}", headers=SIGNED).status_code == 204


def test_it_is_only_posted_to(client: FlaskClient) -> None:
    response = client.get(PATH)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


def test_the_document_tells_of_it(client: FlaskClient) -> None:
    told = client.get("/openapi.json").json["paths"]["/api/v1/webhooks/{provider}"]["post"]
    assert {"204", "400", "404", "413"} <= set(told["responses"])
    assert "Sandbox-Signature" in {each["name"] for each in told["parameters"]}
    assert told["requestBody"]["content"]["application/json"]["example"]["type"] == "payment.succeeded"
    assert "security" not in told
    assert "256 KiB" in told["description"]
    assert "256 KiB" in told["responses"]["413"]["description"]
