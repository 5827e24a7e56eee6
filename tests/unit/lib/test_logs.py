"""Logs: no secret gets out, and what is no secret stays readable."""

import io
import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import context, logs
from lib.context import Actor, CallContext
from lib.logs import HIDDEN, redact
from tests.support.timing import cpu_below

JWT = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIn0.eyJzdWIiOiJhMSJ9.c2lnbmF0dXJl"
ARGON = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (JWT, HIDDEN),
        (f"got {JWT} from a client", f"got {HIDDEN} from a client"),
        (f"{JWT} and {JWT}", f"{HIDDEN} and {HIDDEN}"),
        ("Authorization: Bearer abcdefgh12345", f"Authorization: {HIDDEN}"),
        ("bearer   abcdefgh12345=", HIDDEN),
        ("amqp://user:hunter2@host:5672/v", f"amqp://{HIDDEN}@host:5672/v"),
        ("postgresql+psycopg2://u:p%40ss@h/d", f"postgresql+psycopg2://{HIDDEN}@h/d"),
        ("password=hunter2", f"password={HIDDEN}"),
        ("password = hunter2, next", f"password = {HIDDEN}, next"),
        ("host=h password=hunter2 dbname=d", f"host=h password={HIDDEN} dbname=d"),
        ("{'password': 'hunter2', 'name': 'ada'}", f"{{'password': {HIDDEN}, 'name': 'ada'}}"),
        ('{"api_key": "hunter2"}', f'{{"api_key": {HIDDEN}}}'),
        ("client_secret=hunter2;x", f"client_secret={HIDDEN};x"),
        ("PASSWORD: hunter2", f"PASSWORD: {HIDDEN}"),
        (f"verify {ARGON} failed", f"verify {HIDDEN} failed"),
    ],
)
def test_secrets_in_a_text(text, shown):
    assert redact(text) == shown
    assert "hunter2" not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing to hide",
        "http://localhost:3000/api/v1/users?page=2",
        "amqp://rabbitmq:5672/vhost",
        "mail to ada@example.org: done",
        "2026-01-31T12:00:00Z GET /health 200 in 1.5 ms",
        "the bearer of news",
        "0198c0de-0000-7000-8000-000000000001",
        "the password was wrong",
        "eyJ is how a token begins",
        "argon2 took 20 ms",
        "a.b.c",
    ],
)
def test_harmless_texts_stay_as_they_are(text):
    assert redact(text) == text


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "new_password",
        "Authorization",
        "access_token",
        "refreshToken",
        "cookie",
        "Set-Cookie",
        "client_secret",
        "SECRET_KEY",
        "api_key",
        "api-key",
        "apikey",
        "private_key",
        "credentials",
        "recovery_code",
        "otp",
    ],
)
@pytest.mark.parametrize("value", ["hunter2", 123456, None, ["hunter2"], {"a": "hunter2"}])
def test_what_a_secret_name_stands_for_is_hidden_whatever_it_is(name, value):
    assert redact({name: value, "id": 5}) == {name: HIDDEN, "id": 5}


@pytest.mark.parametrize("name", ["name", "id", "status", "token_type", "tokens_checked", "email_verified", "key_id"])
def test_other_names_are_not_hidden(name):
    assert redact({name: "value"}) == {name: "value"}


def test_secrets_are_found_at_any_depth():
    value = {"a": [{"b": ({"password": "hunter2"}, f"x {JWT}")}], "n": 5, "none": None, "f": 1.5, "t": True}
    assert redact(value) == {
        "a": [{"b": [{"password": HIDDEN}, f"x {HIDDEN}"]}],
        "n": 5,
        "none": None,
        "f": 1.5,
        "t": True,
    }


def test_redacting_changes_a_copy():
    value = {"password": "hunter2", "list": [JWT]}
    redact(value)
    assert value == {"password": "hunter2", "list": [JWT]}


fragments = st.sampled_from(
    ["password", "Password", "PASSWORD", "secret", "api_key", "API-KEY", "ApiKey", "bearer ", "Bearer ", "BEARER  ",
     "=", ": ", "hunter2hunter2", JWT, ARGON, "://", "u:p@h", " ", "x", "ass", "'", '"']
)  # fmt: skip


@settings(max_examples=500)
@given(st.lists(fragments, max_size=8).map("".join))
def test_the_short_cut_for_harmless_texts_misses_nothing(text):
    assert redact(text) == logs.SECRET_VALUES.sub(logs._hide, text)


@pytest.mark.parametrize("text", ["pAssword=hunter2", "Bearer\thunter2hunter2", "BeareR hunter2hunter2"])
def test_the_short_cut_knows_every_spelling_that_the_pattern_knows(text):
    assert redact(text) == logs.SECRET_VALUES.sub(logs._hide, text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            text
            for text in ("key " + "a" * 8000, "password" * 1000, "token" * 1600, "authorization" * 600, "eyJ" * 4000)
        ),
        "://" * 2000,
        "://" + "a:" * 3000,
        "bearer" + " " * 6000,
        "password" + " " * 6000,
        "$argon2" * 850,
        'token="' * 800,
    ],
    ids=lambda text: text[:14].strip(),
)
def test_a_long_text_costs_no_time_to_speak_of(text):
    with cpu_below(0.15):
        redact(text)


