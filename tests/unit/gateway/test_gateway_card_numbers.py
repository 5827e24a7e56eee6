"""No card number comes in, by any field of any route; ids, times and tokens do."""

from __future__ import annotations

import io
import json
import random
import time
import timeit
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from gateway import strict_json
from gateway.access_log import StreamAccessLog
from gateway.card_numbers import MOST_SEARCHED, WEBHOOKS, CardNumberRefused
from lib.card_numbers import holds_card_number
from lib.errors import Invalid
from tests.fakes.cluster import FakeCluster
from tests.support.card_numbers import VISA, in_text
from tests.support.request_fields import FORM, Operation, Path, operations, places, pointer, put
from tests.support.timing import cpu_below
from tests.unit.gateway.conftest import Configure, Issuer

ID = "0198a3f2-6c1e-7d4a-9b57-2f4c8e6a1d03"
SPACED = "4242 4242 4242 4242"
NUMBERS = random.Random(7)
EXEMPT = f"/api/v1/{WEBHOOKS}/"
REFUSED = 422, "card_number_refused"


@pytest.fixture(scope="module")
def staff(issuer: Issuer) -> dict[str, str]:
    """The headers of somebody who may do everything."""
    return {"Authorization": f"Bearer {issuer.token(roles=['admin', 'finance'])}", "Idempotency-Key": "key-1"}


@pytest.fixture
def sender(app: Flask) -> FlaskClient:
    """A client whose answers are not held against the document: queries that nobody knows of are not in there."""
    return FlaskClient(app, app.response_class)


def _told(response: TestResponse) -> tuple[int, Any]:
    return response.status_code, (response.get_json(force=True, silent=True) or {}).get("code")


def _shows(text: str) -> bool:
    return VISA in text or SPACED in text


def _json_operations(document: dict[str, Any]) -> list[Operation]:
    return [each for each in operations(document) if each.body() is not None and not each.path.startswith(EXEMPT)]


def _asked(cluster: FakeCluster) -> list[str]:
    return [call.method for call in cluster.calls if call.method != "get_jwks"]


def _routes(app: Flask) -> Iterator[tuple[str, str]]:
    """Give each method and address of the application."""
    for rule in app.url_map.iter_rules():
        values = dict.fromkeys(rule.arguments, ID) | {"name": "index.html"}
        url = app.url_map.bind("localhost").build(rule.endpoint, {name: values[name] for name in rule.arguments})
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield method, url


def test_no_field_of_any_body_takes_one(
    client: FlaskClient, cluster: FakeCluster, document: dict[str, Any], staff: dict[str, str]
) -> None:
    tried = 0
    for operation in _json_operations(document):
        schema, example = operation.body() or ({}, {})
        for place in {*places(document, schema), ("unknown",), ("un", "known", 0)}:
            body = put(example, place, SPACED)
            response = client.open(operation.url(ID), method=operation.method, headers=staff, json=body)
            assert _told(response) == REFUSED, f"{operation} {place}"
            assert [each["pointer"] for each in response.json["errors"]] == [pointer(place)]  # type: ignore[index]
            assert not _shows(response.text)
            tried += 1
    assert tried > 60
    assert _asked(cluster) == []


def test_no_name_in_any_body_is_one(
    client: FlaskClient, cluster: FakeCluster, document: dict[str, Any], staff: dict[str, str]
) -> None:
    for operation in _json_operations(document):
        _, example = operation.body() or ({}, {})
        for body, where in (({SPACED: 1}, ""), ({"a": [{"b": {VISA: None}}]}, "/a/0/b")):
            response = client.open(operation.url(ID), method=operation.method, headers=staff, json={**example, **body})
            assert _told(response) == REFUSED, operation
            assert [each["pointer"] for each in response.json["errors"]] == [where]  # type: ignore[index]
            assert not _shows(response.text)
    assert _asked(cluster) == []


