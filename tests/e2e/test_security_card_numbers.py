"""A card number that is sent into every place of every request is refused, and written down nowhere."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from deploy.local.infra import Infrastructure
from lib.card_numbers import HIDDEN
from lib.ids import utc_now
from payments_svc.infrastructure import signatures
from payments_svc.infrastructure.sandbox_settings import DEVELOPMENT_SECRET
from tests.e2e.client import Client, unique_email
from tests.support.card_numbers import complete
from tests.support.databases import ROOT, SERVICES
from tests.support.request_fields import FORM, Operation, operations, places, put
from tests.support.stack import Stack
from tests.support.waiting import eventually

NUMBER = complete("453201511283036")
SPACED = " ".join(NUMBER[at : at + 4] for at in range(0, 16, 4))
DASHED = SPACED.replace(" ", "-")
SPELLINGS = (NUMBER, SPACED, DASHED)
ID = "0198a3f2-6c1e-7d4a-9b57-2f4c8e6a1d03"
WEBHOOKS = "/api/v1/webhooks/"
MARK = secrets.token_hex(8)


@pytest.fixture
def admin(stack: Stack) -> Client:
    """Somebody who may do everything."""
    email, password = unique_email(), "Operators lantern #7"
    command = [sys.executable, "-m", "lib.cli", "auth_svc", "create-admin", email, "--password-stdin"]
    options: dict[str, Any] = {"cwd": ROOT, "env": stack.environment, "capture_output": True, "text": True}
    done = subprocess.run(command, input=password + "\n", timeout=60, check=False, **options)
    assert done.returncode == 0, done.stderr
    return Client(stack.url).login(email, password)


class Walk:
    """Sends requests that are each called by a number, to be found in the log again."""

    def __init__(self, stack: Stack, client: Client) -> None:
        self._stack, self._client = stack, client
        self.number = 0

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        self.number += 1
        headers = {
            "Authorization": f"Bearer {self._client.tokens['access_token']}",
            "Idempotency-Key": f"key-{self.number}",
            "X-Request-ID": f"walk-{self.number}",
            **options.pop("headers", {}),
        }
        response = requests.request(method, self._stack.url + path, headers=headers, timeout=20, **options)
        assert not any(each in response.text for each in SPELLINGS), f"{method} {path}"
        return response

    def bodies(self, document: dict[str, Any], operation: Operation) -> None:
        schema, example = operation.body() or ({}, {})
        for at, place in enumerate([*places(document, schema), ("unknown",), (SPACED,)]):
            response = self.send(
                operation.method, operation.url(ID), json=put(example, place, SPELLINGS[at % len(SPELLINGS)])
            )
            assert refused(response), f"{operation} {place}: {response.status_code}"
        broken = f'{{"a": "{SPACED}", "{DASHED}": '
        headers = {"Content-Type": "application/json"}
        assert self.send(operation.method, operation.url(ID), data=broken, headers=headers).status_code == 400

    def queries(self, operation: Operation) -> None:
        for at, name in enumerate([*operation.query, "unknown"]):
            for query in ({name: SPELLINGS[at % len(SPELLINGS)]}, {DASHED: "a"}):
                response = self.send(operation.method, operation.url(ID), params=query)
                assert refused(response), f"{operation} {name}: {response.status_code}"

    def message(self, message: dict[str, Any]) -> list[bytes]:
        """Send a message of the sandbox unsigned, with wrong signatures, and signed; return what has to be kept."""
        body = json.dumps(message).encode()
        now = utc_now()
        for signature in (
            "",
            f"t=1,v1={NUMBER}",
            NUMBER,
            f"t={NUMBER},v1={'0' * 64}",
            signatures.sign(body, ["another secret"], now),
            signatures.sign(body + b" ", [DEVELOPMENT_SECRET], now),
        ):
            assert self._webhook(body, signature).json()["code"] == "invalid_signature"
        # A provider may say what it likes, and would send what is refused for days: it is redacted.
        assert self._webhook(body, signatures.sign(body, [DEVELOPMENT_SECRET], now)).status_code == 204
        return [body]

    def _webhook(self, body: bytes, signature: str) -> requests.Response:
        headers = {"Sandbox-Signature": signature, "Content-Type": "application/json"}
        return self.send("POST", f"{WEBHOOKS}sandbox", data=body, headers=headers)


def messages() -> list[dict[str, Any]]:
    """Return messages of a provider that hold a card number where a message can hold one."""
    plain = {"id": f"evt_{MARK}", "type": "payment.succeeded", "created": 1, "data": {"mark": MARK}}
    numbers = {"mark": MARK, "number": NUMBER, "spaced": [SPACED], "whole": int(NUMBER), DASHED: {SPACED: {}}}
    return [
        {**plain, "note": SPACED, "data": numbers},
        {**plain, "id": f"evt_{MARK}_2", "type": f"charge {DASHED}", "data": numbers},
        {**plain, "id": NUMBER},
        # No message at all.
        {"mark": MARK, "number": SPACED, "whole": int(NUMBER)},
    ]


def refused(response: requests.Response) -> bool:
    return (response.status_code, response.json()["code"]) == (422, "card_number_refused")


def dumped(database: Callable[[str], Any], name: str) -> str:
    with database(name) as connection:
        tables = sa.inspect(connection).get_table_names()
        rows = [row for each in tables for row in connection.execute(sa.text(f'SELECT t::text FROM "{each}" t'))]
    return "\n".join(row[0] for row in rows)


def test_no_log_and_no_database_holds_a_card_number(
    stack: Stack, admin: Client, database: Callable[[str], Any], infrastructure: Infrastructure
) -> None:
    document = requests.get(f"{stack.url}/openapi.json", timeout=20).json()
    walk = Walk(stack, admin)
    for operation in operations(document):
        if operation.path.startswith(WEBHOOKS):
            continue
        if operation.body() is not None:
            walk.bodies(document, operation)
        walk.queries(operation)
    # What is not refused because of it, or not as such.
    for path in ("/api/v1/auth/introspect", "/api/v1/auth/revoke"):
        form = {"client_id": "c", "client_secret": "s", "token": SPACED}
        assert walk.send("POST", path, data=form, headers={"Content-Type": FORM}).status_code == 400
    kept = [sent for each in messages() for sent in walk.message(each)]
    for path in (f"/{NUMBER}", f"/api/v1/payments/{NUMBER}", f"/api/v1/payments/{DASHED}", f"/api/v1/users/{NUMBER}"):
        assert walk.send("GET", path).status_code == 404
    walk.send("GET", "/api/v1/payments", headers={"X-Request-ID": NUMBER, "traceparent": NUMBER})
    assert walk.number > 300
    statement = sa.text("select event_id, payload::text from webhook_notices where payload::text like :mark")
    with database("payments") as connection:
        stored = dict(connection.execute(statement, {"mark": f"%{MARK}%"}).all())
    # What the provider has proved is there, and only that; without the numbers.
    assert len(stored) == len(kept)
    assert all(HIDDEN in payload for payload in stored.values())

    def log() -> str:
        return stack.log("gateway")

    # All of it but the last, whose id was taken away, is told of: this is the right place to look.
    eventually(lambda: all(f'"walk-{number}"' in log() for number in range(1, walk.number)), within=20)
    seen = {
        "logs": stack.logs(),
        **{f"database {name}": dumped(database, name) for name in SERVICES.values()},
        **{f"log of {part.name}": part.log.read_text(errors="replace") for part in infrastructure.parts},
    }
    assert {name for name, text in seen.items() for each in SPELLINGS if each in text} == set()


def test_what_is_not_a_card_number_is_not_refused(stack: Stack) -> None:
    client = Client(stack.url).register()
    metadata = {"order": ID, "at": "1767225600000", "telephone": "+4915112345670"}
    answer = client.pay(description=f"order {ID} of 1767225600000", metadata=metadata)
    assert answer.status_code == 201, answer.text
    assert client.get("/payments", params={"limit": "20"}).json()["data"][0]["metadata"]["order"] == ID
