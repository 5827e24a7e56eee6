"""Profiles on the running product: editing, who sees what, handles, and the two ways to an account."""

from __future__ import annotations

import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from tests.e2e.client import PASSWORD, Client, unique_email
from tests.e2e.mailbox import Mailbox
from tests.support.databases import ROOT
from tests.support.naughty import NAUGHTY, json_body
from tests.support.stack import Stack
from tests.support.waiting import eventually

PROFILE = "select id::text from profiles where lower(email) = :email"


def rows(database: Any, name: str, statement: str, **values: Any) -> list[Any]:
    with database(name) as connection:
        return list(connection.execute(sa.text(statement), values))


def unique_handle() -> str:
    return f"ada_{secrets.token_hex(6)}"


def patch(client: Client, changes: dict[str, Any], **headers: str) -> requests.Response:
    return client.request("PATCH", "/users/profile", json=changes, headers=headers)


def test_a_profile_is_edited_read_at_once_and_seen_by_others(client: Client, stack: Stack, database: Any) -> None:
    client.register(name="Ada")
    other = Client(stack.url).register()
    read = client.get("/users/profile")
    handle = unique_handle()
    changes = {"handle": handle, "bio": "Engines", "location": "London", "visibility": {"bio": "public"}}
    edited = patch(client, changes, **{"If-Match": read.headers["ETag"]})
    assert edited.status_code == 200, edited.text
    again = client.get("/users/profile")
    assert (again.json(), again.headers["ETag"]) == (edited.json(), edited.headers["ETag"])
    assert again.json() == read.json() | changes | {name: again.json()[name] for name in ("version", "updated_at")}

    stale = patch(client, {"bio": "lost"}, **{"If-Match": read.headers["ETag"]})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert patch(client, {"location": None}, **{"If-Match": "*"}).json()["location"] is None

    seen = requests.get(f"{stack.url}/users/{client.user_id}", timeout=5).json()
    assert (seen["handle"], seen["bio"], seen["relationship"]) == (handle, "Engines", None)
    assert {"email", "location", "birth_date", "visibility"} & set(seen) == set()
    assert other.get(f"/users/{client.user_id}").json()["relationship"]["following"] is False

    taken = patch(other, {"handle": handle.upper().replace("_", "__")})
    assert (taken.status_code, taken.json()["code"]) == (409, "handle_taken")
    soon = patch(client, {"handle": unique_handle()})
    assert (soon.status_code, soon.json()["code"]) == (409, "handle_changed_recently")
    assert 29 * 86400 < int(soon.headers["Retry-After"]) <= 30 * 86400
    wrong = patch(client, {"handle": "admin", "website": "javascript:alert(1)"})
    assert wrong.status_code == 422
    assert {each["pointer"] for each in wrong.json()["errors"]} == {"/handle", "/website"}

    told = "select envelope->'data'->'changed' from outbox where type = 'user.profile.updated'"
    told += " and envelope->>'subject' = :id and sent_at is not null order by position"
    eventually(lambda: len(rows(database, "users", told, id=client.user_id)) == 2)
    assert rows(database, "users", told, id=client.user_id) == [(sorted(changes),), (["location"],)]


@pytest.mark.parametrize("field", ["display_name", "bio", "location", "handle", "website"])
def test_a_naughty_string_comes_back_or_is_refused_and_nothing_breaks(client: Client, field: str) -> None:
    client.register()
    statuses: dict[str, int] = {}
    for name, text in NAUGHTY.items():
        sent = json_body({field: text})
        answer = client.request(
            "PATCH", "/users/profile", data=sent, headers={"Content-Type": "application/merge-patch+json"}
        )
        statuses[name] = answer.status_code
        assert answer.headers["Content-Type"].partition(";")[0] in ("application/json", "application/problem+json")
        if answer.status_code == 200:
            assert client.get("/users/profile").json()[field] == answer.json()[field], name
    assert set(statuses.values()) <= {200, 409, 413, 422}
    assert statuses["NUL"] == statuses["high surrogate"] == statuses["a megabyte"] == 422
    if field in ("display_name", "bio", "location"):
        assert statuses["right to left"] == statuses["SQL"] == statuses["HTML"] == statuses["family"] == 200


