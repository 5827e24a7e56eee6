"""Bodies that somebody made on purpose: never an error of ours, never a service's trouble."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from gateway.strict_json import MalformedJson, UnusableJson, parse
from tests.fakes.cluster import FakeCluster
from tests.support.timing import cpu_below

LOGIN = "/api/v1/auth/login"
MALFORMED = {
    "empty": b"",
    "blank": b" \n",
    "text": b"hello",
    "half": b'{"email":"a',
    "two values": b"{}{}",
    "trailing comma": b'{"email":"a",}',
    "comment": b"{/**/}",
    "single quotes": b"{'email':'a'}",
    "NaN": b'{"email":NaN}',
    "Infinity": b'{"email":Infinity}',
    "-Infinity": b'{"email":-Infinity}',
    "BOM": b"\xef\xbb\xbf{}",
    "UTF-16": '{"email":"a"}'.encode("utf-16"),
    "UTF-32": '{"email":"a"}'.encode("utf-32"),
    "latin-1": b'{"email":"\xe9"}',
    "overlong": b'{"email":"\xc0\x80"}',
    "encoded surrogate": b'{"email":"\xed\xa0\x80"}',
    "raw NUL": b'{"email":"a\x00b"}',
    "raw control": b'{"email":"a\nb"}',
    "bad escape": b'{"email":"\\x"}',
    "only NULs": b"\0" * 100,
    "deep in a member": b'{"email":' + b"[" * 33 + b"]" * 33 + b"}",
    "quotes without an end": b'{"a":' + b"{" * 33 + b'"' + b'\\"' * 500_000,
    "deep on both sides": b'{"a":' + b"[" * 500 + b"]" * 500 + b"}",
    "leading zero": b'{"email":01}',
}
UNUSABLE = {
    "array": b"[]",
    "string": b'"a"',
    "number": b"1",
    "null": b"null",
    "true": b"true",
    "duplicate key": b'{"email":"a","email":"b"}',
    "nested duplicate": b'{"email":{"a":1,"a":2}}',
    "duplicate by escape": b'{"email":"a","\\u0065mail":"b"}',
    "1e400": b'{"email":1e400}',
    "-1e400": b'{"email":-1e400}',
    "5000 digits": b'{"email":' + b"9" * 5000 + b"}",
    "wide nesting": b'{"email":[' + b"[]," * 300_000 + b'[]],"password":"x"}',
    "deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "deep and unclosed": b"[" * 500_000,
    "lone high surrogate": b'{"email":"\\ud800"}',
    "lone low surrogate": b'{"email":"\\udc00"}',
    "surrogate key": b'{"\\ud800":1}',
    "swapped surrogates": b'{"email":"\\udc00\\ud800"}',
}
REFUSED_BY_SHAPE = {
    "escaped NUL": b'{"email":"a\\u0000","password":"x"}',
    "big number": b'{"email":' + b"9" * 4000 + b',"password":"x"}',
    "a million elements": b'{"email":[' + b"1," * 400_000 + b'1],"password":"x"}',
    "many keys": json.dumps({f"k{n}": 1 for n in range(50_000)}).encode(),
    "long string": b'{"email":"' + b"a" * 1_000_000 + b'","password":"x"}',
    "prototype": b'{"__proto__":{"admin":true},"email":"a","password":"b"}',
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_not_json_is_400(client: FlaskClient, cluster: FakeCluster, name: str) -> None:
    response = client.post(LOGIN, data=MALFORMED[name], content_type="application/json")
    assert response.status_code == 400
    assert response.json is not None
    assert response.json["code"] == "malformed_json"
    assert not cluster.calls


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_is_json_and_unusable_is_422(client: FlaskClient, cluster: FakeCluster, name: str) -> None:
    response = client.post(LOGIN, data=UNUSABLE[name], content_type="application/json")
    assert response.status_code == 422
    assert response.json is not None
    assert response.json["code"] == "unusable_json"
    assert not cluster.calls


@pytest.mark.parametrize("name", REFUSED_BY_SHAPE)
def test_what_does_not_fit_is_422_and_quick(client: FlaskClient, cluster: FakeCluster, name: str) -> None:
    with cpu_below(0.5):
        response = client.post(LOGIN, data=REFUSED_BY_SHAPE[name], content_type="application/json")
    assert response.status_code == 422
    assert len(response.data) < 20_000
    assert not cluster.calls


@pytest.mark.parametrize(
    "name", ["deep arrays", "deep objects", "deep and unclosed", "wide nesting", "quotes without an end"]
)
def test_nesting_costs_next_to_nothing(name: str) -> None:
    body = (MALFORMED | UNUSABLE)[name]
    with cpu_below(0.1), pytest.raises((MalformedJson, UnusableJson)):
        parse(body)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}',
        '{"a":"\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}',
        '{"a":"\\\\","b":"{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{"}',
        '{"a":[' + ",".join(["{}"] * 100) + "]}",
        '{"a":' + "[" * 31 + "]" * 31 + "}",
    ],
)
def test_brackets_in_strings_and_side_by_side_are_no_nesting(text: str) -> None:
    assert parse(text.encode()) == json.loads(text)


@pytest.mark.parametrize("value", ['"\\ud83d\\ude00"', '"😀"', "1e308", "-0.0", '"\\ufeff"'])
def test_what_looks_odd_and_is_fine(value: str) -> None:
    text = f'{{"a":{value}}}'
    assert parse(text.encode()) == json.loads(text)


_json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), _json_values, max_size=5), st.booleans())
def test_any_json_object_is_read_as_it_is(value: dict[str, Any], ascii_only: bool) -> None:
    assert parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        value = parse(body)
    except (MalformedJson, UnusableJson):
        return
    assert value == json.loads(body)


def test_a_body_of_more_than_a_mebibyte_is_413(client: FlaskClient, cluster: FakeCluster) -> None:
    response = client.post(LOGIN, data=b" " * (1024 * 1024 + 1), content_type="application/json")
    assert response.status_code == 413
    assert response.headers["Connection"] == "close"
    assert not cluster.calls


def test_a_body_of_a_mebibyte_is_read(client: FlaskClient) -> None:
    body = b'{"email":"a"}'.ljust(1024 * 1024)
    assert client.post(LOGIN, data=body, content_type="application/json").status_code == 422


class _Endless:
    """A stream of a client that does not say how much it sends, and sends for ever."""

    def __init__(self) -> None:
        self.read_bytes = 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "somebody wants all of it"
        self.read_bytes += size
        return b"x" * size


def test_an_endless_body_is_given_up(client: FlaskClient) -> None:
    stream = _Endless()
    response = client.post(
        LOGIN,
        content_type="application/json",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input": stream, "wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )
    assert response.status_code == 413
    assert stream.read_bytes < 18 * 1024 * 1024


def test_a_body_that_ends_too_early_is_400(client: FlaskClient) -> None:
    response = client.post(
        LOGIN, data=b'{"email":"a"}', content_type="application/json", environ_overrides={"CONTENT_LENGTH": "99"}
    )
    assert response.status_code == 400
    assert response.json is not None
    assert response.json["code"] == "incomplete_body"


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "99999999999999999999"])
def test_a_length_that_is_none(client: FlaskClient, length: str) -> None:
    response = client.post(
        LOGIN, data=b"{}", content_type="application/json", environ_overrides={"CONTENT_LENGTH": length}
    )
    assert response.status_code in (400, 413, 422)


def test_a_body_where_none_is_needed_is_not_looked_at(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]
) -> None:
    cluster.answers["auth_svc.logout"] = {}
    response = client.post("/api/v1/auth/logout", data=b"\xff{", content_type="application/json", headers=bearer)
    assert response.status_code == 204
