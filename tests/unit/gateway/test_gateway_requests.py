"""Around every request: ids, traces, languages, log lines."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway.access_log import StreamAccessLog
from gateway.lifecycle import continued, first_language
from gateway.shapes import EXAMPLES
from lib import context
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import USER_ID, Configure, Issuer

USER = f"/api/v1/users/{USER_ID}"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture(autouse=True)
def _user(cluster: FakeCluster) -> None:
    cluster.answers["users_svc.get_user"] = EXAMPLES["PublicProfile"]


@pytest.mark.parametrize("given", ["a", "abc-123_X.y", "x" * 64])
def test_a_request_keeps_the_id_it_came_with(client: FlaskClient, cluster: FakeCluster, given: str) -> None:
    response = client.get(USER, headers={"X-Request-ID": given})
    assert response.headers["X-Request-ID"] == given
    assert cluster.calls[-1].context.correlation_id == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a;b", "é", "a\tb", '"a"', "a\x1bb"])
def test_an_id_that_is_none_is_replaced(client: FlaskClient, cluster: FakeCluster, given: str) -> None:
    response = client.get(USER, headers={"X-Request-ID": given.encode().decode("latin-1")})
    made = response.headers["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)
    assert cluster.calls[-1].context.correlation_id == made


def test_two_requests_have_two_ids(client: FlaskClient) -> None:
    ids = {client.get(USER).headers["X-Request-ID"] for _ in range(5)}
    assert len(ids) == 5


def test_errors_carry_the_id_as_well(client: FlaskClient) -> None:
    response = client.get("/api/v1/nowhere", headers={"X-Request-ID": "mine"})
    assert response.headers["X-Request-ID"] == "mine"
    assert response.json is not None
    assert response.json["request_id"] == "mine"


def test_a_trace_is_continued_with_a_span_of_our_own(client: FlaskClient, cluster: FakeCluster) -> None:
    client.get(USER, headers={"traceparent": TRACEPARENT})
    traceparent = cluster.calls[-1].context.traceparent
    assert traceparent is not None
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-01", traceparent)
    assert traceparent != TRACEPARENT


def test_a_later_version_of_traces_is_continued_as_far_as_it_is_known() -> None:
    assert str(continued(f"cc-{TRACE}-00f067aa0ba902b7-01-more")).startswith(f"00-{TRACE}-")


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "junk",
        TRACEPARENT.upper(),
        TRACEPARENT + "-more",
        TRACEPARENT + " ",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-00f067aa0ba902b7-01",
        "00-\u0661" * 10,
    ],
)
def test_junk_is_no_trace(junk: str) -> None:
    assert continued(junk) is None


def test_a_request_with_a_junk_trace_is_served(client: FlaskClient, cluster: FakeCluster) -> None:
    assert client.get(USER, headers={"traceparent": "junk"}).status_code == 200
    assert cluster.calls[-1].context.traceparent is None


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de", "de"),
        ("de-CH, en;q=0.5", "de-CH"),
        ("en;q=0.5", "en"),
        ("zh-Hant-TW", "zh-Hant-TW"),
        ("*", None),
        ("", None),
        ("x" * 1000, None),
        ("<script>", None),
    ],
)
def test_the_first_language_travels(accepted: str, language: str | None) -> None:
    assert first_language(accepted) == language


def test_the_language_reaches_the_services(client: FlaskClient, cluster: FakeCluster) -> None:
    client.get(USER, headers={"Accept-Language": "de-CH, de;q=0.9"})
    assert cluster.calls[-1].context.locale == "de-CH"


@pytest.mark.parametrize(
    "sent, told",
    [("curl/8.5.0", "curl/8.5.0"), ("a\tb\x01", "ab"), ("x" * 500, "x" * 256), ("\x01", None), ("", None)],
)
def test_where_a_request_comes_from_reaches_the_services(
    client: FlaskClient, cluster: FakeCluster, sent: str, told: str | None
) -> None:
    # As the server hands it over: a test client would refuse to send some of it.
    client.get(USER, environ_overrides={"HTTP_USER_AGENT": sent, "REMOTE_ADDR": "192.0.2.7"})
    assert (cluster.calls[-1].context.client_ip, cluster.calls[-1].context.user_agent) == ("192.0.2.7", told)


def test_a_thread_keeps_nothing_of_its_last_request(client: FlaskClient) -> None:
    client.get(USER)
    assert context.current_or_none() is None


# --- log lines ---


@pytest.fixture
def lines(configure: Configure, cluster: FakeCluster) -> Callable[..., list[str]]:
    """Return a function that makes requests and gives the lines that they left."""

    def ask(fmt: str, path: str, **kwargs: Any) -> list[str]:
        stream = io.StringIO()
        configure(access_log=StreamAccessLog(fmt, stream)).test_client().open(path, **kwargs)
        assert not stream.getvalue() or stream.getvalue().endswith("\n")
        return stream.getvalue().splitlines()

    return ask


def test_each_request_leaves_a_line_without_what_it_carried(
    lines: Callable[..., list[str]], bearer: dict[str, str]
) -> None:
    headers = {**bearer, "X-Request-ID": "mine", "traceparent": TRACEPARENT}
    (line,) = lines("json", f"{USER}?secret=hunter2", headers=headers)
    values = json.loads(line)
    assert values.pop("ms") >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", values.pop("timestamp"))
    assert values.pop("traceparent").startswith(f"00-{TRACE}-")
    assert values == {
        "event": "request",
        "level": "info",
        "logger": "gateway.access",
        "service": "gateway",
        "method": "GET",
        "route": "/api/v1/users/<id:user_id>",
        "status": 200,
        "actor": USER_ID,
        "request_id": "mine",
    }


def test_the_line_for_people_has_the_same_in_it(lines: Callable[..., list[str]], bearer: dict[str, str]) -> None:
    (line,) = lines("console", USER, headers={**bearer, "X-Request-ID": "mine"})
    assert 'request method="GET" route="/api/v1/users/<id:user_id>" status=200 ms=' in line
    assert line.endswith(f'actor="{USER_ID}" request_id=mine')


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_nobody_writes_into_the_log_by_asking(lines: Callable[..., list[str]], issuer: Issuer, fmt: str) -> None:
    token = issuer.token(sub='x"\n{"event":"forged"}')
    headers = {"Authorization": f"Bearer {token}", "X-Request-ID": 'a"b'}
    (line,) = lines(fmt, USER, method="GET", headers=headers)
    assert "\n" not in line
    (line,) = lines(fmt, "/nowhere/secret-in-path", method="BREW")
    assert "secret-in-path" not in line
    assert "BREW" not in line


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/metrics"])
def test_what_machines_ask_all_the_time_is_not_logged(lines: Callable[..., list[str]], path: str) -> None:
    assert lines("json", path) == []


def test_log_lines_of_a_request_say_whose_it_is(
    client: FlaskClient, bearer: dict[str, str], cluster: FakeCluster
) -> None:
    seen: list[Any] = []

    def remember(**_: Any) -> Fault:
        seen.append(context.current())
        return Fault("not_found", "account_not_found", "gone")

    cluster.answers["auth_svc.get_account"] = remember
    client.get("/api/v1/auth/me", headers={**bearer, "X-Request-ID": "mine"})
    # `lib.logs` takes the ids from the current context.
    assert (seen[0].actor.id, seen[0].correlation_id) == (USER_ID, "mine")
