"""However often and however fast it is asked for over HTTP: once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.e2e.paying import Books, Payer
from tests.support.stack import Stack

AT_ONCE = 50


@pytest.fixture
def payer(stack: Stack) -> Payer:
    payer = Payer(stack.url)
    payer.register(name="Olga Once")
    return payer


def post(payer: Payer, path: str, body: dict[str, Any], key: str) -> requests.Response:
    """Post on a connection of its own."""
    headers = {"Authorization": f"Bearer {payer.tokens['access_token']}", "Idempotency-Key": key}
    return requests.post(payer.base + path, json=body, headers=headers, timeout=30)


def test_fifty_at_once_with_one_key_are_one_charge(payer: Payer, database: Any) -> None:
    body = {"amount": 1999, "currency": "EUR", "payment_method": "tok_visa"}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: post(payer, "/payments", body, "one-key"), range(AT_ONCE)))
    statuses = Counter(each.status_code for each in answers)
    assert set(statuses) <= {201, 409}, statuses
    assert {each.json()["code"] for each in answers if each.status_code == 409} <= {"idempotency_in_progress"}
    assert all(each.headers["Retry-After"] for each in answers if each.status_code == 409)
    good = [each for each in answers if each.status_code == 201]
    assert [each.headers.get("Idempotent-Replayed") for each in good].count(None) == 1
    # Whoever comes afterwards gets the same answer, byte for byte.
    good.append(post(payer, "/payments", body, "one-key"))
    assert len({each.content for each in good}) == 1
    books = Books(database, good[0].json()["id"])
    assert len(payer.get("/payments").json()["data"]) == 1
    assert (books.charges(), books.postings()) == ([("succeeded", 1999)], {"capture": [1999]})
    assert books.events() == ["payment.created", "payment.succeeded"]


def test_a_quoted_key_is_the_bare_one(payer: Payer) -> None:
    first = payer.pay(key="order-1")
    again = payer.pay(key='"order-1"')
    assert (again.content, again.headers["Idempotent-Replayed"]) == (first.content, "true")


@pytest.mark.parametrize("key", ["", '""', "x" * 256, '"' + "x" * 256 + '"', "zwei Worte"])
def test_what_is_no_key_is_refused(payer: Payer, key: str) -> None:
    body = {"amount": 1999, "currency": "EUR", "payment_method": "tok_visa"}
    answer = payer.post("/payments", body, headers={"Idempotency-Key": key})
    assert answer.status_code == 400
    assert answer.json()["code"] in ("invalid_idempotency_key", "idempotency_key_missing")
    assert payer.get("/payments").json()["data"] == []


@pytest.mark.parametrize("times", range(3))
def test_of_a_capture_and_a_cancellation_at_once_one_wins(payer: Payer, database: Any, times: int) -> None:
    payment_id = payer.authorized(1000)
    acts = ["capture", "cancel"] * 4
    with ThreadPoolExecutor(len(acts)) as pool:
        answers = list(
            pool.map(
                lambda each: post(payer, f"/payments/{payment_id}/{each[1]}", {}, f"{times}-{each[0]}"), enumerate(acts)
            )
        )
    good = [each.json()["status"] for each in answers if each.status_code == 200]
    assert len(good) == 1, [each.text for each in answers]
    assert {each.status_code for each in answers} == {200, 409}
    books = Books(database, payment_id)
    assert books.status() == (good[0], None)
    captured = good[0] == "succeeded"
    assert books.charges() == [("succeeded", 1000) if captured else ("voided", 0)]
    assert books.postings() == ({"capture": [1000]} if captured else {})


def test_twenty_refunds_at_once_give_back_no_more_than_was_captured(payer: Payer, database: Any) -> None:
    payment_id = payer.paid(1000)["id"]
    with ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(lambda n: post(payer, f"/payments/{payment_id}/refunds", {"amount": 90}, f"refund-{n}"), range(20))
        )
    assert Counter(each.status_code for each in answers) == {201: 11, 422: 9}
    books = Books(database, payment_id)
    assert books.given_back() == [("succeeded", 90)] * 11
    assert books.postings() == {"capture": [1000], "refund": [90] * 11, "refund_settlement": [90] * 11}
