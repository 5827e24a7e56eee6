"""Search and lookup over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway.shapes import EXAMPLES
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import USER_ID, Configure, Issuer

USERS, LOOKUP = "/api/v1/users", "/api/v1/users/lookup"
SEARCH_USERS, LOOKUP_USERS = "users_svc.search_users", "users_svc.lookup_users"
OTHER = "0198a3f2-9999-7d4a-9b57-2f4c8e6a1d03"


@pytest.fixture(autouse=True)
def _answers(cluster: FakeCluster) -> None:
    cluster.answers |= {SEARCH_USERS: EXAMPLES["FoundUserPage"], LOOKUP_USERS: EXAMPLES["UserLookup"]}


@pytest.fixture
def limited(configure: Configure) -> FlaskClient:
    """A client of an application with rate limits, counted in its memory."""
    return configure(RATE_LIMITS="on").test_client()


def test_a_search_without_a_token(client: FlaskClient, cluster: FakeCluster) -> None:
    response = client.get(f"{USERS}?query=ann%20ex&sort=name&limit=5&cursor=abc&joined_after=2026-01-31")
    assert response.status_code == 200
    assert response.json == EXAMPLES["FoundUserPage"]
    (call,) = cluster.called(SEARCH_USERS)
    assert call == {"query": "ann ex", "sort": "name", "limit": 5, "cursor": "abc", "joined_after": "2026-01-31"}
    assert cluster.calls[-1].context.actor.is_anonymous


def test_without_anything_asked_for_the_service_decides(client: FlaskClient, cluster: FakeCluster) -> None:
    assert client.get(USERS).status_code == 200
    assert cluster.called(SEARCH_USERS) == [{"limit": 20}]


def test_a_token_says_who_searches(client: FlaskClient, cluster: FakeCluster, issuer: Issuer) -> None:
    token = issuer.token()
    response = client.get(f"{USERS}?following=true", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 200
    # What there is depends on who asks, so it is for nobody else's eyes.
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert cluster.calls[-1].context.access_token == token
    assert cluster.called(SEARCH_USERS)[0]["following"] is True
    client.get(f"{USERS}?following=false")
    assert cluster.called(SEARCH_USERS)[1]["following"] is False


@pytest.mark.parametrize("path", ["/users?query=ann", "/api/users?query=ann"])
def test_shorter_addresses_mean_the_same(client: FlaskClient, cluster: FakeCluster, path: str) -> None:
    assert client.get(path).status_code == 200
    assert cluster.called(SEARCH_USERS)[0]["query"] == "ann"


def test_a_bad_token_is_no_anonymous_one(client: FlaskClient, cluster: FakeCluster) -> None:
    for method, path in (("GET", USERS), ("POST", LOOKUP)):
        response = client.open(path, method=method, json={}, headers={"Authorization": "Bearer x.y.z"})
        assert response.status_code == 401
    assert not cluster.calls


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("query=" + "x" * 255, "/query", "too_long"),
        ("query=a%00b", "/query", "invalid_characters"),
        ("query=a&query=b", "/query", "repeated"),
        ("sort=id", "/sort", "unknown_value"),
        ("limit=0", "/limit", "out_of_range"),
        ("limit=101", "/limit", "out_of_range"),
        ("limit=ten", "/limit", "invalid_type"),
        ("following=1", "/following", "unknown_value"),
        ("cursor=" + "x" * 1025, "/cursor", "too_long"),
        ("joined_before=" + "2" * 41, "/joined_before", "too_long"),
        ("page=2", "/page", "unknown_field"),
        ("offset=2", "/offset", "unknown_field"),
    ],
)
def test_a_query_string_that_is_none_is_refused(
    client: FlaskClient, cluster: FakeCluster, query: str, pointer: str, code: str
) -> None:
    response = client.get(f"{USERS}?{query}")
    assert response.status_code == 422
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [(pointer, code)]
    assert not cluster.calls


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault("malformed", "invalid_cursor", "the cursor is none of this list"), 400),
        (Fault("invalid", "invalid_query", "a query has no control characters"), 422),
        (Fault("invalid", "invalid_sort", "no such sort"), 422),
        (Fault("invalid", "invalid_search_filter", "no such time"), 422),
        (Fault("unavailable", "database_slow", "slow"), 503),
    ],
)
def test_refusals_are_passed_on(client: FlaskClient, cluster: FakeCluster, fault: Fault, status: int) -> None:
    cluster.answers[SEARCH_USERS] = fault
    response = client.get(f"{USERS}?query=ann")
    assert response.status_code == status
    assert response.json["code"] == fault.code


def test_a_lookup(client: FlaskClient, cluster: FakeCluster) -> None:
    response = client.post(LOOKUP, json={"ids": [USER_ID, "x"], "handles": ["ann", "ann"]})
    assert response.status_code == 200
    assert response.json == EXAMPLES["UserLookup"]
    assert cluster.called(LOOKUP_USERS) == [{"ids": [USER_ID, "x"], "handles": ["ann", "ann"]}]
    assert client.post(LOOKUP, json={}).status_code == 200
    assert cluster.called(LOOKUP_USERS)[1] == {}


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"ids": "x"}, "/ids", "invalid_type"),
        ({"ids": [5]}, "/ids/0", "invalid_type"),
        ({"handles": [None]}, "/handles/0", "required"),
        ({"handles": ["x" * 65]}, "/handles/0", "too_long"),
        ({"handles": ["\0"]}, "/handles/0", "invalid_characters"),
        ({"ids": ["x"] * 101}, "/ids", "too_long"),
        ({"emails": ["ann@example.com"]}, "/emails", "unknown_field"),
    ],
)
def test_a_lookup_of_what_cannot_be_looked_up_is_refused(
    client: FlaskClient, cluster: FakeCluster, body: dict[str, Any], pointer: str, code: str
) -> None:
    response = client.post(LOOKUP, json=body)
    assert response.status_code == 422
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [(pointer, code)]
    assert not cluster.calls


def test_who_collects_profiles_is_stopped_after_sixty_in_a_minute(limited: FlaskClient, issuer: Issuer) -> None:
    """An account wherever it asks from, and an address that has none; searches and lookups together."""

    def ask(number: int, address: str, token: str | None) -> Any:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        method, path = ("POST", LOOKUP) if number % 2 else ("GET", USERS)
        return limited.open(path, method=method, json={}, headers=headers, environ_base={"REMOTE_ADDR": address})

    mine, yours = issuer.token(), issuer.token(sub=OTHER)
    answers = [ask(number, f"192.0.2.{number}", mine) for number in range(61)]
    assert [each.status_code for each in answers] == [200] * 60 + [429]
    assert answers[-1].json["code"] == "rate_limited"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert ask(0, "192.0.2.1", yours).status_code == 200
    assert [ask(number, "192.0.2.1", None).status_code for number in range(61)] == [200] * 60 + [429]
    assert ask(0, "192.0.2.2", None).status_code == 200
    assert ask(0, "192.0.2.1", yours).status_code == 200
