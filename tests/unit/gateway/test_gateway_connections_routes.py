"""Follows, blocks and lists over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway.shapes import EXAMPLES
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import USER_ID, Configure, Issuer

OTHER_ID = "0198a3f2-9999-7d4a-9b57-2f4c8e6a1d03"
#: method and path below /users → method of users_svc, and what it calls the other one
WRITES = {
    ("PUT", "/{id}/follow"): ("follow", "target_id"),
    ("DELETE", "/{id}/follow"): ("unfollow", "target_id"),
    ("PUT", "/{id}/block"): ("block", "target_id"),
    ("DELETE", "/{id}/block"): ("unblock", "target_id"),
    ("PUT", "/{id}/mute"): ("mute", "target_id"),
    ("DELETE", "/{id}/mute"): ("unmute", "target_id"),
    ("POST", "/follow-requests/{id}/accept"): ("accept_follow_request", "requester_id"),
    ("POST", "/follow-requests/{id}/reject"): ("reject_follow_request", "requester_id"),
}
OWN_LISTS = {"/blocks": "list_blocks", "/follow-requests": "list_follow_requests"}
LISTS = {f"/{OTHER_ID}/followers": "list_followers", f"/{OTHER_ID}/following": "list_following"}


def url(path: str) -> str:
    return f"/api/v1/users{path.format(id=OTHER_ID)}"


def written() -> Any:
    return pytest.mark.parametrize(
        ("method", "path", "rpc", "other"), [(*route, *call) for route, call in WRITES.items()], ids=str
    )


@written()
def test_a_change_is_made_for_who_is_signed_in(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], method: str, path: str, rpc: str, other: str
) -> None:
    cluster.answers[f"users_svc.{rpc}"] = None
    for _ in range(2):
        response = client.open(url(path), method=method, headers=bearer)
        assert (response.status_code, response.data) == (204, b"")
    assert cluster.called(f"users_svc.{rpc}") == [{"user_id": USER_ID, other: OTHER_ID}] * 2


@written()
def test_nobody_changes_anything_without_a_token(
    client: FlaskClient, cluster: FakeCluster, method: str, path: str, rpc: str, other: str
) -> None:
    response = client.open(url(path), method=method)
    assert (response.status_code, response.json["code"]) == (401, "unauthenticated")  # type: ignore[index]
    assert not cluster.called(f"users_svc.{rpc}")


@written()
def test_a_change_takes_the_acting_account_from_nowhere_but_the_token(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], method: str, path: str, rpc: str, other: str
) -> None:
    cluster.answers[f"users_svc.{rpc}"] = None
    client.open(f"{url(path)}?user_id={OTHER_ID}", method=method, headers=bearer, json={"user_id": OTHER_ID})
    assert cluster.called(f"users_svc.{rpc}") == [{"user_id": USER_ID, other: OTHER_ID}]


@pytest.mark.parametrize(
    ("method", "path", "rpc", "fault", "status"),
    [
        ("PUT", "/{id}/follow", "follow", Fault("invalid", "not_oneself", "that is you"), 422),
        ("PUT", "/{id}/follow", "follow", Fault("conflict", "blocking", "you block them"), 409),
        ("PUT", "/{id}/block", "block", Fault("not_found", "user_not_found", "there is no such user"), 404),
        ("DELETE", "/{id}/mute", "unmute", Fault("not_found", "user_not_found", "there is no such user"), 404),
        (
            "POST",
            "/follow-requests/{id}/accept",
            "accept_follow_request",
            Fault("not_found", "follow_request_not_found", "nobody asked"),
            404,
        ),
        ("GET", "/{id}/followers", "list_followers", Fault("forbidden", "private_account", "private"), 403),
        ("GET", "/{id}/following", "list_following", Fault("forbidden", "network_hidden", "hidden"), 403),
        ("GET", "/blocks", "list_blocks", Fault("malformed", "invalid_cursor", "none of ours"), 400),
        ("GET", "/{id}/relationship", "get_relationship", Fault("invalid", "not_oneself", "that is you"), 422),
    ],
)
def test_refusals_are_passed_on(
    client: FlaskClient,
    cluster: FakeCluster,
    bearer: dict[str, str],
    method: str,
    path: str,
    rpc: str,
    fault: Fault,
    status: int,
) -> None:
    cluster.answers[f"users_svc.{rpc}"] = fault
    response = client.open(url(path), method=method, headers=bearer)
    assert (response.status_code, response.json["code"]) == (status, fault.code)  # type: ignore[index]


# --- lists ---


@pytest.mark.parametrize(("path", "rpc"), [*OWN_LISTS.items(), *LISTS.items()])
def test_lists_come_in_pages(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], path: str, rpc: str
) -> None:
    cluster.answers[f"users_svc.{rpc}"] = EXAMPLES["PersonPage"] | {"next_cursor": "c2"}
    first = client.get(f"{url(path)}?limit=1", headers=bearer)
    assert (first.status_code, first.json["next_cursor"]) == (200, "c2")  # type: ignore[index]
    client.get(f"{url(path)}?limit=1&cursor=c2", headers=bearer)
    whose = USER_ID if path in OWN_LISTS else OTHER_ID
    assert cluster.called(f"users_svc.{rpc}") == [
        {"user_id": whose, "limit": 1},
        {"user_id": whose, "limit": 1, "cursor": "c2"},
    ]


@pytest.mark.parametrize("path", [*OWN_LISTS, *LISTS])
@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "limit=1&limit=2", "offset=20", "cursor=" + "c" * 513]
)
def test_a_list_with_a_wrong_query_is_refused(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], path: str, query: str
) -> None:
    assert client.get(f"{url(path)}?{query}", headers=bearer).status_code == 422
    assert not [each for each in cluster.calls if each.service == "users_svc"]


@pytest.mark.parametrize(("path", "rpc"), LISTS.items())
def test_anybody_may_ask_for_the_lists_of_a_user(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], path: str, rpc: str
) -> None:
    cluster.answers[f"users_svc.{rpc}"] = EXAMPLES["PersonPage"]
    for headers in ({}, bearer):
        response = client.get(url(path), headers=headers)
        assert (response.status_code, response.headers["Vary"]) == (200, "Authorization")
        assert response.headers["Cache-Control"] == "private, no-cache"
    assert [each.context.actor.id for each in cluster.calls if each.method == rpc] == [None, USER_ID]


@pytest.mark.parametrize("path", [*OWN_LISTS, "/relationships?id=x", "/{id}/relationship"])
def test_nobody_asks_for_what_is_their_own_without_a_token(client: FlaskClient, path: str) -> None:
    assert client.get(url(path)).status_code == 401


# --- relationships ---


def test_a_relationship_is_read_with_its_etag(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]
) -> None:
    cluster.answers["users_svc.get_relationship"] = EXAMPLES["Relationship"]
    first = client.get(url("/{id}/relationship"), headers=bearer)
    assert (first.status_code, first.json) == (200, EXAMPLES["Relationship"])
    again = client.get(url("/{id}/relationship"), headers={**bearer, "If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert cluster.called("users_svc.get_relationship") == [{"user_id": USER_ID, "other_id": OTHER_ID}] * 2


def test_many_relationships_are_asked_for_in_their_order(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]
) -> None:
    cluster.answers["users_svc.get_relationships"] = EXAMPLES["Relationships"]
    ids = [OTHER_ID, "%no", USER_ID, OTHER_ID] + [f"x{number}" for number in range(96)]
    response = client.get(url("/relationships"), query_string={"id": ids}, headers=bearer)
    assert (response.status_code, response.json) == (200, EXAMPLES["Relationships"])
    assert cluster.called("users_svc.get_relationships") == [{"user_id": USER_ID, "ids": ids}]


@pytest.mark.parametrize(
    "query", ["", "?", "?ids=x", "?id=x&other=y", "?" + "&".join(["id=x"] * 101), "?id=" + "x" * 65, "?id=%00"]
)
def test_wrong_questions_about_relationships_are_refused(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], query: str
) -> None:
    response = client.get(url("/relationships") + query, headers=bearer)
    assert (response.status_code, response.json["code"]) == (422, "validation_failed")  # type: ignore[index]
    assert not cluster.called("users_svc.get_relationships")


# --- how often ---


@pytest.fixture
def limited(configure: Configure, cluster: FakeCluster) -> FlaskClient:
    cluster.answers |= {f"users_svc.{rpc}": None for rpc, _ in WRITES.values()}
    return configure(RATE_LIMITS="on").test_client()


def test_an_account_changes_its_connections_sixty_times_a_minute_from_wherever(
    limited: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], issuer: Issuer
) -> None:
    routes = list(WRITES)
    for number in range(60):
        method, path = routes[number % len(routes)]
        address = {"REMOTE_ADDR": f"192.0.2.{number}"}
        response = limited.open(url(path), method=method, headers=bearer, environ_base=address)
        assert response.status_code == 204
    assert response.headers["RateLimit-Policy"] == '"connections-minute";q=60;w=60'
    assert response.headers["RateLimit"].startswith('"connections-minute";r=0;t=')
    for method, path in routes:
        response = limited.open(url(path), method=method, headers=bearer)
        assert (response.status_code, response.json["code"]) == (429, "rate_limited")  # type: ignore[index]
        assert response.json["violated-policies"] == ["connections-minute"]  # type: ignore[index]
        assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert sum(len(cluster.called(f"users_svc.{rpc}")) for rpc, _ in WRITES.values()) == 60
    other = {"Authorization": f"Bearer {issuer.token(sub=OTHER_ID)}"}
    assert limited.put(url("/{id}/follow"), headers=other).status_code == 204


def test_who_looks_at_everybody_one_by_one_is_stopped_and_may_still_change(
    limited: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]
) -> None:
    cluster.answers["users_svc.get_relationship"] = EXAMPLES["Relationship"]
    cluster.answers["users_svc.get_user"] = EXAMPLES["PublicProfile"]
    looks = [url("/{id}/relationship"), url("/{id}")]
    for number in range(300):
        response = limited.get(looks[number % 2], headers=bearer)
        assert response.status_code == 200
    assert response.headers["RateLimit-Policy"] == '"people-minute";q=300;w=60'
    for path in (*looks, url("/{id}/followers"), url("/{id}/following")):
        assert limited.get(path, headers=bearer).status_code == 429
    assert limited.put(url("/{id}/follow"), headers=bearer).status_code == 204