def test_no_query_of_any_route_takes_one(
    app: Flask, sender: FlaskClient, cluster: FakeCluster, document: dict[str, Any], staff: dict[str, str]
) -> None:
    known = {(each.method, each.url(ID)): each.query for each in operations(document)}
    tried = 0
    for method, url in _routes(app):
        if url.startswith(EXEMPT):
            continue
        for name in [*known.get((method, url), ()), "unknown"]:
            for query in ({name: SPACED}, {name: ["a", f"card_{VISA}"]}, {VISA: "a"}):
                response = sender.open(url, method=method, headers=staff, query_string=query)
                assert _told(response) == REFUSED, f"{method} {url} {name}"
                assert not _shows(response.text)
                assert response.content_type == "application/problem+json"
                tried += 1
    assert tried > 200
    assert _asked(cluster) == []


def test_the_document_says_so_wherever_something_is_taken(document: dict[str, Any]) -> None:
    for operation in operations(document):
        if (operation.query or operation.body()) and not operation.path.startswith(EXEMPT):
            answer = operation.told["responses"]["422"]
            if "$ref" in answer:
                answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
            assert "card_number_refused" in answer["content"]["application/problem+json"]["examples"], operation


@pytest.fixture(scope="module")
def bodies(document: dict[str, Any]) -> list[tuple[Operation, dict[str, Any], Path]]:
    """Each place of each body, with a body that is good."""
    found = [(each, *(each.body() or ({}, {}))) for each in _json_operations(document)]
    return [(each, example, place) for each, schema, example in found for place in set(places(document, schema))]


@pytest.fixture(scope="module")
def queries(document: dict[str, Any]) -> list[tuple[Operation, str]]:
    """Each parameter of each query."""
    return [(each, name) for each in operations(document) if not each.path.startswith(EXEMPT) for name in each.query]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=in_text(), at=st.integers(0, 10**6), escaped=st.booleans())
def test_no_spelling_passes(
    client: FlaskClient,
    staff: dict[str, str],
    bodies: list[tuple[Operation, dict[str, Any], Path]],
    queries: list[tuple[Operation, str]],
    text: str,
    at: int,
    escaped: bool,
) -> None:
    operation, example, place = bodies[at % len(bodies)]
    content = json.dumps(put(example, place, "here")).replace(
        '"here"',
        # As a program writes it, or with every character as an escape.
        '"' + "".join(f"\\u{ord(each):04x}" for each in text) + '"'
        if escaped
        else json.dumps(text, ensure_ascii=False),
    )
    response = client.open(
        operation.url(ID), method=operation.method, headers=staff, data=content, content_type="application/json"
    )
    assert _told(response) == REFUSED, operation
    operation, name = queries[at % len(queries)]
    response = client.open(operation.url(ID), method=operation.method, headers=staff, query_string={name: text})
    assert _told(response) == REFUSED, operation


@pytest.mark.parametrize("field", ["token", "token_type_hint", "client_id", "client_secret", "unknown"])
@pytest.mark.parametrize("path", ["/api/v1/auth/introspect", "/api/v1/auth/revoke"])
def test_programs_send_none_in_a_form(client: FlaskClient, cluster: FakeCluster, path: str, field: str) -> None:
    form = {"client_id": "c1", "client_secret": "s3cret", "token": "t", field: SPACED}
    response = client.post(path, data=form, content_type=FORM)
    # What RFC 6749 has for whatever is wrong with a request.
    assert _told(response) == (400, "invalid_request")
    assert response.json is not None
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [(f"/{field}", REFUSED[1])]
    assert not _shows(response.text)
    assert _asked(cluster) == []


@pytest.mark.parametrize("media_type", ["multipart/form-data", FORM])
def test_mail_programs_send_none_either(client: FlaskClient, cluster: FakeCluster, media_type: str) -> None:
    form = {"List-Unsubscribe": "One-Click", "note": SPACED}
    response = client.post("/api/v1/users/unsubscribe?token=t", data=form, content_type=media_type)
    assert _told(response) == REFUSED
    assert not _shows(response.text)
    assert _asked(cluster) == []


