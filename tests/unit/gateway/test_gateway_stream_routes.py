"""The route of streams: what it asks, and what it answers at once."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from nameko.exceptions import RpcTimeout
from werkzeug.test import TestResponse

from gateway.access_log import StreamAccessLog
from gateway.feed import PAGE
from gateway.state import EXTENSION, Gateway
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import Configure, Issuer
from tests.unit.gateway.revoking import USER_ID

STREAM, AFTER = "/api/v1/users/notifications/stream", "users_svc.notifications_after"


def news(*numbers: int, last: int = 9) -> dict[str, Any]:
    return {"data": [{"number": number} for number in numbers], "last": last, "unread": 0}


@pytest.fixture(scope="module")
def small(configure: Configure) -> Flask:
    """An application with two places, that works on one request at a time."""
    return configure(STREAMS=2, GATEWAY_THREADS=1)


@pytest.fixture
def app(small: Flask, cluster: FakeCluster) -> Flask:
    cluster.answers[AFTER] = news()
    return small


@pytest.fixture
def own(app: Flask) -> Iterator[Gateway]:
    """The application's record; no test may leave a place taken."""
    found: Gateway = app.extensions[EXTENSION]
    yield found
    assert found.streams.count == 0


@pytest.fixture
def listener(app: Flask) -> FlaskClient:
    """A client that does not read its answers to their ends, as these have none."""
    return FlaskClient(app)


def chunks(response: TestResponse, count: int) -> list[bytes]:
    """Return the first chunks, and go away."""
    body = response.iter_encoded()
    found = [next(body) for _ in range(count)]
    response.close()
    return found


def test_a_stream_begins_with_what_is_new_from_now_on(
    listener: FlaskClient, own: Gateway, cluster: FakeCluster, bearer: dict[str, str]
) -> None:
    response = listener.get(STREAM, headers=bearer)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.headers["X-Request-ID"]
    assert "Content-Length" not in response.headers
    assert own.streams.count == 1
    assert chunks(response, 1) == [b"retry: 2000\nid: 9\n\n"]
    assert cluster.called(AFTER) == [{"user_id": USER_ID, "number": None, "limit": PAGE}]


def test_what_comes_while_the_service_answers_is_asked_for(
    listener: FlaskClient, own: Gateway, cluster: FakeCluster, bearer: dict[str, str]
) -> None:
    def answering(**_: Any) -> dict[str, Any]:
        # The event of number 10 comes when the answer has been made, and is on its way.
        own.streams.wake(USER_ID)
        cluster.answers[AFTER] = news(10, last=10)
        return news()

    cluster.answers[AFTER] = answering
    response = listener.get(STREAM, headers=bearer)
    assert chunks(response, 3)[2].startswith(b"id: 10\n")


@pytest.mark.parametrize(("given", "start"), [("0", 0), ("7", 7), ("007", 7), ("9", 9), ("999999999999999", 9)])
def test_a_stream_is_resumed_after_the_last_event(
    listener: FlaskClient, own: Gateway, cluster: FakeCluster, bearer: dict[str, str], given: str, start: int
) -> None:
    response = listener.get(STREAM, headers={**bearer, "Last-Event-ID": given})
    assert chunks(response, 1) == [b"retry: 2000\nid: %d\n\n" % start]
    assert cluster.called(AFTER)[0]["number"] == int(given)
    assert own.streams.count == 0


@pytest.mark.parametrize("given", ["", " ", "x", "-1", "1.0", "1e3", "0x1", "1 2", "٣", "1" * 16, "null", "9" * 5000])
def test_an_id_that_is_none_of_ours_is_refused(
    client: FlaskClient, own: Gateway, cluster: FakeCluster, bearer: dict[str, str], given: str
) -> None:
    response = client.get(STREAM, headers={**bearer, "Last-Event-ID": given.encode().decode("latin-1")})
    assert response.status_code == 400
    assert response.json is not None
    assert response.json["code"] == "invalid_last_event_id"
    assert not cluster.called(AFTER)


