"""Preferences on the running product: from the first moment on, by many requests at once, and by a mail's link."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import requests

from lib import config as configuration
from lib.secret_key import derived_keys
from tests.e2e.client import Client
from tests.support.databases import ROOT
from tests.support.stack import Stack
from users_svc.infrastructure.unsubscribe_tokens import PURPOSE, HmacUnsubscribeTokens

PREFERENCES, SETTINGS, WISHES = (f"/users/{name}" for name in ("preferences", "settings", "notification-preferences"))
TYPES = (
    "followed",
    "follow_requested",
    "follow_accepted",
    "payment_succeeded",
    "payment_failed",
    "payment_refunded",
    "payment_refund_failed",
)


def test_they_are_there_from_the_first_moment_and_only_for_their_owner(client: Client, stack: Stack) -> None:
    client.register()
    # Right behind: the profile may not be there yet.
    changed = client.request("PATCH", SETTINGS, json={"hide_network": True})
    assert changed.status_code == 200, changed.text
    assert changed.json()["hide_network"] is True
    read = client.get(PREFERENCES)
    assert (read.status_code, read.json()["theme"], read.json()["version"]) == (200, "system", 0)

    headers = {"If-Match": read.headers["ETag"], "Content-Type": "application/merge-patch+json"}
    changed = client.request("PATCH", PREFERENCES, data='{"theme": "dark"}', headers=headers)
    assert (changed.status_code, changed.json()["version"]) == (200, 1)
    stale = client.request("PATCH", PREFERENCES, data='{"theme": "light"}', headers=headers)
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    fresh = {**headers, "If-Match": changed.headers["ETag"]}
    assert client.request("PATCH", PREFERENCES, data='{"theme": null}', headers=fresh).json()["theme"] == "system"

    refused = client.request("PATCH", WISHES, json={"types": {"password_changed": {"in_app": False}}})
    assert (refused.status_code, refused.json()["code"]) == (422, "not_optional")
    assert client.get(WISHES).json()["version"] == 0

    other = Client(stack.url).register()
    assert other.get(SETTINGS).json()["hide_network"] is False
    assert other.request("PATCH", SETTINGS, json={"user_id": client.user_id, "show_online": False}).status_code == 422
    assert client.get(SETTINGS).json()["show_online"] is True
    for path in (PREFERENCES, SETTINGS, WISHES):
        assert Client(stack.url).get(path).status_code == 401
        assert Client(stack.url).request("PATCH", path, json={}).status_code == 401


def test_fifty_changes_at_once_lose_nothing(client: Client) -> None:
    client.register()
    cells: list[Any] = [{"types": {name: {channel: False}}} for name in TYPES for channel in ("in_app", "email")]
    hours: list[Any] = [{"quiet_hours": each} for each in ({"enabled": True}, {"from": "21:30"}, {"to": "06:15"})]
    patches = ((cells + hours) * 4)[:50]

    def send(patch: Any) -> int:
        url, token = client.base + WISHES, client.tokens["access_token"]
        return requests.patch(url, json=patch, headers={"Authorization": f"Bearer {token}"}, timeout=20).status_code

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(send, patches)) == {200}
    found = client.get(WISHES).json()
    assert {found["types"][name][channel] for name in TYPES for channel in ("in_app", "email")} == {False}
    assert found["quiet_hours"] == {"enabled": True, "from": "21:30", "to": "06:15"}
    assert found["version"] == len(cells + hours)


def test_the_link_in_a_mail_ends_the_mails_of_its_type(client: Client, stack: Stack) -> None:
    client.register()
    key = configuration.load(ROOT / "config.yaml", dict(stack.environment))["SECRET_KEY"]
    token = HmacUnsubscribeTokens(derived_keys(key, PURPOSE)).token(UUID(client.user_id), "payment_succeeded")
    link = f"{stack.url}/api/v1/users/unsubscribe?token={token}"
    before = client.get(WISHES).json()
    assert before["types"]["payment_succeeded"]["email"] is True

    page = requests.get(link, timeout=20)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert client.get(WISHES).json() == before

    forms: list[dict[str, Any]] = [
        {"data": {"List-Unsubscribe": "One-Click"}},
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
    ]
    for form in forms:
        answer = requests.post(link, timeout=20, allow_redirects=False, **form)
        assert (answer.status_code, answer.json()) == (200, {})
    before["types"]["payment_succeeded"]["email"] = False
    assert client.get(WISHES).json() == {**before, "version": 1}

    forged = requests.post(link[:-1], data={"List-Unsubscribe": "One-Click"}, timeout=20)
    assert (forged.status_code, forged.json()["code"]) == (422, "invalid_unsubscribe_token")
    assert token not in stack.log("gateway") + stack.log("users_svc")
