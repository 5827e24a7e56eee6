"""Messages of payment providers at the gateway: the raw bytes go on, and nothing is believed here."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime
from io import BytesIO

import pytest
from flask.testing import FlaskClient
from limits import parse

from gateway.counters import PREFIX
from gateway.routes import webhooks
from gateway.state import EXTENSION
from lib.faults import Fault
from payments_svc.domain.notice import InvalidSignature
from payments_svc.infrastructure import signatures
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import Configure

METHOD = "payments_svc.receive_webhook"
PATH = "/api/v1/webhooks/sandbox"
DIGEST = "0123456789abcdef" * 4
SIGNATURE = f"t=1767225600,v1={DIGEST}"
SIGNED = {"Sandbox-Signature": SIGNATURE}
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
    assert (call["provider"], call["signature"]) == ("sandbox", SIGNATURE)


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
    both = {**SIGNED, "Stripe-Signature": f"t=2,v1={DIGEST}"}
    client.post("/api/v1/webhooks/stripe", data=b"{}", headers=both)
    (call,) = cluster.called(METHOD)
    assert (call["provider"], call["signature"]) == ("stripe", f"t=2,v1={DIGEST}")


def test_what_is_not_signed_is_not_sent_along(client: FlaskClient, cluster: FakeCluster) -> None:
    """It would be refused, after a megabyte has gone through the broker."""
    client.post(PATH, data=b"x" * 1000, headers={"Stripe-Signature": SIGNATURE})
    (call,) = cluster.called(METHOD)
    assert (call["body"], call["signature"]) == ("", "")


SHAPELESS = [
    "\xe9",
    "x" * 4000,
    ",,,=",
    "t=1",
    f"v1={DIGEST}",
    f"t=,v1={DIGEST}",
    f"t=x,v1={DIGEST}",
    f"t=-1,v1={DIGEST}",
    f"t=\xb2,v1={DIGEST}",
    f"t={'1' * 13},v1={DIGEST}",
    f"t=1,t=1,v1={DIGEST}",
    "t=1,v1=00",
    f"t=1,v1={DIGEST}0",
    f"t=1,v1={DIGEST.upper()}",
    f"t=1,v0={DIGEST}",
    f"{SIGNATURE},\xe9",
    SIGNATURE + ",v0=" + "x" * (4096 - len(SIGNATURE) - 3),
]


@pytest.mark.parametrize("header", SHAPELESS)
@pytest.mark.parametrize("provider", ["sandbox", "stripe", "nobody"])
def test_what_cannot_be_a_signature_does_not_go_to_the_broker(
    client: FlaskClient, cluster: FakeCluster, provider: str, header: str
) -> None:
    headers = {f"{provider}-Signature": header}
    response = client.post(f"/api/v1/webhooks/{provider}", data=CARD, headers=headers)
    assert (response.status_code, response.json["code"]) == (400, "invalid_signature")
    assert cluster.called(METHOD) == []
    assert "4242" not in response.text


@pytest.mark.parametrize(
    "header",
    [
        SIGNATURE,
        f" t=1 , v1={DIGEST} ",
        f"v1={DIGEST},t=1",
        f"t=1,v1=old,v0=x,v1={DIGEST},later=anything=at all",
        SIGNATURE + ",v0=" + "x" * (4096 - len(SIGNATURE) - 4),
        signatures.sign(b"{}", ["one", "two", "three"], datetime.now(UTC)),
    ],
)
def test_what_may_be_a_signature_goes_on_as_it_is(client: FlaskClient, cluster: FakeCluster, header: str) -> None:
    assert client.post(PATH, data=b"{}", headers={"Sandbox-Signature": header}).status_code == 204
    (call,) = cluster.called(METHOD)
    assert call["signature"].strip() == header.strip()


def test_what_the_service_proves_is_never_refused_here(client: FlaskClient) -> None:
    """There is one reading of a header at each side; this one may only be the more generous."""
    for header in (*SHAPELESS, SIGNATURE):
        try:
            signatures._parse(header)
        except InvalidSignature:
            continue
        assert client.post(PATH, data=b"{}", headers={"Sandbox-Signature": header}).status_code == 204, header


def test_a_provider_may_have_a_format_of_its_own(
    client: FlaskClient, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "SHAPES", {"other": lambda header: header.startswith("sha512=")})
    for header, status in (("sha512=abc", 204), (SIGNATURE, 400), ("sha512=" + "x" * 4090, 400)):
        response = client.post("/api/v1/webhooks/other", data=b"{}", headers={"Other-Signature": header})
        assert response.status_code == status, header
    assert client.post(PATH, data=b"{}", headers={"Sandbox-Signature": "sha512=abc"}).status_code == 400
    assert [each["signature"] for each in cluster.called(METHOD)] == ["sha512=abc"]


def test_one_address_is_limited_generously(configure: Configure, cluster: FakeCluster) -> None:
    app = configure(RATE_LIMITS="on")
    client = app.test_client()
    assert client.post(PATH, data=b"{}", headers=SIGNED).status_code == 204
    # As many as there were within a minute, but for one.
    limit, counters = parse("12000/minute"), app.extensions[EXTENSION].counters
    assert counters._shared.hit(limit, PREFIX, "127.0.0.1", "webhooks.receive", cost=11_998)
    # What is no signature counts like any other request.
    assert client.post(PATH, data=b"{}", headers={"Sandbox-Signature": "x"}).status_code == 400
    cluster.calls.clear()
    response = client.post(PATH, data=b"{}", headers=SIGNED)
    assert (response.status_code, response.json["code"]) == (429, "rate_limited")
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert cluster.called(METHOD) == []
    elsewhere = client.post(PATH, data=b"{}", headers=SIGNED, environ_base={"REMOTE_ADDR": "192.0.2.9"})
    assert elsewhere.status_code == 204


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
    headers = {**SIGNED, "Nobody-Signature": SIGNATURE}
    response = client.post(f"/api/v1/webhooks/{name}", data=b"{}", headers=headers)
    assert response.json["code"] == "provider_not_found"
    # What is no name goes on without what was sent with it.
    assert [each["body"] for each in cluster.called(METHOD)] == ["e30=" if name == "nobody" else ""]


def test_a_body_that_is_too_large_is_refused(client: FlaskClient, cluster: FakeCluster) -> None:
    """Anybody can make up a signature, and what has one goes to the broker."""
    response = client.post(PATH, data=b"x" * (256 * 1024 + 1), headers=SIGNED)
    assert (response.status_code, response.json["code"]) == (413, "content_too_large")
    stream = {"wsgi.input": BytesIO(b"x" * (256 * 1024 + 1)), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    chunked = {**SIGNED, "Transfer-Encoding": "chunked"}
    assert client.post(PATH, headers=chunked, environ_overrides=stream).status_code == 413
    assert cluster.called(METHOD) == []
    assert client.post(PATH, data=b"x" * 256 * 1024, headers=SIGNED).status_code == 204


@pytest.mark.parametrize("path", ["/webhooks/sandbox", "/api/webhooks/sandbox"])
def test_the_short_addresses_mean_the_same(client: FlaskClient, path: str) -> None:
    assert client.post(path, data=b"{}", headers=SIGNED).status_code == 204


def test_it_is_only_posted_to(client: FlaskClient) -> None:
    response = client.get(PATH)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


def test_the_document_tells_of_it(client: FlaskClient) -> None:
    told = client.get("/openapi.json").json["paths"]["/api/v1/webhooks/{provider}"]["post"]
    assert {"204", "400", "404", "413", "429"} <= set(told["responses"])
    assert "Sandbox-Signature" in {each["name"] for each in told["parameters"]}
    assert told["requestBody"]["content"]["application/json"]["example"]["type"] == "payment.succeeded"
    assert "security" not in told
    assert "256 KiB" in told["description"]
    assert "256 KiB" in told["responses"]["413"]["description"]
