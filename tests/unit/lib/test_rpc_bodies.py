"""Bodies: whatever is sent or read, it is as if Kombu had done it."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu import serialization
from kombu.exceptions import ContentDisallowed, DecodeError, EncodeError

from lib.rpc_bodies import Bodies, decoded

BODIES = Bodies("json")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.datetimes() | st.uuids(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def reply(body, content_type="application/json", encoding="utf-8"):
    return SimpleNamespace(body=body, properties={"content_type": content_type, "content_encoding": encoding})


def as_kombu(message):
    told = message.properties
    accept = serialization.prepare_accept_content(["json"])
    return serialization.loads(message.body, told["content_type"], told["content_encoding"], accept=accept)


@given(VALUES)
def test_what_is_written_and_read_is_what_kombu_writes_and_reads(value):
    content_type, encoding, body = BODIES.encoded({"args": [], "kwargs": {"value": value}})
    assert (content_type, encoding, body) == serialization.dumps({"args": [], "kwargs": {"value": value}}, "json")
    message = reply(body.encode())
    assert BODIES.decoded(message) == as_kombu(message) == {"args": [], "kwargs": {"value": value}}


@pytest.mark.parametrize("value", [Decimal("1.10"), UUID(int=7), datetime(2026, 1, 2, tzinfo=UTC), b"bytes"])
@pytest.mark.parametrize("escape", [False, True])
def test_values_that_json_does_not_have_come_back_however_their_mark_is_written(value, escape):
    _, _, body = BODIES.encoded({"result": value})
    if escape:
        body = body.replace("__type__", "\\u005f\\u005ftyp\\u0065__")
    assert BODIES.decoded(reply(body.encode())) == {"result": value}


@pytest.mark.parametrize("value", [object(), {1, 2}, {("a", "b"): 1}])
def test_what_cannot_be_written_is_refused_as_kombu_refuses_it(value):
    with pytest.raises(EncodeError):
        BODIES.encoded({"value": value})


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b"", '{"a": 1}'.encode("utf-16"), b'{"__type__": "x", "__value__": 1}']
)
def test_what_cannot_be_read_is_never_a_mapping(body):
    try:
        found = BODIES.decoded(reply(body))
    except (ValueError, DecodeError):
        return
    assert not isinstance(found, dict)


def test_a_type_that_is_not_ours_is_refused():
    with pytest.raises(ContentDisallowed):
        BODIES.decoded(reply(b"{}", "application/x-python-serialize"))
    with pytest.raises(ContentDisallowed):
        Bodies("yaml").decoded(reply(b"{}"))


def test_another_serializer_writes_its_own_form():
    content_type, _, body = Bodies("yaml").encoded({"a": 1})
    assert content_type == "application/x-yaml"
    assert body == serialization.dumps({"a": 1}, "yaml")[2] != json.dumps({"a": 1})


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", None, "utf-16", "latin-1"])
@pytest.mark.parametrize("text", ['{"a": "e"}', '{"a": "é"}'])
def test_whatever_encoding_is_named_it_is_read_as_kombu_reads_it(encoding, text):
    message = reply(text.encode(encoding or "utf-8"), encoding=encoding)
    try:
        expected = as_kombu(message)
    except DecodeError:
        with pytest.raises(DecodeError):
            BODIES.decoded(message)
    else:
        assert BODIES.decoded(message) == expected == json.loads(text)


@pytest.mark.parametrize("accept", [None, {"application/json"}])
def test_whoever_takes_all_types_takes_json(accept):
    assert decoded(b'{"a": 1}', "application/json", "utf-8", accept=accept) == {"a": 1}