def test_a_password_is_no_exception(client: FlaskClient, cluster: FakeCluster) -> None:
    body = {"email": "ann@example.org", "password": VISA}
    assert _told(client.post("/api/v1/auth/login", json=body)) == REFUSED
    assert _asked(cluster) == []


def test_a_request_is_not_called_by_one(app: Flask, client: FlaskClient) -> None:
    response = client.get("/api/v1/nowhere", headers={"X-Request-ID": VISA})
    assert response.headers["X-Request-ID"] != VISA
    assert not _shows(response.text)
    assert client.get("/api/v1/nowhere", headers={"X-Request-ID": ID}).headers["X-Request-ID"] == ID


def test_no_line_of_the_access_log_has_one(configure: Configure, cluster: FakeCluster, staff: dict[str, str]) -> None:
    for fmt in ("json", "console"):
        out = io.StringIO()
        app = configure(access_log=StreamAccessLog(fmt, out))
        sender = FlaskClient(app, app.response_class)
        headers = {**staff, "X-Request-ID": VISA, "traceparent": VISA}
        for url in (f"/api/v1/payments/{VISA}?a={VISA}", f"/{VISA}", f"/api/v1/payments?{VISA}=a", f"/health?a={VISA}"):
            sender.get(url, headers=headers)
        sender.open(f"/{VISA}", method=VISA, headers=headers)
        assert out.getvalue().count("\n") == 4
        assert not _shows(out.getvalue())


def test_a_path_is_not_searched(client: FlaskClient, cluster: FakeCluster, staff: dict[str, str]) -> None:
    cluster.answers["payments_svc.get_payment_method"] = ValueError("asked")
    client.get(f"/api/v1/payment-methods/{VISA}", headers=staff)
    assert _asked(cluster) == ["get_payment_method"]


def test_an_unknown_address_stays_unknown(client: FlaskClient) -> None:
    assert client.get(f"/api/v1/nowhere?card={VISA}").status_code == 404


# --- what passes ---


def _parsed(*texts: str) -> None:
    body = {"texts": list(texts), **dict.fromkeys(texts[:50], 1)}
    assert strict_json.parse(json.dumps(body).encode()) == body


def test_200_000_uuids_pass() -> None:
    for _ in range(200):
        _parsed(*(str(uuid.UUID(int=NUMBERS.getrandbits(128))) for _ in range(1_000)))


def test_10_000_times_in_milliseconds_pass() -> None:
    for _ in range(10):
        _parsed(*(str(NUMBERS.randrange(2 * 10**12)) for _ in range(1_000)))


def test_telephone_numbers_of_up_to_12_digits_pass() -> None:
    for _ in range(10):
        _parsed(*(f"+{NUMBERS.randrange(10**10, 10**12)}" for _ in range(1_000)))


@pytest.mark.parametrize("text", ["+378282246310005", "tel:+378282246310005", "+4222222222222"])
def test_a_plus_sign_makes_no_telephone_number_of_a_card(
    client: FlaskClient, cluster: FakeCluster, staff: dict[str, str], text: str
) -> None:
    body = {"amount": 1050, "currency": "EUR", "payment_method": "tok_visa", "description": text}
    assert _told(client.post("/api/v1/payments", headers=staff, json=body)) == REFUSED
    assert _asked(cluster) == []


@pytest.mark.parametrize("text", [ID, "1767225600000", "+4915112345670", "lot_4242", "order 1234"])
def test_a_query_with_an_id_or_a_time_passes(client: FlaskClient, cluster: FakeCluster, text: str) -> None:
    cluster.answers["users_svc.search_users"] = {"data": [], "next_cursor": None}
    assert client.get("/api/v1/users", query_string={"query": text}).status_code == 200


