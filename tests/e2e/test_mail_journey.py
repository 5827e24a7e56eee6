"""What goes through a mailbox: from the request at the gateway to the mail's link and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from tests.e2e.client import PASSWORD, Client, unique_email
from tests.e2e.mailbox import Mailbox, text_of
from tests.support.stack import Stack
from tests.support.waiting import eventually

NEW_PASSWORD = "AnotherPass456!"


def post(stack: Stack, path: str, **body: Any) -> requests.Response:
    return requests.post(f"{stack.url}/api/v1{path}", json=body, timeout=20)


def profile_email(client: Client) -> Any:
    return client.get("/users/profile").json()["email"]


def test_an_address_is_verified_by_the_link_once_and_again(client: Client, stack: Stack, mailbox: Mailbox) -> None:
    email = unique_email()
    client.register(email=email)
    token = mailbox.token(email, "verification")
    for expected in ("verified", "already_verified"):
        answer = post(stack, "/auth/email/verify", token=token)
        assert (answer.status_code, answer.json()) == (200, {"status": expected})
    assert client.get("/auth/me").json()["email_verified"] is True


def test_an_address_is_verified_by_the_code(client: Client, mailbox: Mailbox) -> None:
    email = unique_email()
    client.register(email=email)
    code = mailbox.code(email, "verification")
    wrong = client.post("/auth/email/verify", {"code": f"{(int(code) + 1) % 10**6:06}"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_code")
    assert client.post("/auth/email/verify", {"code": code}).json() == {"status": "verified"}


def test_the_page_behind_the_link_changes_nothing(client: Client, stack: Stack, mailbox: Mailbox) -> None:
    email = unique_email()
    client.register(email=email)
    token = mailbox.token(email, "verification")
    for method in ("GET", "HEAD"):
        page = requests.request(method, f"{stack.url}/pages/verify-email", timeout=10)
        assert page.status_code == 200
        assert page.headers["Referrer-Policy"] == "no-referrer"
    assert token not in requests.get(f"{stack.url}/pages/verify-email", timeout=10).text
    assert client.get("/auth/me").json()["email_verified"] is False


def test_another_verification_mail_replaces_the_first(client: Client, stack: Stack, mailbox: Mailbox) -> None:
    email = unique_email()
    client.register(email=email)
    first = mailbox.token(email, "verification")
    assert client.post("/auth/email/verification").status_code == 202
    second = mailbox.token(email, "verification", count=2)
    assert post(stack, "/auth/email/verify", token=first).json()["code"] == "invalid_or_expired_token"
    assert post(stack, "/auth/email/verify", token=second).status_code == 200


def test_a_forgotten_password_is_reset_and_every_session_ends(client: Client, stack: Stack, mailbox: Mailbox) -> None:
    email = unique_email()
    client.register(email=email)
    assert post(stack, "/auth/password/forgot", email=email.upper()).status_code == 202
    token = mailbox.token(email, "password_reset")
    answer = post(stack, "/auth/password/reset", token=token, new_password=NEW_PASSWORD)
    assert (answer.status_code, answer.content) == (204, b"")
    # Nobody is signed in by it, and whoever was is out, at the gateway within a second.
    eventually(lambda: client.get("/auth/me").status_code == 401, within=1)
    assert post(stack, "/auth/login", email=email, password=PASSWORD).status_code == 401
    assert Client(stack.url).login(email, NEW_PASSWORD).get("/auth/me").status_code == 200
    assert mailbox.newest(email, "password_changed")
    again = post(stack, "/auth/password/reset", token=token, new_password="ThirdPass789!")
    assert (again.status_code, again.json()["code"]) == (422, "invalid_or_expired_token")


def test_who_is_unknown_gets_the_same_answer_and_no_mail(client: Client, stack: Stack, mailbox: Mailbox) -> None:
    known, unknown = unique_email(), unique_email()
    client.register(email=known)
    answers = [post(stack, "/auth/password/forgot", email=each) for each in (unknown, known)]
    assert {(each.status_code, each.content) for each in answers} == {(202, b"{}")}
    mailbox.newest(known, "password_reset")
    assert mailbox.all(unknown) == []


def test_a_changed_password_ends_the_other_sessions(client: Client, stack: Stack, mailbox: Mailbox) -> None:
    email = unique_email()
    client.register(email=email)
    other = Client(stack.url).login(email)
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert (
        client.post("/auth/password/change", {**body, "current_password": "wrong"}).json()["code"] == "wrong_password"
    )
    assert client.post("/auth/password/change", body).status_code == 204
    eventually(lambda: other.get("/auth/me").status_code == 401, within=1)
    assert client.get("/auth/me").status_code == 200
    assert mailbox.newest(email, "password_changed")


def test_an_account_moves_to_another_address_and_back(client: Client, stack: Stack, mailbox: Mailbox) -> None:
    old, new = unique_email(), unique_email()
    client.register(email=old)
    assert post(stack, "/auth/email/verify", token=mailbox.token(old, "verification")).status_code == 200
    body = {"new_email": new, "current_password": PASSWORD}
    assert client.post("/auth/email/change", body).status_code == 202
    token, back = mailbox.token(new, "email_change"), mailbox.token(old, "email_change_notice")
    assert client.get("/auth/me").json()["email"] == old
    answer = post(stack, "/auth/email/change/confirm", token=token)
    assert (answer.status_code, answer.json()) == (200, {"email": new})
    eventually(lambda: profile_email(client) == new, within=2)
    answer = post(stack, "/auth/email/change/revert", token=back)
    assert (answer.status_code, answer.json()) == (200, {"email": old})
    eventually(lambda: client.get("/auth/me").status_code == 401, within=1)
    assert post(stack, "/auth/login", email=new, password=PASSWORD).status_code == 401
    reset = mailbox.token(old, "password_reset")
    assert post(stack, "/auth/password/reset", token=reset, new_password=NEW_PASSWORD).status_code == 204
    owner = Client(stack.url).login(old, NEW_PASSWORD)
    eventually(lambda: profile_email(owner) == old, within=2)


def test_an_invited_owner_claims_the_account(client: Client, stack: Stack, mailbox: Mailbox) -> None:
    email = unique_email()
    invited = requests.post(f"{stack.url}/users", json={"email": email, "name": "Grace Hopper"}, timeout=20).json()
    mail = mailbox.newest(email, "claim")
    # A stranger chose the name.
    assert "Grace" not in text_of(mail)
    refused = post(stack, "/auth/register", email=email, password=PASSWORD, name="Mallory")
    assert (refused.status_code, refused.json()["code"]) == (409, "email_taken")
    token = mailbox.token(email, "claim", count=2)
    answer = post(stack, "/auth/claim", token=token, password=PASSWORD)
    assert answer.status_code == 200, answer.text
    client.tokens = answer.json()
    assert client.user_id == invited["id"]
    assert client.get("/users/profile").json()["display_name"] == "Grace Hopper"
    assert client.get("/auth/me").json()["email_verified"] is True
    assert client.pay().status_code == 201


def test_a_mail_waits_for_its_server_and_is_not_lost(
    client: Client, stack: Stack, mailbox: Mailbox, database: Any
) -> None:
    email = unique_email()
    stack.mail.mkdir(exist_ok=True)
    stack.mail.rename(away := stack.mail.with_name("away"))
    stack.mail.write_text("no folder")
    try:
        client.register(email=email)

        def refused() -> int:
            with database("auth") as connection:
                statement = "select count(*) from one_time_tokens where account_id = :id"
                return int(connection.execute(sa.text(statement), {"id": client.user_id}).scalar_one())

        eventually(refused, within=5)
    finally:
        stack.mail.unlink()
        away.rename(stack.mail)
    assert mailbox.token(email, "verification")
    assert len(mailbox.all(email)) == 1


@pytest.mark.faults
@pytest.mark.parametrize("point", ["mail.before_send", "mail.after_send"])
def test_a_killed_mail_worker_sends_the_mail_after_all(
    client: Client, stack: Stack, mailbox: Mailbox, point: str
) -> None:
    """If it dies after the mail is out, a second copy goes out: the same mail, with the same link."""
    email = unique_email()
    stack.stop(["auth_svc"])
    stack.start("auth_svc", FAULT_POINT=point)
    client.register(email=email)
    assert stack.wait_end("auth_svc") == -9
    first = [mailbox.token(email, "verification")] if point == "mail.after_send" else []
    before = set(map(_written, mailbox.files(email)))
    assert len(before) == len(first)
    stack.start("auth_svc")
    eventually(lambda: set(map(_written, mailbox.files(email))) - before)
    assert len(mailbox.all(email)) == 1
    token = mailbox.token(email, "verification")
    assert first in ([], [token])
    assert post(stack, "/auth/email/verify", token=token).status_code == 200


def _written(file: Path) -> tuple[str, int]:
    """Return what tells one writing of a file from another."""
    return file.name, file.stat().st_ino
