"""Follows and blocks through every process: what the people see of each other."""

from __future__ import annotations

from typing import Any

import pytest

from lib.ids import new_id
from tests.e2e.client import Client
from tests.support.stack import Stack
from tests.support.waiting import eventually


@pytest.fixture
def people(stack: Stack) -> list[Client]:
    """Ann, Bob and Cat, whose profiles are there."""
    clients = [Client(stack.url).register(name=name) for name in ("Ann", "Bob", "Cat")]
    for client in clients:
        eventually(lambda client=client: Client(stack.url).get(f"/users/{client.user_id}").status_code == 200)
    return clients


def counts(viewer: Client, user: Client) -> tuple[int, int]:
    seen = viewer.get(f"/users/{user.user_id}").json()
    return seen["followers_count"], seen["following_count"]


def listed(viewer: Client, path: str) -> list[str]:
    answer = viewer.get(path)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["data"]]


def told(answer: Any) -> tuple[Any, ...]:
    """Return what an answer tells, but for what is of this request only."""
    body = {name: value for name, value in answer.json().items() if name != "request_id"}
    passing = {"x-request-id", "date", "ratelimit"}
    return (
        answer.status_code,
        body,
        {name: answer.headers[name] for name in {*map(str.lower, answer.headers)} - passing},
    )


def test_people_follow_and_unfollow_each_other(people: list[Client]) -> None:
    ann, bob, cat = people
    for _ in range(2):
        answer = ann.request("PUT", f"/users/{bob.user_id}/follow")
        assert (answer.status_code, answer.content) == (204, b"")
    cat.request("PUT", f"/users/{bob.user_id}/follow")
    assert listed(ann, f"/users/{bob.user_id}/followers") == [cat.user_id, ann.user_id]
    assert listed(bob, f"/users/{ann.user_id}/following") == [bob.user_id]
    assert counts(cat, bob) == (2, 0)
    assert ann.get(f"/users/{bob.user_id}").json()["relationship"]["following"] is True
    unknown = str(new_id())
    answer = bob.get("/users/relationships", params={"id": [cat.user_id, unknown, ann.user_id]})
    assert answer.status_code == 200
    first, second, third = answer.json()["data"]
    assert (first["id"], first["followed_by"], third["id"], third["followed_by"]) == (
        cat.user_id,
        True,
        ann.user_id,
        True,
    )
    assert second == {"id": unknown, "not_found": True}
    for _ in range(2):
        assert ann.request("DELETE", f"/users/{bob.user_id}/follow").status_code == 204
    assert counts(cat, bob) == (1, 0)
    assert ann.request("PUT", f"/users/{ann.user_id}/follow").json()["code"] == "not_oneself"


def test_for_who_is_blocked_the_other_does_not_exist(people: list[Client]) -> None:
    ann, bob, cat = people
    for one, other in ((ann, bob), (bob, ann), (bob, cat), (ann, cat)):
        assert one.request("PUT", f"/users/{other.user_id}/follow").status_code == 204
    assert ann.request("PUT", f"/users/{bob.user_id}/block").status_code == 204
    unknown = str(new_id())
    for method, path in (
        ("GET", "/users/{}"),
        ("GET", "/users/{}/followers"),
        ("GET", "/users/{}/following"),
        ("GET", "/users/{}/relationship"),
        ("PUT", "/users/{}/follow"),
        ("PUT", "/users/{}/block"),
        ("PUT", "/users/{}/mute"),
        ("POST", "/users/follow-requests/{}/accept"),
    ):
        answer = bob.request(method, path.format(ann.user_id))
        assert answer.status_code == 404, (method, path)
        assert told(answer) == told(bob.request(method, path.format(unknown))), (method, path)
    # What is taken back is no more, whether there was something or not, and whoever it is.
    for method, path in (
        ("DELETE", "/users/{}/follow"),
        ("DELETE", "/users/{}/block"),
        ("DELETE", "/users/{}/mute"),
        ("POST", "/users/follow-requests/{}/reject"),
    ):
        for user_id in (ann.user_id, ann.user_id, unknown, cat.user_id):
            if user_id != cat.user_id or "follow" not in path:
                assert bob.request(method, path.format(user_id)).status_code == 204, (method, path)
        assert bob.request(method, path.format("nobody")).status_code == 404
    assert counts(bob, cat)[0] == len(listed(bob, f"/users/{cat.user_id}/followers")) == 1
    assert listed(bob, f"/users/{cat.user_id}/followers") == [bob.user_id]
    assert listed(cat, f"/users/{cat.user_id}/followers") == [ann.user_id, bob.user_id]
    assert listed(ann, "/users/blocks") == [bob.user_id]
    assert listed(bob, "/users/blocks") == []
    assert (counts(cat, ann), counts(cat, bob)) == ((0, 1), (0, 1))
    assert ann.request("PUT", f"/users/{bob.user_id}/follow").json()["code"] == "blocking"
    assert ann.request("DELETE", f"/users/{bob.user_id}/block").status_code == 204
    assert bob.get(f"/users/{ann.user_id}").status_code == 200


def test_a_private_account_chooses_its_followers(people: list[Client]) -> None:
    ann, bob, cat = people
    assert ann.request("PATCH", "/users/profile", json={"private": True}).status_code == 200
    for follower in (bob, cat):
        assert follower.request("PUT", f"/users/{ann.user_id}/follow").status_code == 204
        assert follower.get(f"/users/{ann.user_id}").json()["relationship"]["requested"] is True
    assert bob.get(f"/users/{ann.user_id}/followers").json()["code"] == "private_account"
    assert listed(ann, "/users/follow-requests") == [cat.user_id, bob.user_id]
    assert ann.post(f"/users/follow-requests/{bob.user_id}/accept").status_code == 204
    assert ann.post(f"/users/follow-requests/{cat.user_id}/reject").status_code == 204
    assert listed(bob, f"/users/{ann.user_id}/followers") == [bob.user_id]
    assert cat.request("PUT", f"/users/{ann.user_id}/follow").status_code == 204
    assert ann.request("PATCH", "/users/profile", json={"private": False}).status_code == 200
    eventually(lambda: listed(cat, f"/users/{ann.user_id}/followers") == [cat.user_id, bob.user_id], within=2)
    assert listed(ann, "/users/follow-requests") == []
