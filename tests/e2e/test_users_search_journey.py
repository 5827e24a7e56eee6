"""Search and lookup through every process."""

from __future__ import annotations

import secrets
import time
from typing import Any

import requests

from tests.e2e.client import Client
from tests.e2e.mailbox import Mailbox
from tests.support.stack import Stack
from tests.support.waiting import eventually

GONE_WITHIN = 1.0


def _ids(client: Client, **params: Any) -> list[str]:
    answer = client.get("/users", params=params)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["data"]]


def test_people_find_each_other_until_one_does_not_want_that(stack: Stack) -> None:
    word = f"zé{secrets.token_hex(6)}"
    ann = Client(stack.url).register(name=f"Ann {word}")
    bob, stranger = Client(stack.url).register(name=f"Bob {word}"), Client(stack.url)
    eventually(lambda: len(_ids(stranger, query=word)) == 2 or None)
    assert _ids(stranger, query=f"{word.upper()} ann".replace("É", "e")) == [ann.user_id]
    assert set(_ids(bob, query=word, limit=100)) == {ann.user_id, bob.user_id}

    page = stranger.get("/users", params={"query": word, "sort": "newest", "limit": 1}).json()
    rest = stranger.get("/users", params={"query": word, "sort": "newest", "limit": 1, "cursor": page["next_cursor"]})
    assert [each["id"] for each in (*page["data"], *rest.json()["data"])] == [bob.user_id, ann.user_id]
    tampered = stranger.get("/users", params={"query": word, "sort": "name", "cursor": page["next_cursor"]})
    assert (tampered.status_code, tampered.json()["code"]) == (400, "invalid_cursor")

    # Whom Ann blocks finds what somebody finds who looks for nobody.
    assert ann.request("PUT", f"/users/{bob.user_id}/block").status_code == 204
    assert _ids(bob, query=f"ann {word}") == _ids(bob, query=f"nobody {word}") == []
    assert _ids(ann, query=f"bob {word}") == []
    asked = {"ids": [ann.user_id]}
    assert bob.post("/users/lookup", asked).json()["data"] == [{"id": ann.user_id, "not_found": True}]
    assert stranger.post("/users/lookup", asked).json()["data"][0]["id"] == ann.user_id

    headers = {"Content-Type": "application/merge-patch+json"}
    changed = ann.request("PATCH", "/users/profile", json={"discoverable": False}, headers=headers)
    assert changed.status_code == 200, changed.text
    since = time.monotonic()
    assert eventually(lambda: _ids(stranger, query=word) == [bob.user_id] or None)
    assert time.monotonic() - since < GONE_WITHIN


def test_a_handle_leads_to_its_owner(stack: Stack) -> None:
    ann, stranger = Client(stack.url).register(name="Ann"), Client(stack.url)
    handle = f"Ann_{secrets.token_hex(6)}"
    assert ann.request("PATCH", "/users/profile", json={"handle": handle}).status_code == 200
    asked = {"handles": [handle.upper(), "nobody_has_this", handle]}
    data = stranger.post("/users/lookup", asked).json()["data"]
    assert [each.get("id") for each in data] == [ann.user_id, None, ann.user_id]
    assert data[1] == {"handle": "nobody_has_this", "not_found": True}
    for query in (handle, f"@{handle.lower()}", handle[:9]):
        assert _ids(stranger, query=query) == [ann.user_id]


def test_an_address_finds_only_who_allows_it(stack: Stack) -> None:
    email = f"{secrets.token_hex(8)}@example.com"
    ann, stranger = Client(stack.url).register(email=email), Client(stack.url)
    eventually(lambda: requests.get(f"{stack.url}/users/{ann.user_id}", timeout=5).status_code == 200 or None)
    assert _ids(stranger, query=email) == []
    assert ann.request("PATCH", "/users/profile", json={"findable_by_email": True}).status_code == 200
    # Nobody has shown yet that it is hers.
    assert _ids(stranger, query=email) == []
    token = Mailbox(stack.mail).token(email, "verification")
    assert ann.post("/auth/email/verify", {"token": token}).status_code == 200
    eventually(lambda: _ids(stranger, query=email) == [ann.user_id])
    assert _ids(stranger, query=email.upper()) == [ann.user_id]
    assert _ids(stranger, query=email[:-1]) == []
    assert "email" not in stranger.get("/users", params={"query": email}).json()["data"][0]
