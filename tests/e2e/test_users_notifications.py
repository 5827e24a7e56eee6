"""Notifications from an event of any service to the inbox, through the whole product."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.client import Client, unique_email
from tests.e2e.mailbox import Mailbox
from tests.support.smtp import SmtpServer
from tests.support.stack import Stack
from tests.support.waiting import eventually

FOLDER = "/users/notifications"


def inbox(client: Client, **query: Any) -> dict[str, Any]:
    answer = client.get(FOLDER, params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def types(client: Client) -> list[str]:
    return [each["type"] for each in inbox(client)["data"]]


def test_an_inbox_is_fed_by_all_services_and_is_its_owners_alone(stack: Stack) -> None:
    ann, bob = Client(stack.url).register(name="Ann"), Client(stack.url).register(name="Bob")
    assert inbox(ann) == {"data": [], "next_cursor": None, "unread": 0}

    began = time.monotonic()
    assert ann.pay().status_code == 201
    eventually(lambda: types(ann) == ["payment_succeeded"])
    assert time.monotonic() - began < 5
    assert ann.pay(payment_method="tok_declined").status_code == 402
    eventually(lambda: types(ann) == ["payment_failed", "payment_succeeded"])
    page = inbox(ann)
    assert [each["number"] for each in page["data"]] == [2, 1]
    assert page["unread"] == 2
    assert page["data"][1]["data"]["amount"] == 1999

    # Somebody else's notification is as unknown as none.
    newest, oldest = (f"{FOLDER}/{each['id']}" for each in page["data"])
    for path in (newest, f"{FOLDER}/00000000-0000-7000-8000-000000000000", f"{FOLDER}/nothing"):
        for answer in (bob.post(f"{path}/read"), bob.request("DELETE", path)):
            assert (answer.status_code, answer.json()["code"]) == (404, "notification_not_found")
    assert inbox(ann)["unread"] == 2

    for _ in range(2):
        assert ann.post(f"{newest}/read").status_code == 204
    assert inbox(ann, unread="true")["data"] == page["data"][1:]
    assert ann.request("DELETE", newest).status_code == 204
    assert ann.request("DELETE", newest).status_code == 404
    assert ann.post(f"{FOLDER}/read-all", {"up_to": 0}).status_code == 204
    assert inbox(ann)["unread"] == 1
    assert ann.post(f"{FOLDER}/read-all").status_code == 204
    assert inbox(ann)["unread"] == 0
    assert ann.request("DELETE", oldest).status_code == 204
    assert inbox(ann) == {"data": [], "next_cursor": None, "unread": 0}
    assert inbox(bob) == {"data": [], "next_cursor": None, "unread": 0}


def test_cursors_that_were_changed_are_refused(stack: Stack) -> None:
    ann = Client(stack.url).register()
    for cursor in ("x", "AAAA", "ü", "%00"):
        answer = ann.get(FOLDER, params={"cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


def test_people_hear_of_their_followers_and_of_nobody_whom_they_block_or_mute(stack: Stack, database: Any) -> None:
    ann, bob, carl = (Client(stack.url).register(name=name) for name in ("Ann", "Bob", "Carl"))
    for each in (ann, bob, carl):
        assert each.get("/users/profile").status_code == 200
    assert ann.request("PUT", f"/users/{carl.user_id}/mute").status_code == 204
    for each in (carl, bob):
        assert each.request("PUT", f"/users/{ann.user_id}/follow").status_code == 204

    def dealt_with() -> int:
        """Return how many follows have been handled, whether they were told or not."""
        query = (
            "select count(*) from outbox join inbox using (event_id) where handler = 'notify'"
            " and type = 'user.followed' and envelope->'data'->>'followee_id' = :ann"
        )
        with database("users") as connection:
            return int(connection.scalar(sa.text(query), {"ann": ann.user_id}))

    eventually(lambda: dealt_with() == 2)
    told = eventually(lambda: inbox(ann)["data"])
    assert [(each["type"], each["actor"]["display_name"]) for each in told] == [("followed", "Bob")]

    # Who is blocked or muted hears nothing of it; who is blocked is not shown any more.
    assert ann.request("PUT", f"/users/{bob.user_id}/block").status_code == 204
    for each in (ann, bob, carl):
        assert each.pay().status_code == 201
    eventually(lambda: types(ann) == ["payment_succeeded", "followed"])
    # Theirs work, and what was done to them before would be in them by now.
    for each in (bob, carl):
        eventually(lambda each=each: types(each))
        assert types(each) == ["payment_succeeded"]


def proved(stack: Stack, database: Any) -> tuple[Client, str]:
    """Return somebody who has shown to read the mail to their address."""
    email = unique_email()
    ann = Client(stack.url).register(email=email)
    token = Mailbox(stack.mail).token(email, "verification")
    assert ann.post("/auth/email/verify", {"token": token}).status_code == 200

    def is_proved() -> bool:
        with database("users") as connection:
            asked = sa.text("select email_key from profiles where id = :id")
            return connection.scalar(asked, {"id": ann.user_id}) is not None

    eventually(is_proved)
    return ann, email


def mails_made_due(database: Any, client: Client) -> bool:
    """Let the minute, or the lease of the process that died, be over."""
    with database("users") as connection:
        statement = "update pending_notification_mails set due_at = now() where user_id = :id"
        found = connection.execute(sa.text(statement), {"id": client.user_id})
        connection.commit()
    return bool(found.rowcount)


def metric(stack: Stack, name: str, **labels: str) -> float | None:
    """Return a number that users_svc tells its operator, or None."""
    port = stack.environment["USERS_HTTP_PORT"]
    text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
    return next((each.value for each in samples if each.name == name and each.labels == labels), None)


def test_a_refresh_token_that_two_have_is_in_the_inbox_and_in_one_mail(stack: Stack, database: Any) -> None:
    """The mail is auth_svc's, which knew first."""
    ann, email = proved(stack, database)
    phone = Client(stack.url).login(email)
    tokens = [phone.tokens["refresh_token"]]
    for _ in range(2):
        answer = phone.post("/auth/refresh", {"refresh_token": tokens[-1]})
        tokens.append(answer.json()["refresh_token"])
    assert phone.post("/auth/refresh", {"refresh_token": tokens[0]}).json()["code"] == "refresh_reused"
    (told,) = eventually(lambda: inbox(ann)["data"])
    assert (told["type"], told["actor"]) == ("refresh_reused", None)
    assert set(told["data"]) == {"session_id"}
    Mailbox(stack.mail).newest(email, "session_ended")
    assert Mailbox(stack.mail).all(email, "refresh_reused") == []
    assert not mails_made_due(database, ann)
    assert ann.get("/users/notification-preferences").json()["types"]["refresh_reused"]["email"] is True


