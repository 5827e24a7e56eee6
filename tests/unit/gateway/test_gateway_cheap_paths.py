"""What the gateway leaves out of ordinary requests, and that nobody can tell."""

import inspect
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError, fields, validates_schema

from gateway.access_log import StreamAccessLog
from gateway.answers import answer, nothing
from gateway.fields import Choice, Shape, Text, Whole
from gateway.routes.auth import CREDENTIALS, REFRESHING, REGISTRATION
from gateway.routes.users import NEW_USER, PROFILE
from lib.context import Actor, CallContext

# --- an answer is handed to the server in one piece ------------------------------------------------------------------


def served(app: Any, method: str, path: str, **headers: str) -> tuple[str, Any]:
    """Call the application as a server does."""
    told: list[str] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "3000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        **headers,
    }
    parts = app(environ, lambda status, _headers, *_: told.append(status))
    return told[0][:3], parts


@pytest.mark.parametrize(
    ("method", "path", "status", "has_body"),
    [
        ("GET", "/health/live", "200", True),
        ("HEAD", "/health/live", "200", False),
        ("GET", "/nowhere", "404", True),
        ("GET", "/users/profile", "401", True),
    ],
)
def test_the_server_gets_a_list_which_it_sends_at_once(configure, method, path, status, has_body):
    got, parts = served(configure(), method, path)
    assert got == status
    assert type(parts) is list
    assert bool(b"".join(parts)) is has_body


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_none(configure, status):
    with configure().test_request_context():
        response = nothing()
        response.status_code = status
        assert response.get_app_iter({"REQUEST_METHOD": "GET"}) == []
        assert "Content-Length" not in response.headers


def test_who_waits_for_the_end_of_an_answer_is_told(configure):
    ended = []
    with configure().test_request_context():
        response = answer({})
        response.call_on_close(lambda: ended.append(True))
        parts = response.get_app_iter({"REQUEST_METHOD": "GET"})
        assert isinstance(parts, Iterator)
        assert b"".join(parts) == b"{}"
        parts.close()
    assert ended == [True]


# --- no function is a coroutine --------------------------------------------------------------------------------------


def test_flask_is_right_not_to_look_for_coroutines(configure):
    app = configure()
    around = [app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs]
    handlers = [
        each for codes in app.error_handler_spec.values() for kinds in codes.values() for each in kinds.values()
    ]
    found = [each for kind in around for functions in kind.values() for each in functions]
    assert len(app.view_functions) > 50
    assert not [each for each in (*app.view_functions.values(), *found, *handlers) if inspect.iscoroutinefunction(each)]


# --- texts that are all good -----------------------------------------------------------------------------------------


class Sample(Shape):
    needed = Text(required=True, longest=5, shortest=2)
    other = Text(longest=3)


class Hooked(Sample):
    @validates_schema
    def check(self, data: Any, **_: Any) -> None:
        raise ValidationError("never: not with this")


WORDS = st.text(max_size=7) | st.sampled_from(["\0", "\ud800", "ab", "abcde", "abcdef", "a"])
DATA = st.dictionaries(
    st.sampled_from(["needed", "other", "unknown"]), WORDS | st.none() | st.integers() | st.lists(WORDS), max_size=3
)


def outcome(load: Any, data: Any) -> Any:
    try:
        return load(data)
    except ValidationError as exc:
        return exc.messages


@given(DATA)
@example({"needed": "ab"})
@example({"needed": "abcde", "other": "abc"})
@example({"needed": "abcdef"})
@example({"other": "abc"})
@example({"needed": "ab", "other": None})
@example({"needed": "ab", "unknown": "x"})
@example({"needed": "a\0"})
def test_texts_are_loaded_as_marshmallow_loads_them(data):
    shape = Sample()
    assert shape._texts is not None
    assert outcome(shape.load, data) == outcome(lambda value: Schema.load(shape, value), data)


@pytest.mark.parametrize("data", [None, [], "text", 7, {}])
def test_what_is_no_object_is_marshmallows(data):
    shape = Sample()
    assert outcome(shape.load, data) == outcome(lambda value: Schema.load(shape, value), data)


@pytest.mark.parametrize("shape", [CREDENTIALS, REFRESHING, REGISTRATION, NEW_USER])
def test_the_shapes_of_busy_routes_are_texts(shape):
    assert shape._texts


@pytest.mark.parametrize(
    "field",
    [
        Text(longest=3, allow_none=True),
        Text(longest=3, load_default="x"),
        Text(longest=3, data_key="other"),
        Text(longest=3, attribute="other"),
        Choice("a", "b"),
        Whole(),
        fields.String(),
    ],
)
def test_a_field_that_does_more_than_check_takes_the_whole_shape_to_marshmallow(field):
    assert Shape.from_dict({"field": field})()._texts is None


def test_so_does_a_shape_with_checks_of_its_own_or_made_otherwise():
    assert PROFILE._texts is None
    assert Hooked()._texts is None
    assert Sample(many=True)._texts is None
    assert Sample(partial=True)._texts is None
    assert Sample(unknown="exclude")._texts is None
    assert Sample().load({}, partial=True) == {}


# --- the line of a request -------------------------------------------------------------------------------------------


@given(
    st.sampled_from(["GET", "POST", "BREW"]),
    st.none() | st.text(),
    st.integers(100, 599),
    st.text(),
    st.none() | st.text(),
    st.none() | st.text(),
)
def test_a_line_is_json_whatever_its_values_are(method, route, status, request_id, actor, trace):
    stream = io.StringIO()
    who = Actor("account", id=actor) if actor is not None else Actor("anonymous")
    call = CallContext(request_id, who, traceparent=trace)
    StreamAccessLog("json", stream).write(call, method, route, status, 0.01234)
    (line,) = stream.getvalue().split("\n")[:-1]
    told = json.loads(line)
    assert told.pop("timestamp").endswith("Z")
    expected = {
        "method": "_OTHER" if method == "BREW" else method,
        "route": route,
        "status": status,
        "ms": 12.3,
        "event": "request",
        "level": "info",
        "logger": "gateway.access",
        "service": "gateway",
        "request_id": request_id,
        **({"actor": actor} if actor is not None else {}),
        **({"traceparent": trace} if trace is not None else {}),
    }
    assert told == expected
