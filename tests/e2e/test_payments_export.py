"""An export of many transactions through the whole product, and what it says when something breaks on the way.

What breaks here breaks once the first lines are read: of the many pages, most are still to come.
"""

from __future__ import annotations

import csv
import io
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import requests
import sqlalchemy as sa

from gateway.routes.transactions import COLUMNS
from tests.e2e.client import Client, unique_email
from tests.support import databases
from tests.support.seeded_history import seed
from tests.support.stack import Stack
from tests.support.waiting import eventually

MANY = 6_000
WAIT, RPC_TIMEOUT = 2.0, 5.0
ENDED = "an export has ended"


class Download:
    """An export that is being read: so far, its beginning."""

    def __init__(self, client: Client, gateway: Stack, form: str) -> None:
        self._gateway = gateway
        self.request_id = f"export-{secrets.token_hex(6)}"
        self.response = requests.get(
            f"{gateway.url}/api/v1/transactions/export",
            params={"format": form},
            headers={"Authorization": f"Bearer {client.tokens['access_token']}", "X-Request-ID": self.request_id},
            stream=True,
            timeout=60,
        )
        assert self.response.status_code == 200
        self._chunks = self.response.iter_content(1024)
        self._begin = next(self._chunks)

    def outcome(self) -> dict[str, Any] | None:
        """Return what the gateway's log says of its end."""
        lines = [
            each for each in self._gateway.log("gateway").splitlines() if ENDED in each and self.request_id in each
        ]
        return json.loads(lines[0]) if lines else None

    def all(self) -> str:
        """Read to the end, which HTTP says is one."""
        return b"".join([self._begin, *self._chunks]).decode()

    def objects(self) -> list[dict[str, Any]]:
        """Read NDJSON to the end."""
        *lines, nothing = self.all().split("\n")
        assert nothing == ""
        return [json.loads(each) for each in lines]


@pytest.fixture(scope="module")
def email(running_stack: Stack) -> str:
    """Somebody with a long history."""
    email = unique_email()
    client = Client(running_stack.url).register(email=email, name="Ella Export")
    engine = databases.admin(
        databases.on_database(running_stack.environment["POSTGRES_SUPERUSER_URL"], databases.SERVICES["payments_svc"])
    )
    with engine.connect() as connection:
        seed(connection, UUID(client.user_id), MANY)
        # Past the service, so nobody has queued them for their seals; without those the books would be broken.
        queued = "insert into ledger_unsealed (row_id) select id from ledger_entries where customer_id = :id"
        connection.execute(sa.text(queued), {"id": client.user_id})
        # They are sealed in turn, and others would have to wait for that.
        unsealed = sa.text("select count(*) from ledger_unsealed")
        eventually(lambda: connection.execute(unsealed).scalar_one() == 0, within=30, every=0.1)
    engine.dispose()
    return email


@pytest.fixture
def client(stack: Stack, email: str) -> Client:
    """A session of its own."""
    return Client(stack.url).login(email)


@pytest.fixture
def hasty(stack: Stack, tmp_path: Path) -> Iterator[Stack]:
    """Another gateway of the same product, which gives up early."""
    other = Stack(stack.environment, tmp_path)
    other.start("gateway", wait=False, EXPORT_WAIT=str(WAIT))
    eventually(lambda: requests.get(f"{other.url}/health/ready", timeout=5).status_code == 200, within=30)
    yield other
    other.stop()


@pytest.fixture
def ids(client: Client, database: Any) -> list[str]:
    """What is in the history, newest first."""
    statement = "select id::text from ledger_entries where customer_id = :id and account = 'sales' order by id desc"
    with database("payments") as connection:
        return [row[0] for row in connection.execute(sa.text(statement), {"id": client.user_id})]


def test_an_export_goes_on_when_payments_svc_is_killed_and_started_again(
    stack: Stack, client: Client, ids: list[str]
) -> None:
    assert len(ids) == MANY
    download = Download(client, stack, "ndjson")
    stack.kill("payments_svc")
    assert download.outcome() is None, "it was over before anything broke"
    stack.start("payments_svc", wait=False)
    *rows, last = download.objects()
    assert last == {"type": "end", "rows": MANY}
    assert [row["id"] for row in rows] == ids
    eventually(lambda: download.outcome() is not None)
    told = download.outcome() or {}
    assert (told["outcome"], told["rows"]) == ("complete", MANY)
    stack.wait_healthy("payments_svc")


def test_what_is_not_complete_says_so_in_its_last_line(
    stack: Stack, hasty: Stack, client: Client, ids: list[str]
) -> None:
    downloads = [Download(client, hasty, form) for form in ("csv", "ndjson")]
    stack.kill("payments_svc")
    killed = time.monotonic()
    assert [each.outcome() for each in downloads] == [None, None], "they were over before anything broke"
    table, (*objects, last) = downloads[0].all(), downloads[1].objects()
    assert time.monotonic() - killed < WAIT + 3
    # A call that was on its way is waited for; of the next one it is known that nobody is there.
    codes = {"timeout", "service_unavailable"}
    assert (last.pop("code") in codes, last) == (True, {"type": "error"})
    assert [each["id"] for each in objects] == ids[: len(objects)]
    assert len(objects) < MANY
    head, *rows, end = csv.reader(io.StringIO(table, newline=""))
    assert tuple(head) == COLUMNS
    shown = dict(zip(COLUMNS, end, strict=True))
    assert shown.pop("description") in codes
    assert {name: value for name, value in shown.items() if value} == {"type": "error"}
    assert [row[1] for row in rows] == ids[: len(rows)]
    assert len(rows) < MANY


def test_an_export_does_not_outlive_its_session(stack: Stack, client: Client, email: str) -> None:
    other = Client(stack.url).login(email)
    ended, lives = Download(client, stack, "ndjson"), Download(other, stack, "ndjson")
    stack.kill("payments_svc")
    assert client.post("/auth/logout", {"refresh_token": client.tokens["refresh_token"]}).status_code == 204
    out = time.monotonic()
    *rows, last = ended.objects()
    # No more than the one call that was on its way.
    assert time.monotonic() - out < RPC_TIMEOUT + 2
    assert last == {"type": "error", "code": "session_ended"}
    assert len(rows) < MANY
    stack.start("payments_svc", wait=False)
    assert lives.objects()[-1] == {"type": "end", "rows": MANY}
    stack.wait_healthy("payments_svc")
