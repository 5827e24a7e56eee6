"""Kept means of payment over HTTP: their tokens are told to nobody, and what is forgotten is charged no more."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.e2e.client import Client, unique_email
from tests.e2e.paying import Books, Payer
from tests.e2e.test_main_journey import rows
from tests.support.databases import ROOT
from tests.support.stack import Stack
from tests.support.waiting import eventually

# No other test keeps it. Its refunds arrive by a message of the provider.
TOKEN = "tok_refund_pending"


class Discreet(Payer):
    """A client that is told no kept token, whatever it asks."""

    answers = 0

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        answer = super().request(method, path, **options)
        assert TOKEN not in f"{answer.text} {answer.headers}", f"{method} {path}"
        self.answers += 1
        return answer

    def keep(self, token: str = TOKEN) -> str:
        answer = self.post("/payment-methods", {"provider": "sandbox", "token": token})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def forget(self, method_id: str) -> None:
        assert self.request("DELETE", f"/payment-methods/{method_id}").status_code == 204

    def pay_by_default(self, **options: Any) -> dict[str, Any]:
        body = {"amount": 1999, "currency": "EUR", "confirm": True}
        answer = self.post("/payments", body, headers={"Idempotency-Key": secrets.token_hex(8)}, **options)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())


@pytest.fixture
def payer(stack: Stack) -> Discreet:
    payer = Discreet(stack.url)
    payer.register(name="Paula Payer")
    return payer


@pytest.fixture
def staff(stack: Stack) -> Discreet:
    email, password = unique_email(), "Operators lantern #7"
    command = [sys.executable, "-m", "lib.cli", "auth_svc", "create-admin", email, "--password-stdin"]
    options: dict[str, Any] = {"cwd": ROOT, "env": stack.environment, "capture_output": True, "text": True}
    done = subprocess.run(command, input=password + "\n", timeout=60, check=False, **options)
    assert done.returncode == 0, done.stderr
    staff = Discreet(stack.url)
    staff.login(email, password)
    return staff


def code(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json()["code"])


def looks(payer: Discreet, staff: Discreet, payment_ids: list[str]) -> Iterator[tuple[Client, str]]:
    """Give all that can be read about these payments, and by whom."""
    for path in ("/payments", "/payment-methods", "/transactions", "/users/notifications"):
        yield payer, path
    for kind in ("csv", "ndjson"):
        yield payer, f"/transactions/export?format={kind}"
    yield staff, f"/admin/payments?customer_id={payer.user_id}"
    for payment_id in payment_ids:
        yield payer, f"/payments/{payment_id}"
        yield payer, f"/payments/{payment_id}/refunds"
        yield staff, f"/admin/payments/{payment_id}"
        yield staff, f"/admin/payments/{payment_id}/audit"


def test_no_answer_event_or_log_holds_the_token_of_a_kept_one(
    payer: Discreet, staff: Discreet, stack: Stack, database: Any
) -> None:
    kept = payer.keep()
    payments = [
        payer.paid(payment_method=kept),
        payer.pay_by_default(),
        payer.paid(payment_method=kept, capture_method="manual"),
        payer.paid(payment_method=kept, confirm=False),
        payer.paid(payment_method=kept, confirm=False),
    ]
    ids = [each["id"] for each in payments]
    payments += [
        payer.change(ids[2], "capture", key="capture-1").json(),
        payer.change(ids[3], "confirm", key="confirm-1").json(),
        payer.change(ids[4], "cancel", key="cancel-1").json(),
    ]
    assert [each["payment_method"] for each in payments] == [kept] * len(payments)
    assert [each["status"] for each in payments[-3:]] == ["succeeded", "succeeded", "canceled"]
    assert payer.refund(ids[0], amount=500).status_code == 201
    payer.refunds_reach(ids[0], "succeeded")
    eventually(lambda: "payment_refunded" in Books(database, ids[0]).notifications(payer.user_id))

    for turn in ("kept", "forgotten"):
        before = payer.answers, staff.answers
        for client, path in looks(payer, staff, ids):
            answer = client.get(path)
            assert answer.status_code == 200, f"{turn} {path}: {answer.text}"
        checked = staff.post(f"/admin/payments/{ids[0]}/check", {"reason": "a look"})
        assert (checked.status_code, checked.json()["payment_method"]) == (200, kept)
        again = payer.change(ids[3], "confirm", key="confirm-1")
        assert (again.json(), again.headers["Idempotent-Replayed"]) == (payments[6], "true")
        assert payer.answers - before[0] == 17
        assert staff.answers - before[1] == 12
        if turn == "kept":
            payer.forget(kept)

    claims = "select c::text from idempotency_claims c where user_id = :id"
    answers = [each for (each,) in rows(database, "payments", claims, id=payer.user_id)]
    assert sum(kept in each for each in answers) >= 5
    written = [*answers]
    for name, table in (
        ("payments", "outbox"),
        ("payments", "audit_entries"),
        ("payments", "webhook_notices"),
        ("payments", "payment_methods"),
        ("users", "notifications"),
    ):
        found = [each for (each,) in rows(database, name, f"select t::text from {table} t")]
        assert found, table
        written += found
    assert [each for each in written if TOKEN in each] == []
    assert TOKEN not in stack.logs()


def test_what_was_forgotten_is_not_charged_and_another_means_is(payer: Discreet, database: Any) -> None:
    kept = payer.keep()
    payer.keep("tok_visa")
    payment = payer.paid(payment_method=kept, confirm=False)
    payer.forget(kept)
    refused = payer.change(payment["id"], "confirm", key="confirm-1")
    assert code(refused) == (422, "payment_method_required")
    assert refused.json()["errors"][0]["pointer"] == "/payment_method"
    books = Books(database, payment["id"])
    assert (books.status(), books.charges(), books.postings()) == (("requires_confirmation", None), [], {})
    # No attempt is noted, so the key is as good as new.
    confirmed = payer.change(payment["id"], "confirm", key="confirm-1", payment_method="tok_visa")
    assert (confirmed.status_code, confirmed.json()["status"]) == (200, "succeeded")
    assert confirmed.json()["payment_method"] == "tok_visa"
    assert books.charges() == [("succeeded", 1999)]


def test_a_repetition_of_what_was_not_executed_charges_nothing_that_was_forgotten(
    payer: Discreet, database: Any
) -> None:
    kept = payer.keep("tok_error")
    assert code(payer.pay(key="order-1", payment_method=kept)) == (503, "provider_error")
    (payment,) = payer.get("/payments").json()["data"]
    assert payment["payment_method"] == kept
    payer.forget(kept)
    for _ in range(2):
        assert code(payer.pay(key="order-1", payment_method=kept)) == (422, "payment_method_required")
    books = Books(database, payment["id"])
    assert (books.charges(), books.postings()) == ([("error", 0)], {})
    assert payer.change(payment["id"], "confirm", payment_method="tok_visa").json()["status"] == "succeeded"
    assert payer.pay(key="order-1", payment_method=kept).json()["status"] == "succeeded"
    assert books.postings() == {"capture": [1999]}
