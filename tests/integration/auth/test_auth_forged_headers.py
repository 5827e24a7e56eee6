"""Requests that are put into the broker past the gateway: the service believes a token of its own, and no header.

The real service on the real broker. Whoever can publish there at all and says nothing about who acts is an operator or
a service, and the broker's users keep the gateway's from it.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import amqp
import jwt
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from lib.ids import new_id
from lib.wire import connect
from tests.conftest import ROOT
from tests.support.stack import Stack
from tests.support.waiting import eventually

PASSWORD = "a long enough phrase"

Call = Callable[..., Any]


class Broker:
    """Publishes requests with any headers, and waits for the answers."""

    def __init__(self, channel: amqp.Channel) -> None:
        self._channel = channel
        self._queue = channel.queue_declare("", exclusive=True).queue
        channel.queue_bind(self._queue, "nameko-rpc", self._queue)

    def call(self, method: str, headers: dict[str, Any], /, **arguments: Any) -> Any:
        """Return the result, or the code of the refusal."""
        correlation_id = secrets.token_hex(8)
        message = amqp.Message(
            json.dumps({"args": [], "kwargs": arguments}),
            content_type="application/json",
            content_encoding="utf-8",
            reply_to=self._queue,
            correlation_id=correlation_id,
            application_headers={f"nameko.{name}": value for name, value in headers.items()},
        )
        self._channel.basic_publish_confirm(message, "nameko-rpc", f"auth_svc.{method}")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            reply = self._channel.basic_get(self._queue, no_ack=True)
            if reply is not None and reply.properties["correlation_id"] == correlation_id:
                answer = json.loads(reply.body)
                return answer["result"] if answer["error"] is None else answer["error"]["exc_args"][1]
            time.sleep(0.01)
        raise AssertionError(f"no answer to {method}")


@pytest.fixture(scope="module")
def service(migrated: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(migrated, tmp_path_factory.mktemp("auth"))
    stack.start("auth_svc")
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def call(service: Stack) -> Iterator[Call]:
    with connect(service.environment["AMQP_URI"], name="test", heartbeat=10, confirm_publish=True) as connection:
        yield Broker(connection.channel()).call


@pytest.fixture(scope="module")
def root(service: Stack, call: Call) -> dict[str, Any]:
    """An administrator, made as operators make the first one, and signed in."""
    email = f"root-{secrets.token_hex(4)}@example.com"
    made = subprocess.run(
        [sys.executable, "-m", "lib.cli", "auth_svc", "create-admin", email, "--password-stdin"],
        cwd=ROOT,
        env=service.environment,
        input=f"{PASSWORD}\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert PASSWORD not in made.stdout + made.stderr
    signed_in = call("login", {"actor": "anonymous"}, email=email, password=PASSWORD)
    return {"id": json.loads(made.stdout)["id"], "token": signed_in["access_token"]}


@pytest.fixture
def ann(call: Call) -> dict[str, Any]:
    """Somebody without a role, signed in."""
    email = f"ann-{secrets.token_hex(4)}@example.com"
    answer = call("register", {"actor": "anonymous"}, email=email, password=PASSWORD, name="Ann")
    return {"id": answer["user"]["id"], "email": email, "token": answer["access_token"]}


@pytest.fixture
def made_up(root: dict[str, Any]) -> dict[str, str]:
    """Tokens that say the right things and are not ours."""
    claims = jwt.decode(root["token"], options={"verify_signature": False})
    header = jwt.get_unverified_header(root["token"])
    stranger = generate_private_key(SECP256R1())
    body, signature = root["token"].rpartition(".")[::2]
    return {
        "no token at all": "made.up.token",
        "signed by somebody else": jwt.encode(claims, stranger, algorithm="ES256", headers=header),
        "not signed": jwt.encode(claims, "", algorithm="none", headers={**header, "alg": "none"}),
        "another signature": f"{body}.{signature[::-1]}",
        "empty": "",
    }


def test_an_administrators_own_token_opens_what_nothing_else_does(
    call: Call, root: dict[str, Any], ann: dict[str, Any]
) -> None:
    page = call("list_accounts", {"access_token": root["token"]}, query=ann["email"])
    assert [each["id"] for each in page["data"]] == [ann["id"]]


def test_plain_headers_prove_nothing(call: Call, root: dict[str, Any], ann: dict[str, Any]) -> None:
    forged = {
        "actor": "anonymous",
        "roles": ["admin"],
        "user_id": root["id"],
        "actor_id": root["id"],
        "claims": {"sub": root["id"], "roles": ["admin"]},
        "authorization": "Bearer admin",
    }
    for method, arguments in {
        "disable_account": {"account_id": ann["id"], "reason": "x"},
        "set_roles": {"account_id": ann["id"], "roles": ["admin"], "reason": "x"},
        "end_account_sessions": {"account_id": ann["id"], "reason": "x"},
        "list_accounts": {},
        "list_audit_events": {},
        "list_sessions": {"user_id": root["id"]},
        "get_account": {"user_id": root["id"]},
        "list_security_events": {"user_id": root["id"]},
    }.items():
        assert call(method, forged, **arguments) == "unauthenticated", method
    assert call("get_account", {"access_token": ann["token"]}, user_id=ann["id"])["status"] == "active"


@pytest.mark.parametrize(
    "kind", ["no token at all", "signed by somebody else", "not signed", "another signature", "empty"]
)
def test_a_made_up_token_proves_nothing_either(
    call: Call, made_up: dict[str, str], root: dict[str, Any], ann: dict[str, Any], kind: str
) -> None:
    forged = {"access_token": made_up[kind], "roles": ["admin"], "user_id": root["id"]}
    assert call("disable_account", forged, account_id=ann["id"], reason="x") == "invalid_token"
    assert call("get_account", forged, user_id=root["id"]) == "invalid_token"


@pytest.mark.parametrize("value", [5, True, ["x"], {"a": "b"}], ids=repr)
def test_a_token_that_is_no_text_is_not_taken_for_none(call: Call, ann: dict[str, Any], value: Any) -> None:
    """Without a token and without a word about the actor, the system would be calling."""
    assert call("disable_account", {"access_token": value}, account_id=ann["id"], reason="x") == "invalid_token"


def test_a_valid_token_brings_no_role_that_is_not_in_it(call: Call, root: dict[str, Any], ann: dict[str, Any]) -> None:
    forged = {"access_token": ann["token"], "roles": ["admin"], "user_id": root["id"], "actor": "system"}
    assert call("set_roles", forged, account_id=ann["id"], roles=["admin"], reason="x") == "forbidden"
    assert call("list_accounts", forged) == "forbidden"
    assert call("get_account", forged, user_id=root["id"]) == "forbidden"
    assert call("list_sessions", forged, user_id=root["id"]) == "forbidden"
    assert call("list_security_events", forged, user_id=root["id"]) == "forbidden"


def test_what_an_administrator_does_is_kept_and_what_others_try_changes_nothing(
    call: Call, root: dict[str, Any], ann: dict[str, Any]
) -> None:
    with_token = {"access_token": root["token"], "client_ip": "192.0.2.7", "user_agent": "curl/8"}
    disabled = call("disable_account", with_token, account_id=ann["id"], reason="sent spam")
    assert (disabled["status"], disabled["disabled_reason"]) == ("disabled", "sent spam")
    assert call("login", {"actor": "anonymous"}, email=ann["email"], password=PASSWORD) == "invalid_credentials"
    page = call("list_audit_events", {"access_token": root["token"]}, account_id=ann["id"], kind="account.disabled")
    (entry,) = page["data"]
    told = {name: entry[name] for name in ("actor_id", "outcome", "reason", "ip", "device")}
    assert told == {
        "actor_id": root["id"],
        "outcome": "success",
        "reason": "sent spam",
        "ip": "192.0.2.7",
        "device": "curl",
    }
    revoked = call("get_revocations", {"actor": "anonymous"})
    assert ann["id"] in revoked["accounts"]


def test_a_failed_sign_in_is_sealed_and_told_within_a_second_or_so(
    service: Stack, call: Call, ann: dict[str, Any], database: Callable[[str], sa.Connection]
) -> None:
    assert call("login", {"actor": "anonymous"}, email=ann["email"], password="wrong") == "invalid_credentials"
    begun = time.monotonic()
    with database("auth") as connection:

        def told() -> Any:
            return connection.scalar(
                sa.text("select sent_at from outbox where type = 'user.login.failed' and envelope->>'subject' = :id"),
                {"id": ann["id"]},
            )

        eventually(told, within=5)
        unsealed = connection.scalar(
            sa.text(
                "select count(*) from audit_events left join audit_seals on row_id = id"
                " where account_id = :id and kind = 'login.failed' and position is null"
            ),
            {"id": ann["id"]},
        )
    assert unsealed == 0
    # Half a second's pause at most, and a loaded machine.
    assert time.monotonic() - begun < 3
    eventually(lambda: "audit head " in service.log("auth_svc"))


def test_nobody_unknown_is_shown_to_a_stranger(call: Call, root: dict[str, Any]) -> None:
    forged = {"actor": "anonymous"}
    assert call("get_account", forged, user_id=str(new_id())) == "unauthenticated"
    assert call("get_account", {"access_token": root["token"]}, user_id=str(new_id())) == "account_not_found"