plain = st.recursive(
    # Integers of 13 digits and more may happen to be card numbers.
    st.none() | st.booleans() | st.integers(1 - 10**12, 10**12 - 1) | st.text(alphabet="abc xyz-./", max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "name", "n"]), inner),
    max_leaves=8,
)


@given(plain)
def test_what_holds_no_secret_is_unchanged(value):
    assert redact(value) == value


@given(plain, st.sampled_from([JWT, ARGON, "password=hunter2", "bearer hunter2hunter2"]))
def test_redacting_twice_is_redacting_once(value, secret):
    once = redact([value, secret, {"token": value}])
    assert redact(once) == once


@pytest.mark.parametrize(
    "value",
    [
        "redis://:hunter2@redis:6379/0",
        "amqp://user:x@hunter2@host/",
        "refresh_token=hunter2hunter2",
        "Authorization: Basic dTpodW50ZXIy-hunter2",
        "password='hun ter2 hunter2'",
        {"error": ValueError("amqp://u:hunter2@h/")},
        {"body": b"password=hunter2"},
        {"names": {"password=hunter2"}},
    ],
)
def test_more_secrets(value):
    assert "hunter2" not in repr(redact(value))


# --- the whole chain ------------------------------------------------------------------------------------------------


@pytest.fixture
def lines(monkeypatch):
    """The log lines of this process as an operator gets them, parsed."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr(logs, "_lines", None)
    logs.configure(service="some_svc", level="DEBUG", fmt="json")
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line_says_which_service_and_which_request(lines):
    with context.using(CallContext("req", Actor("account", id="a1"), access_token=JWT, traceparent="00-t")):
        logging.getLogger("somebody").info("did %s", "it")
    (line,) = lines()
    assert {name: line[name] for name in ("service", "request_id", "actor", "traceparent", "event", "level")} == {
        "service": "some_svc",
        "request_id": "req",
        "actor": "a1",
        "traceparent": "00-t",
        "event": "did it",
        "level": "info",
    }


def test_a_library_s_traceback_is_redacted(lines):
    try:
        raise ValueError("postgresql://u:hunter2@db is away")
    except ValueError:
        logging.getLogger("library").exception("failed with password=%s", "hunter2")
    (line,) = lines()
    assert "ValueError" in line["exception"]
    assert "hunter2" not in json.dumps(line)


def test_a_structured_line_is_redacted(lines):
    logs.get("ours").warning("signed in", password="hunter2", nested={"authorization": "hunter2"}, note=f"got {JWT}")
    (line,) = lines()
    assert line["event"] == "signed in"
    assert "hunter2" not in json.dumps(line)
    assert JWT not in json.dumps(line)


def test_a_library_that_logs_a_mapping_is_redacted(lines):
    logging.getLogger("library").info({"password": "hunter2"})
    (line,) = lines()
    assert "hunter2" not in json.dumps(line)
    assert line["service"] == "some_svc"


def test_an_error_as_a_value_is_redacted(lines):
    logs.get("ours").warning("failed", error=ValueError("amqp://u:hunter2@h/"))
    assert "hunter2" not in json.dumps(lines())


def test_outside_of_a_call_there_is_no_request_id(lines):
    context.enter(None)
    logging.getLogger("somebody").info("started")
    assert "request_id" not in lines()[0]


@pytest.mark.parametrize(("name", "shown"), [("amqp", False), ("kombu.connection", False), ("lib.relay", True)])
def test_libraries_that_talk_too_much_are_quiet(lines, name, shown):
    logging.getLogger(name).debug("frame")
    assert bool(lines()) is shown


# --- lines of ours, past the chain ---


def test_a_told_line_is_like_any_other(lines):
    call = CallContext("req", Actor("account", id="a1"), access_token=JWT, traceparent="00-t")
    with context.using(call):
        logging.getLogger("somebody").info("did it in 1.5 ms")
        logs.tell(logging.getLogger("somebody"), "did it in 1.5 ms")
    logs.tell(logging.getLogger("somebody"), "did it again")
    usual, told, outside = lines()
    assert {**told, "timestamp": ""} == {**usual, "timestamp": ""}
    assert list(told) == list(usual)
    assert usual["timestamp"] <= told["timestamp"]
    assert set(outside) == {"timestamp", "level", "logger", "event", "service"}


def test_a_line_that_nobody_wants_is_not_written(lines):
    logger = logging.getLogger("somebody.quiet")
    logger.setLevel(logging.WARNING)
    logs.tell(logger, "did it")
    assert lines() == []


@pytest.mark.usefixtures("lines")
def test_nobody_fails_because_nobody_reads(monkeypatch):
    class Closed(io.StringIO):
        def write(self, _text):
            raise BrokenPipeError

    monkeypatch.setattr(logs, "_lines", Closed())
    logs.tell(logging.getLogger("somebody"), "did it")
    monkeypatch.setattr(logs, "_lines", io.StringIO())
    logs._lines.close()
    logs.tell(logging.getLogger("somebody"), "did it")


@pytest.mark.usefixtures("lines")
def test_a_console_shows_what_is_told_like_any_other_line():
    logs.configure(service="some_svc", level="INFO", fmt="console")
    out = io.StringIO()
    logging.getLogger().handlers[0].setStream(out)
    logs.tell(logging.getLogger("somebody"), "did 100% of it")
    assert "did 100% of it" in out.getvalue()
