"""Events out of order, twice, and lost with the broker's data: the state of the subscriber is right in the end.

Stock Nameko 2.14.1 hands a late event to its handler like any other, seen with a stock service that ended "disabled"
after ``enabled`` 2, ``disabled`` 1; and it keeps no copy of what it has dispatched.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import amqp
import pytest
import requests

from deploy.local.infra import Infrastructure
from lib.ids import new_id, rfc3339, utc_now
from lib.wire import connect
from tests.e2e.client import Client
from tests.e2e.test_main_journey import rows
from tests.support import databases
from tests.support.stack import Stack
from tests.support.vhosts import Vhost
from tests.support.waiting import eventually, stays

WANTED = ("auth_svc", "users_svc")
PROFILE = "select profiles.email, email_sequence from profiles join account_states using (id) where id = :id"
SEEN = "select 1 from inbox where event_id = :id"


def publish(stack: Stack, user_id: str, event_type: str, sequence: int, *, copies: int, **data: Any) -> str:
    """Put an event of an account into the broker, past auth_svc, and return its id."""
    event_id = str(new_id())
    envelope = {
        "id": event_id,
        "type": event_type,
        "schema_version": 1,
        "occurred_at": rfc3339(utc_now()),
        "subject": user_id,
        "sequence": sequence,
        "correlation_id": f"corr-{event_id}",
        "data": {"id": user_id, **data},
    }
    message = amqp.Message(json.dumps(envelope), content_type="application/json", content_encoding="utf-8")
    with connect(stack.environment["AMQP_URI"], name="test", heartbeat=10, confirm_publish=True) as connection:
        for _ in range(copies):
            connection.channel().basic_publish_confirm(message, exchange="auth_svc.events", routing_key=event_type)
    return event_id


def register(stack: Stack, user_id: str, email: str, sequence: int, *, copies: int) -> str:
    data = {"email": email, "name": "Ada", "status": "active", "email_verified": False}
    return publish(stack, user_id, "user.registered", sequence, copies=copies, **data)


def test_late_and_doubled_events_of_an_account_leave_the_newest_state(stack: Stack, database: Any) -> None:
    user_id = str(new_id())
    for email, sequence in (("new@example.com", 2), ("old@example.com", 1), ("newest@example.com", 3)):
        event_id = register(stack, user_id, email, sequence, copies=3)
        # Two handlers of users_svc, each of which has seen the event once.
        eventually(lambda event_id=event_id: len(rows(database, "users", SEEN, id=event_id)) == 2)
        newest = "new@example.com" if sequence < 3 else "newest@example.com"
        assert rows(database, "users", PROFILE, id=user_id) == [(newest, max(2, sequence))]
    eventually(
        lambda: rows(database, "payments", "select count(*) from customers where id = :id", id=user_id) == [(1,)]
    )


def test_an_account_whose_events_come_backwards_ends_as_its_last_event_says(stack: Stack, database: Any) -> None:
    """What stock Nameko got wrong in the docstring above: ``enabled`` 2 before ``disabled`` 1."""
    user_id = str(new_id())
    customer = "select status from customers where id = :id"

    def tell(event_type: str, sequence: int) -> None:
        event_id = publish(stack, user_id, event_type, sequence, copies=2, reason="a test")
        for service in ("users", "payments"):
            eventually(lambda: rows(database, service, SEEN, id=event_id))  # noqa: B023  (called before the next turn)

    def status() -> int:
        return requests.get(f"{stack.url}/users/{user_id}", timeout=5).status_code

    tell("user.disabled", 4)
    register(stack, user_id, "ada@example.com", 1, copies=2)
    eventually(lambda: rows(database, "users", PROFILE, id=user_id))
    tell("user.enabled", 3)
    tell("user.disabled", 2)
    assert (status(), rows(database, "payments", customer, id=user_id)) == (404, [("disabled",)])
    tell("user.enabled", 6)
    tell("user.disabled", 5)
    assert (status(), rows(database, "payments", customer, id=user_id)) == (200, [("active",)])
    tell("user.deleted", 7)
    tell("user.enabled", 8)
    assert (status(), rows(database, "payments", customer, id=user_id)) == (404, [])
    register(stack, user_id, "ada@example.com", 1, copies=1)
    stays(lambda: not rows(database, "users", PROFILE, id=user_id), during=0.5)


@pytest.mark.faults
def test_a_broker_that_has_lost_its_data_gets_its_queues_and_its_events_back(
    lonely: Stack, infrastructure: Infrastructure, database: Any
) -> None:
    databases.migrate(lonely.environment, WANTED)
    lonely.start(*WANTED, "gateway", wait=False)
    for name in WANTED:
        lonely.wait_healthy(name)
    client = Client(lonely.url)
    eventually(lambda: client.http.get(f"{lonely.url}/health/live", timeout=2).status_code == 200)
    began = rfc3339(utc_now() - timedelta(seconds=5))
    known = eventually(lambda: _registered(lonely))
    eventually(lambda: _profile(database, known))
    lonely.stop(["users_svc"])
    lost = _registered(lonely)
    sent = "select 1 from outbox where envelope->>'subject' = :id and sent_at is not null"
    eventually(lambda: rows(database, "auth_lonely", sent, id=lost))

    vhost = Vhost(infrastructure, "lonely")
    vhost.remove()
    vhost.make()
    # auth_svc and the gateway have gone on running, and find back without hands.
    unheard = eventually(lambda: _registered(lonely), within=15)
    eventually(lambda: rows(database, "auth_lonely", sent, id=unheard))
    databases.migrate(lonely.environment, WANTED)
    lonely.start("users_svc", wait=False)
    lonely.wait_healthy("users_svc")
    stays(lambda: not _profile(database, lost) and not _profile(database, unheard), during=1.0)

    again = subprocess.run(
        [sys.executable, "-m", "lib.cli", "auth_svc", "resend-events", "--since", began],
        cwd=databases.ROOT,
        env=lonely.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert again.stdout.strip() == "to be sent again: 6", again.stderr  # three accounts, and a mail to each
    eventually(lambda: _profile(database, lost) and _profile(database, unheard))
    eventually(lambda: not rows(database, "auth_lonely", "select 1 from outbox where sent_at is null"))
    # Three accounts, one of them heard of twice: counted once.
    counted = "select sum(registrations) from member_statistics"
    eventually(lambda: rows(database, "users_lonely", counted) == [(3,)])
    stays(lambda: rows(database, "users_lonely", counted) == [(3,)], during=1.0)


def _registered(stack: Stack) -> str | None:
    """Return the id of a new account; None while the services cannot be reached."""
    client = Client(stack.url)
    try:
        return client.register().user_id
    except AssertionError:
        return None


def _profile(database: Any, user_id: str) -> bool:
    return bool(rows(database, "users_lonely", "select 1 from profiles where id = :id", id=user_id))