def test_of_registrations_and_invitations_of_one_address_one_wins_and_its_id_is_on_both_sides(
    stack: Stack, database: Any, mailbox: Mailbox
) -> None:
    for _ in range(4):
        email = unique_email()

        def register(email: str = email) -> requests.Response:
            body = {"email": email.upper(), "password": PASSWORD, "name": "Ada"}
            return requests.post(f"{stack.url}/auth/register", json=body, timeout=20)

        def invite(email: str = email) -> requests.Response:
            return requests.post(f"{stack.url}/users", json={"email": email, "name": "Ada"}, timeout=20)

        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(call) for call in [register, invite] * 4]
            answers = [each.result() for each in asked]
        assert sorted(each.status_code for each in answers) == [201] + [409] * 7, [each.text for each in answers]
        assert {each.json()["code"] for each in answers if each.status_code == 409} == {"email_taken"}
        body = next(each.json() for each in answers if each.status_code == 201)
        user_id = body["user"]["id"] if "user" in body else body["id"]
        found = rows(database, "auth", "select id::text, status from accounts where lower(email) = :email", email=email)
        assert found == [(user_id, "active" if "user" in body else "invited")]
        eventually(partial(rows, database, "users", PROFILE, email=email))
        assert rows(database, "users", PROFILE, email=email) == [(user_id,)]
        if "user" not in body:
            _claim(stack, mailbox, email, user_id)


def _claim(stack: Stack, mailbox: Mailbox, email: str, user_id: str) -> None:
    """Claim the account by the newest mail; each registration that came too late has sent one, too."""
    client = Client(stack.url)

    def claimed() -> bool:
        token = mailbox.token(email, "claim")
        answer = client.post("/auth/claim", {"token": token, "password": PASSWORD})
        if answer.status_code == 200:
            client.tokens = answer.json()
        return answer.status_code == 200

    eventually(claimed, within=20, every=0.5)
    assert client.user_id == user_id
    assert client.get("/users/profile").json()["id"] == user_id


def test_a_profile_is_hidden_and_shown_with_its_account_within_two_seconds(
    client: Client, stack: Stack, mailbox: Mailbox
) -> None:
    client.register(name="Ada")
    address = f"{stack.url}/users/{client.user_id}"
    eventually(lambda: requests.get(address, timeout=5).status_code == 200)
    admin = _administrator(stack, mailbox)
    path = f"/admin/accounts/{client.user_id}"
    assert admin.post(f"{path}/disable", {"reason": "a test"}).status_code == 200
    unknown = requests.get(f"{stack.url}/users/0190c2f4-7b5a-7c3e-8d2f-000000000000", timeout=5)

    def told(answer: requests.Response) -> dict[str, Any]:
        return {name: value for name, value in answer.json().items() if name != "request_id"}

    eventually(lambda: told(requests.get(address, timeout=5)) == told(unknown), within=2)
    assert admin.get(f"/users/{client.user_id}").json()["display_name"] == "Ada"
    assert admin.post(f"{path}/enable", {"reason": "a test"}).status_code == 200
    eventually(lambda: requests.get(address, timeout=5).status_code == 200, within=2)


def test_a_look_at_a_closed_profile_is_audited_although_the_process_dies(
    client: Client, stack: Stack, mailbox: Mailbox
) -> None:
    """Killed between what is written for the answer and what is told of it."""
    client.register(name="Ada")
    assert client.get("/users/profile").status_code == 200
    admin = _administrator(stack, mailbox)
    assert admin.post(f"/admin/accounts/{client.user_id}/disable", {"reason": "a test"}).status_code == 200
    eventually(lambda: requests.get(f"{stack.url}/users/{client.user_id}", timeout=5).status_code == 404)

    def looks() -> list[tuple[str, str]]:
        found = admin.get("/admin/audit", params={"account_id": client.user_id, "kind": "profile.read"}).json()["data"]
        return [(each["actor_id"], each["request_id"]) for each in found]

    assert looks() == []
    stack.stop(["users_svc"])
    try:
        stack.start("users_svc", FAULT_POINT="relay.before_publish")
        # The answer comes or not: that is a race.
        admin.get(f"/users/{client.user_id}", headers={"X-Request-ID": "a-look-at-ada"})
        assert stack.wait_end("users_svc") == -9
        assert looks() == []
    finally:
        stack.stop(["users_svc"])
        stack.start("users_svc")
    eventually(lambda: looks() and set(looks()) == {(admin.user_id, "a-look-at-ada")})


def _administrator(stack: Stack, mailbox: Mailbox) -> Client:
    email = unique_email()
    made = subprocess.run(
        [sys.executable, "-m", "lib.cli", "auth_svc", "create-admin", email, "--password-stdin"],
        cwd=ROOT,
        env=dict(stack.environment),
        input=PASSWORD + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return Client(stack.url).login(email)
