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


def invite(stack: Stack, email: str) -> requests.Response:
    return requests.post(f"{stack.url}/users", json={"email": email, "name": "Somebody"}, timeout=20)


def verify(stack: Stack, mailbox: Mailbox, email: str) -> None:
    token = mailbox.token(email, "verification")
    answer = requests.post(f"{stack.url}/auth/email/verify", json={"token": token}, timeout=20)
    assert answer.status_code == 200


def one_answer(answers: list[requests.Response]) -> bool:
    """Tell whether they all are 202 without a word, with headers of the same names."""
    assert {(each.status_code, each.content) for each in answers} == {(202, b"{}")}
    return len({tuple(sorted(each.headers)) for each in answers}) == 1


def test_a_taken_and_a_free_address_get_one_answer(private: Stack, mailbox: Mailbox) -> None:
    email = unique_email()
    assert one_answer([register(private, email), register(private, email.upper(), OTHER)])
    assert "token" not in text_of(mailbox.newest(email, "account_exists"))
    # Whoever was first has the account, once the mailbox is shown to be theirs; the second one's password is nobody's.
    for password in (PASSWORD, OTHER):
        refused = Client(private.url).post("/auth/login", {"email": email, "password": password})
        assert refused.status_code == 401
    verify(private, mailbox, email)
    assert Client(private.url).login(email).get("/auth/me").status_code == 200
    refused = Client(private.url).post("/auth/login", {"email": email, "password": OTHER})
    assert refused.status_code == 401


def test_eight_at_once_for_one_address_get_one_answer(private: Stack, mailbox: Mailbox) -> None:
    email = unique_email()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: register(private, email), range(8)))
    assert one_answer(answers)
    verify(private, mailbox, email)
    assert Client(private.url).login(email).get("/auth/me").json()["email"] == email


def test_adding_a_user_tells_nobody_whether_the_address_is_taken(private: Stack, mailbox: Mailbox) -> None:
    taken, free = unique_email(), unique_email()
    register(private, taken)
    answers = [invite(private, email) for email in (taken, free)]
    # Of two claims that are asked for at the same moment, the older one is dropped if it is made last.
    assert mailbox.newest(free, "claim")
    answers += [invite(private, email) for email in (taken.upper(), free)]
    assert one_answer(answers)
    assert mailbox.newest(taken, "account_exists", count=2)
    assert not mailbox.all(taken, "claim")
    # Whose mailbox it is can claim the account, which has its profile as any other.
    claim = {"token": mailbox.token(free, "claim", count=2), "password": PASSWORD}
    owner = Client(private.url)
    answer = owner.post("/auth/claim", claim)
    assert answer.status_code == 200
    owner.tokens = answer.json()
    profile = owner.get("/users/profile")
    assert (profile.json()["email"], profile.json()["display_name"]) == (free, "Somebody")


def test_eight_at_once_to_add_one_user_get_one_answer(private: Stack, mailbox: Mailbox) -> None:
    email = unique_email()
    with ThreadPoolExecutor(8) as pool:
        assert one_answer(list(pool.map(lambda _: invite(private, email), range(8))))
    assert mailbox.newest(email, "claim")


def test_a_key_that_is_used_again_tells_nothing_either(private: Stack, mailbox: Mailbox) -> None:
    taken, free = unique_email(), unique_email()
    register(private, taken)
    headers = {"Idempotency-Key": free}
    answers = [
        requests.post(f"{private.url}/users", json={"email": email, "name": "Ann"}, headers=headers, timeout=20)
        for email in (taken, free, taken, free)
    ]
    assert one_answer(answers)
    assert mailbox.newest(free, "claim")


def test_what_is_wrong_with_the_request_itself_is_told(private: Stack) -> None:
    """That depends on nobody's account."""
    known = unique_email()
    register(private, known)
    for email in (known, unique_email()):
        answer = register(private, email, "password123")
        assert (answer.status_code, answer.json()["code"]) == (422, "weak_password")
