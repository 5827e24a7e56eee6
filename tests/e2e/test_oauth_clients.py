"""A program with credentials of its own asks about tokens and revokes them, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.e2e.client import Client
from tests.e2e.test_key_rotation import command
from tests.support.stack import Stack
from tests.support.waiting import eventually

DEAD = {"active": False}


@pytest.fixture
def program(stack: Stack) -> dict[str, str]:
    (made,) = command(stack, "clients", "create", "Billing")
    return {"id": made["client_id"], "secret": made["client_secret"]}


def ask(stack: Stack, program: dict[str, str], token: str, what: str = "introspect") -> requests.Response:
    return requests.post(
        f"{stack.url}/api/v1/auth/{what}",
        data={"token": token},
        auth=(program["id"], program["secret"]),
        timeout=10,
    )


def test_tokens_are_shown_and_revoked(client: Client, stack: Stack, program: dict[str, str]) -> None:
    client.register()
    access, refresh = client.tokens["access_token"], client.tokens["refresh_token"]
    shown: dict[str, Any] = ask(stack, program, access).json()
    assert (shown["active"], shown["token_type"], shown["sub"]) == (True, "Bearer", client.user_id)
    assert ask(stack, program, refresh).json()["active"] is True
    # Asked twice, and still good for its one use.
    renewed = client.post("/auth/refresh", {"refresh_token": refresh})
    assert renewed.status_code == 200
    assert ask(stack, program, refresh).json() == DEAD

    answer = ask(stack, program, renewed.json()["refresh_token"], "revoke")
    assert (answer.status_code, answer.json()) == (200, {})
    for token in (access, renewed.json()["access_token"], renewed.json()["refresh_token"], "no token at all"):
        assert ask(stack, program, token).json() == DEAD
        assert ask(stack, program, token, "revoke").status_code == 200
    eventually(lambda: client.get("/auth/me").status_code == 401, within=1.0)


def test_a_program_that_is_not_known_any_more_is_refused_at_once(
    client: Client, stack: Stack, program: dict[str, str]
) -> None:
    client.register()
    token = client.tokens["access_token"]
    assert ask(stack, program, token).status_code == 200
    for what in ("introspect", "revoke"):
        wrong = ask(stack, {**program, "secret": "lcs_wrong"}, token, what)
        assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_client")
    command(stack, "clients", "revoke", program["id"])
    for what in ("introspect", "revoke"):
        refused = ask(stack, program, token, what)
        assert (refused.status_code, refused.json()["code"]) == (401, "invalid_client")
    assert client.get("/auth/me").status_code == 200
