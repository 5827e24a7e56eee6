"""Register → event → profile → payment → refund, through every process."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import requests
import sqlalchemy as sa

from lib.ids import rfc3339, utc_now
from lib.wire import connect
from tests.e2e.client import PASSWORD, Client, unique_email
from tests.support import databases
from tests.support.stack import Stack
from tests.support.waiting import eventually


def rows(database: Any, name: str, statement: str, **values: Any) -> list[Any]:
    with database(name) as connection:
        return list(connection.execute(sa.text(statement), values))


def test_registration_gives_tokens_and_the_own_profile_at_once(client: Client) -> None:
    email = unique_email()
    answer = client.post("/auth/register", {"email": email, "password": PASSWORD, "name": "John Doe"})
    assert answer.status_code == 201
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 900
    assert set(body["user"]) == {"id", "email", "name", "email_verified", "created_at"}
    assert body["user"]["email_verified"] is False
    client.tokens = body
    profile = client.get("/users/profile")
    assert profile.status_code == 200, profile.text
    assert (profile.json()["id"], profile.json()["email"]) == (body["user"]["id"], email)


def test_anybody_sees_the_public_profile_within_a_second(client: Client, stack: Stack) -> None:
    client.register(name="Ada Lovelace")
    seen = eventually(lambda: _ok(requests.get(f"{stack.url}/users/{client.user_id}", timeout=5)), within=1.0)
    assert seen["display_name"] == "Ada Lovelace"
    assert "email" not in seen


def _ok(answer: requests.Response) -> Any:
    return answer.json() if answer.status_code == 200 else None


def test_the_event_creates_profile_and_customer_once(client: Client, database: Any) -> None:
    client.register()
    values = {"id": client.user_id}
    eventually(lambda: rows(database, "users", "select 1 from profiles where id = :id", **values))
    eventually(lambda: rows(database, "payments", "select 1 from customers where id = :id", **values))
    events = rows(
        database,
        "auth",
        "select envelope from outbox where type = 'user.registered' and envelope->>'subject' = :id",
        **values,
    )
    assert len(events) == 1


def test_eight_registrations_of_one_address_make_one_account_profile_and_event(stack: Stack, database: Any) -> None:
    email = unique_email()
    body = {"email": email, "password": PASSWORD, "name": "Race"}

    def register(number: int) -> requests.Response:
        # Case differs: addresses are compared without it.
        address = email.upper() if number % 2 else email
        return requests.post(f"{stack.url}/auth/register", json={**body, "email": address}, timeout=20)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(register, range(8)))
    assert sorted(each.status_code for each in answers) == [201] + [409] * 7
    assert {each.json()["code"] for each in answers if each.status_code == 409} == {"email_taken"}
    user_id = next(each for each in answers if each.status_code == 201).json()["user"]["id"]
    eventually(lambda: rows(database, "users", "select 1 from profiles where id = :id", id=user_id))
    assert len(rows(database, "users", "select 1 from profiles where lower(email) = :email", email=email)) == 1
    events = rows(
        database,
        "auth",
        "select 1 from outbox where lower(envelope->'data'->>'email') = :email and type = 'user.registered'",
        email=email,
    )
    assert len(events) == 1


def test_login_refresh_and_logout(client: Client) -> None:
    email = unique_email()
    client.register(email=email)
    login = Client(client.base.removesuffix("/api/v1"))
    answer = login.post("/auth/login", {"email": email, "password": PASSWORD})
    assert answer.status_code == 200
    login.tokens = answer.json()
    wrong = login.post("/auth/login", {"email": email, "password": "WrongPass123!"})
    unknown = login.post("/auth/login", {"email": unique_email(), "password": PASSWORD})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json()["code"] == unknown.json()["code"] == "invalid_credentials"

    first = login.tokens["refresh_token"]
    refreshed = login.post("/auth/refresh", {"refresh_token": first})
    again = login.post("/auth/refresh", {"refresh_token": first})
    assert refreshed.status_code == again.status_code == 200
    assert refreshed.json()["refresh_token"] == again.json()["refresh_token"] != first

    assert login.post("/auth/logout").status_code == 204
    after = login.post("/auth/refresh", {"refresh_token": refreshed.json()["refresh_token"]})
    assert after.status_code == 401
    # The other session of the same account lives on.
    assert client.post("/auth/refresh", {"refresh_token": client.tokens["refresh_token"]}).status_code == 200


def test_the_second_source_documents_call_creates_a_user_synchronously(stack: Stack, database: Any) -> None:
    email = unique_email()
    created = requests.post(f"{stack.url}/users", json={"email": email, "name": "Jane"}, timeout=20)
    assert created.status_code == 201, created.text
    assert created.json() == {"id": created.json()["id"], "email": email, "name": "Jane"}
    user_id = created.json()["id"]
    assert rows(database, "users", "select display_name from profiles where id = :id", id=user_id) == [("Jane",)]
    assert rows(database, "auth", "select status from accounts where id = :id", id=user_id) == [("invited",)]
    assert requests.get(f"{stack.url}/users/{user_id}", timeout=5).status_code == 200
    taken = requests.post(f"{stack.url}/users", json={"email": email, "name": "Eve"}, timeout=20)
    assert (taken.status_code, taken.json()["code"]) == (409, "email_taken")
    register = requests.post(
        f"{stack.url}/auth/register", json={"email": email, "password": PASSWORD, "name": "Eve"}, timeout=20
    )
    assert (register.status_code, register.json()["code"]) == (409, "email_taken")


def test_a_payment_and_its_refunds(client: Client) -> None:
    client.register()
    paid = client.pay(1999, key="order-1")
    assert paid.status_code == 201, paid.text
    assert paid.json()["status"] == "succeeded"
    payment_id = paid.json()["id"]
    again = client.pay(1999, key="order-1")
    assert (again.status_code, again.json()) == (201, paid.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in paid.headers
    other = client.pay(2000, key="order-1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")

    part = client.refund(payment_id, key="refund-1", amount=999)
    assert part.status_code == 201, part.text
    assert part.json()["amount"] == 999
    too_much = client.refund(payment_id, amount=1001)
    assert (too_much.status_code, too_much.json()["code"]) == (422, "refund_exceeds_captured")
    rest = client.refund(payment_id)
    assert (rest.status_code, rest.json()["amount"]) == (201, 1000)
    assert client.refund(payment_id, key="refund-1", amount=999).json() == part.json()
    assert client.get(f"/payments/{payment_id}").json()["amount_refunded"] == 1999


def test_a_decline_is_a_402_and_the_payment_stays_readable(client: Client) -> None:
    client.register()
    declined = client.pay(payment_method="tok_insufficient_funds")
    assert declined.status_code == 402
    problem = declined.json()
    assert (problem["code"], problem["decline_code"]) == ("payment_declined", "insufficient_funds")
    assert client.get(f"/payments/{problem['payment_id']}").json()["status"] == "requires_payment_method"


def test_nobody_sees_anothers_payment(client: Client, stack: Stack) -> None:
    client.register()
    payment_id = client.pay().json()["id"]
    stranger = Client(stack.url).register()
    assert stranger.get(f"/payments/{payment_id}").status_code == 404
    assert stranger.refund(payment_id).status_code == 404
    assert Client(stack.url).get(f"/payments/{payment_id}").status_code == 401


def test_payments_know_the_customer_before_the_event_arrives(stack: Stack, database: Any) -> None:
    """The event is held back: its queue is not bound while the account registers and pays."""
    binding = {
        "queue": "evt-auth_svc-user.registered--payments_svc.on_user_registered",
        "exchange": "auth_svc.events",
        "routing_key": "user.registered",
    }
    with connect(stack.environment["AMQP_URI"], name="test", heartbeat=10) as connection:
        channel = connection.channel()
        channel.queue_unbind(**binding)
        try:
            client = Client(stack.url).register()
            sent = "select 1 from outbox where envelope->>'subject' = :id and sent_at is not null"
            eventually(lambda: rows(database, "auth", sent, id=client.user_id))
            customers = "select 1 from customers where id = :id"
            assert rows(database, "payments", customers, id=client.user_id) == []
            assert client.pay().status_code == 201
            assert len(rows(database, "payments", customers, id=client.user_id)) == 1
        finally:
            channel.queue_bind(**binding)


def test_events_can_be_sent_again_after_a_broker_has_lost_its_data(stack: Stack, database: Any) -> None:
    client = Client(stack.url).register()
    eventually(lambda: rows(database, "users", "select 1 from profiles where id = :id", id=client.user_id))
    began = rfc3339(utc_now() - timedelta(hours=1))
    with database("users") as connection:
        for table in ("profiles", "inbox"):
            column = "id" if table == "profiles" else "event_id"
            value = (
                client.user_id
                if table == "profiles"
                else rows(
                    database,
                    "auth",
                    "select event_id from outbox where type = 'user.registered' and envelope->>'subject' = :id",
                    id=client.user_id,
                )[0][0]
            )
            connection.execute(sa.text(f"delete from {table} where {column} = :value"), {"value": value})
    assert requests.get(f"{stack.url}/users/{client.user_id}", timeout=5).status_code == 404
    again = subprocess.run(
        [sys.executable, "-m", "lib.cli", "auth_svc", "resend-events", "--since", began],
        cwd=databases.ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    eventually(lambda: requests.get(f"{stack.url}/users/{client.user_id}", timeout=5).status_code == 200)


def test_the_aliases_are_the_same_routes(client: Client, stack: Stack) -> None:
    client.register()
    headers = {"Authorization": f"Bearer {client.tokens['access_token']}"}
    for prefix in ("/api/v1", "/api", ""):
        answer = requests.get(f"{stack.url}{prefix}/users/profile", headers=headers, timeout=5)
        assert (prefix, answer.status_code) == (prefix, 200)


def test_one_request_id_leads_from_the_gateway_to_the_subscriber(stack: Stack, database: Any) -> None:
    request_id = f"trace-{time.time_ns()}"
    email = unique_email()
    answer = requests.post(
        f"{stack.url}/auth/register",
        json={"email": email, "password": PASSWORD, "name": "Trace"},
        headers={"X-Request-ID": request_id},
        timeout=20,
    )
    assert answer.headers["X-Request-ID"] == request_id
    for process in ("gateway", "auth_svc", "users_svc", "payments_svc"):
        eventually(lambda process=process: request_id in stack.log(process), within=5)
    stored = rows(
        database,
        "auth",
        "select count(*) from outbox where headers->>'correlation_id' = :id and envelope->>'correlation_id' = :id",
        id=request_id,
    )
    assert stored[0][0] >= 1


def test_no_log_line_holds_a_secret(client: Client, stack: Stack) -> None:
    client.register()
    assert client.pay().status_code == 201
    logs = stack.logs()
    for secret in (PASSWORD, client.tokens["access_token"], client.tokens["refresh_token"], "$argon2"):
        assert secret not in logs