def test_a_number_is_no_text() -> None:
    """As a number it is nothing that a field for people takes."""
    assert strict_json.parse(f'{{"a": {VISA}}}'.encode()) == {"a": int(VISA)}


@pytest.mark.parametrize("text", ["3 " * MOST_SEARCHED, "3" * (MOST_SEARCHED + 1)])
@pytest.mark.parametrize("escaped", ["", "\\u0033"])
def test_a_body_full_of_digits_keeps_no_process_busy(text: str, escaped: str) -> None:
    body = f'{{"a": "{escaped}{text}"}}'.encode()
    with cpu_below(0.2), pytest.raises(Invalid) as refusal:
        strict_json.parse(body)
    assert refusal.value.code == "unusable_json"


FULL = ["3+" * 500_000, "3" * (MOST_SEARCHED + 1), "3-" * MOST_SEARCHED]


@pytest.mark.parametrize("text", FULL, ids=["spaces", "digits", "dashes"])
@pytest.mark.parametrize("spread", [1, 50], ids=["one value", "many values"])
@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/api/v1/auth/introspect", (400, "invalid_request")),
        ("/api/v1/auth/revoke", (400, "invalid_request")),
        ("/api/v1/users/unsubscribe?token=t", (422, "validation_failed")),
    ],
)
def test_a_form_full_of_digits_keeps_no_process_busy(
    client: FlaskClient, cluster: FakeCluster, path: str, told: tuple[int, str], text: str, spread: int
) -> None:
    size = len(text) // spread + 1
    form = "&".join(f"a{at}={text[at * size : (at + 1) * size]}" for at in range(spread))
    with cpu_below(0.25):
        response = client.post(path, data=form, content_type=FORM)
    assert _told(response) == told
    assert response.json is not None
    assert response.json["errors"][0]["code"] == "too_long"
    assert _asked(cluster) == []


def test_parts_of_a_form_full_of_digits_keep_no_process_busy(client: FlaskClient, cluster: FakeCluster) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\n%b\r\n--b--\r\n' % (b"3 " * 500_000)
    with cpu_below(0.4):
        response = client.post(
            "/api/v1/users/unsubscribe?token=t", data=part, content_type="multipart/form-data; boundary=b"
        )
    assert _told(response) == (422, "validation_failed")
    assert _asked(cluster) == []


def test_a_query_full_of_digits_keeps_no_process_busy(client: FlaskClient, cluster: FakeCluster) -> None:
    response = client.get("/api/v1/users", query_string={"query": "3 " * MOST_SEARCHED})
    assert _told(response) == (422, "validation_failed")
    # Before anybody looks how long it may be.
    assert response.json is not None
    assert [each["pointer"] for each in response.json["errors"]] == [""]
    assert _asked(cluster) == []


def test_a_form_with_nearly_so_many_is_searched(client: FlaskClient, cluster: FakeCluster) -> None:
    form = {"List-Unsubscribe": "One-Click", "a": "3" * (MOST_SEARCHED - 100), "b": SPACED}
    assert _told(client.post("/api/v1/users/unsubscribe?token=t", data=form, content_type=FORM)) == REFUSED


def test_a_body_with_nearly_so_many_is_searched() -> None:
    content = f'{{"a": "{"3" * (MOST_SEARCHED - 100)}", "b": "{VISA}"}}'
    with pytest.raises(CardNumberRefused):
        strict_json.parse(content.encode())


def test_an_ordinary_body_costs_next_to_nothing() -> None:
    body = {"amount": 1050, "currency": "EUR", "payment_method": ID, "description": "Two books", "metadata": {"n": "1"}}
    content = json.dumps(body).encode()
    before = timeit.Timer(lambda: json.loads(content), timer=time.thread_time)
    after = timeit.Timer(lambda: strict_json.parse(content), timer=time.thread_time)
    assert not holds_card_number(content.decode())
    cost = (min(after.repeat(7, 500)) - min(before.repeat(7, 500))) / 500
    # All that is strict about it together.
    assert cost < 40e-6
