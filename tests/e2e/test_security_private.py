"""Private registration: nobody but the mailbox gets to know whether an address is taken."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.e2e.client import PASSWORD, Client, unique_email
from tests.e2e.mailbox import Mailbox, text_of
from tests.support.stack import Stack

OTHER = "AnotherPass456!"


@pytest.fixture(scope="module")
def private(running_stack: Stack) -> Iterator[Stack]:
    running_stack.stop(["auth_svc"])
    running_stack.start("auth_svc", PRIVATE_REGISTRATION="1")
    yield running_stack
    running_stack.stop(["auth_svc"])
    running_stack.start("auth_svc")


def register(stack: Stack, email: str, password: str = PASSWORD) -> requests.Response:
    body = {"email": email, "password": password, "name": "Somebody"}
    return requests.post(f"{stack.url}/auth/register", json=body, timeout=20)


def test_a_taken_and_a_free_address_get_one_answer(private: Stack, mailbox: Mailbox) -> None:
    email = unique_email()
    answers = [register(private, email), register(private, email.upper(), OTHER)]
    assert {(each.status_code, each.content) for each in answers} == {(202, b"{}")}
    assert {tuple(sorted(each.headers)) for each in answers} == {tuple(sorted(answers[0].headers))}
    assert "token" not in text_of(mailbox.newest(email, "account_exists"))
    # Whoever was first has the account; the second one's password is nobody's.
    assert Client(private.url).login(email).get("/auth/me").status_code == 200
    refused = Client(private.url).post("/auth/login", {"email": email, "password": OTHER})
    assert refused.status_code == 401


def test_eight_at_once_for_one_address_get_one_answer(private: Stack, mailbox: Mailbox) -> None:
    email = unique_email()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: register(private, email), range(8)))
    assert {(each.status_code, each.content) for each in answers} == {(202, b"{}")}
    assert mailbox.newest(email, "verification")
    assert Client(private.url).login(email).get("/auth/me").json()["email"] == email


def test_what_is_wrong_with_the_request_itself_is_told(private: Stack) -> None:
    """That depends on nobody's account."""
    known = unique_email()
    register(private, known)
    for email in (known, unique_email()):
        answer = register(private, email, "password123")
        assert (answer.status_code, answer.json()["code"]) == (422, "weak_password")