@pytest.mark.parametrize("path", [STREAM, f"{STREAM}?access_token={{token}}", f"{STREAM}?token={{token}}"])
def test_the_token_is_taken_from_the_header_only(
    client: FlaskClient, own: Gateway, cluster: FakeCluster, issuer: Issuer, path: str
) -> None:
    response = client.get(path.format(token=issuer.token()))
    assert response.status_code == 401
    assert response.json is not None
    assert response.json["code"] == "unauthenticated"
    assert not cluster.calls


def test_a_token_that_is_no_good_is_refused(client: FlaskClient, own: Gateway, stranger: Issuer) -> None:
    response = client.get(STREAM, headers={"Authorization": f"Bearer {stranger.token()}"})
    assert response.status_code == 401
    assert response.json is not None
    assert response.json["code"] == "invalid_token"


def test_above_the_places_it_is_503(
    listener: FlaskClient, client: FlaskClient, own: Gateway, issuer: Issuer, bearer: dict[str, str]
) -> None:
    held = [listener.get(STREAM, headers=bearer) for _ in range(2)]
    response = client.get(STREAM, headers=bearer)
    assert response.status_code == 503
    assert response.json is not None
    assert response.json["code"] == "too_many_streams"
    assert int(response.headers["Retry-After"]) > 0
    for each in held:
        each.close()
    assert chunks(listener.get(STREAM, headers=bearer), 1)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Fault("unavailable", "database_slow"), 503, "database_slow"),
        (Fault("not_found", "user_not_found"), 404, "user_not_found"),
        (RpcTimeout("5"), 504, "timeout"),
        (KeyError("x"), 500, "internal_error"),
    ],
)
def test_a_service_that_cannot_answer_is_told_at_once_and_takes_no_place(
    client: FlaskClient,
    own: Gateway,
    cluster: FakeCluster,
    bearer: dict[str, str],
    error: Exception,
    status: int,
    code: str,
) -> None:
    cluster.answers[AFTER] = error
    response = client.get(STREAM, headers=bearer)
    assert response.status_code == status
    assert response.json is not None
    assert response.json["code"] == code
    assert own.streams.count == 0


def test_only_its_headers_can_be_asked_for(
    client: FlaskClient, own: Gateway, cluster: FakeCluster, bearer: dict[str, str]
) -> None:
    response = client.head(STREAM, headers=bearer)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/event-stream"
    assert not cluster.called(AFTER)
    assert client.head(STREAM).status_code == 401


def test_an_open_stream_has_given_its_turn_to_others(
    listener: FlaskClient, client: FlaskClient, own: Gateway, bearer: dict[str, str]
) -> None:
    """One request is worked on at a time here."""
    held = [listener.get(STREAM, headers=bearer) for _ in range(2)]
    for each in held:
        body = each.iter_encoded()
        assert next(body)
    assert client.get("/api/v1/nowhere").status_code == 404
    for each in held:
        each.close()


def test_it_is_in_the_log_when_it_begins(configure: Configure, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    cluster.answers[AFTER] = news()
    written = io.StringIO()
    app = configure(access_log=StreamAccessLog("json", written))
    response = FlaskClient(app).get(STREAM, headers={**bearer, "X-Request-ID": "mine"})
    line = json.loads(written.getvalue())
    assert (line["request_id"], line["route"], line["status"], line["actor"]) == ("mine", STREAM, 200, USER_ID)
    response.close()


def test_pages_of_other_origins_may_resume(configure: Configure) -> None:
    app = configure(CORS_ORIGINS="https://app.example.com")
    preflight = {
        "Origin": "https://app.example.com",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization, last-event-id",
    }
    response = app.test_client().options(STREAM, headers=preflight)
    assert "Last-Event-ID" in response.headers["Access-Control-Allow-Headers"]


def test_the_document_tells_of_streams(document: dict[str, Any]) -> None:
    told = document["paths"][STREAM]["get"]
    assert set(told["responses"]["200"]["content"]) == {"text/event-stream"}
    assert [each["name"] for each in told["parameters"]] == ["Last-Event-ID"]
    assert told["security"] == [{"bearer": []}]
    assert set(told["responses"]) == {"200", "400", "401", "404", "500", "503", "504"}
