"""What the tests of payments over HTTP share: a customer who pays, and a look into the tables."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import requests

from tests.e2e.client import Client
from tests.e2e.test_main_journey import rows
from tests.support.waiting import eventually

Rows = Callable[..., list[Any]]


class Payer(Client):
    """A client that does all that can be done with a payment."""

    def change(self, payment_id: str, what: str, *, key: str | None = None, **fields: Any) -> requests.Response:
        """``confirm``, ``capture`` or ``cancel`` a payment."""
        headers = {"Idempotency-Key": key or secrets.token_hex(8)}
        return self.post(f"/payments/{payment_id}/{what}", fields, headers=headers)

    def paid(self, amount: int = 1999, **fields: Any) -> dict[str, Any]:
        """Pay, and return the payment."""
        answer = self.pay(amount, **fields)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def authorized(self, amount: int = 1000, **fields: Any) -> str:
        """Have an amount set aside, and return the payment's id."""
        payment = self.paid(amount, capture_method="manual", **fields)
        assert payment["status"] == "requires_capture", payment
        return str(payment["id"])

    def payment(self, payment_id: str) -> dict[str, Any]:
        answer = self.get(f"/payments/{payment_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def reaches(self, payment_id: str, status: str, within: float = 15.0) -> dict[str, Any]:
        """Wait until the payment has the status, and return it."""

        def there() -> dict[str, Any]:
            payment = self.payment(payment_id)
            assert payment["status"] == status
            return payment

        return eventually(there, within=within, every=0.1)

    def refunds_reach(self, payment_id: str, *statuses: str, within: float = 15.0) -> list[dict[str, Any]]:
        """Wait until the payment's refunds have these statuses, and return them."""

        def there() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = self.get(f"/payments/{payment_id}/refunds").json()["data"]
            assert sorted(each["status"] for each in found) == sorted(statuses)
            return found

        return eventually(there, within=within, every=0.1)


class Books:
    """What is written about one payment, by us and by the sandbox."""

    def __init__(self, database: Any, payment_id: str) -> None:
        self._database, self._id = database, payment_id

    def _rows(self, statement: str, name: str = "payments") -> list[tuple[Any, ...]]:
        return [tuple(each) for each in rows(self._database, name, statement, id=self._id)]

    def status(self) -> tuple[str, str | None]:
        """Return the payment's status and the operation that is open, if one is."""
        ((status, operation),) = self._rows("select status, operation from payments where id = :id")
        return status, operation

    def refunds(self) -> list[tuple[str, int]]:
        return self._rows("select status, amount from refunds where payment_id = :id order by id")

    def charges(self) -> list[tuple[str, int]]:
        """Return status and captured amount of what the sandbox has charged for the payment."""
        return self._rows("select status, amount_captured from sandbox_charges where payment_id = :id")

    def given_back(self) -> list[tuple[str, int]]:
        return self._rows(
            "select r.status, r.amount from sandbox_refunds r join sandbox_charges c"
            " on c.attempt_id = r.charge_attempt_id where c.payment_id = :id"
        )

    def postings(self) -> dict[str, list[int]]:
        """Return the amounts debited, by kind of posting."""
        found: dict[str, list[int]] = {}
        statement = "select kind, amount from ledger_entries where payment_id = :id and amount > 0 order by id"
        for kind, amount in self._rows(statement):
            found.setdefault(kind, []).append(amount)
        return found

    def balanced(self) -> bool:
        return self._rows("select coalesce(sum(amount), 0) from ledger_entries where payment_id = :id") == [(0,)]

    def events(self, *, sent: bool | None = None) -> list[str]:
        """Return the types of the payment's events."""
        told = "" if sent is None else f" and (sent_at is not null) = {sent}"
        return [
            each
            for (each,) in self._rows(
                f"select type from outbox where envelope->>'subject' = :id and type like 'payment.%'{told}"
                " order by position"
            )
        ]

    def notifications(self, user_id: str) -> list[str]:
        """Return the types of what the customer was told."""
        statement = "select type from notifications where user_id = :id order by number"
        return [each for (each,) in rows(self._database, "users", statement, id=user_id)]