def test_what_becomes_of_mails_is_told_to_whoever_looks_after_the_system(stack: Stack, database: Any) -> None:
    ann, email = proved(stack, database)
    sent = {"kind": "payment_succeeded", "outcome": "sent", "reason": ""}
    before = metric(stack, "users_notification_mails_total", **sent) or 0
    assert ann.pay().status_code == 201
    eventually(lambda: mails_made_due(database, ann))
    Mailbox(stack.mail).newest(email, "payment_succeeded")
    eventually(lambda: metric(stack, "users_notification_mails_total", **sent) == before + 1)
    assert metric(stack, "users_notification_mails_waiting") is not None


@pytest.mark.faults
def test_a_process_killed_after_sending_a_mail_sends_the_same_one_again(stack: Stack, database: Any) -> None:
    """And the link in it ends such mails, without signing in."""
    ann, email = proved(stack, database)

    def make_due() -> bool:
        return mails_made_due(database, ann)

    with SmtpServer() as server:
        stack.stop(["users_svc"])
        try:
            stack.start("users_svc", FAULT_POINT="mail.after_send", SMTP_URL=server.url())
            assert ann.pay().status_code == 201
            eventually(make_due)
            assert stack.wait_end("users_svc") == -9
            assert [each.recipients for each in server.received] == [[email]]
            assert make_due()
            stack.start("users_svc", SMTP_URL=server.url())
            eventually(lambda: len(server.received) == 2)
            first, second = (each.message for each in server.received)
            assert first["Message-ID"] == second["Message-ID"]
            eventually(lambda: not make_due())

            link = second["List-Unsubscribe"].strip("<>")
            assert link.startswith(f"{stack.url}/api/v1/users/unsubscribe?token=")
            form = {"List-Unsubscribe": "One-Click"}
            # The service has just been started.
            eventually(lambda: Client(stack.url).http.post(link, data=form, timeout=20).status_code == 200)
            assert ann.pay(500).status_code == 201
            eventually(lambda: types(ann) == ["payment_succeeded", "payment_succeeded"])
            assert not make_due()
            assert len(server.received) == 2
        finally:
            stack.stop(["users_svc"])
            stack.start("users_svc")
