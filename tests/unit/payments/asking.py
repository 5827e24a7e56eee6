"""Requests to the use cases of payments, with everything that a test does not care about filled in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from lib.ids import new_id
from payments_svc.application.answers import Answer
from payments_svc.application.cancel_payment import cancel_payment
from payments_svc.application.capture_payment import capture_payment
from payments_svc.application.confirm_payment import confirm_payment
from payments_svc.application.create_payment import create_payment
from payments_svc.application.refund_payment import refund_payment
from payments_svc.domain.payment import Payment
from payments_svc.domain.payment_method import PaymentMethod
from tests.fakes.payments import NOON, FakeWorld

ANN, BOB = str(new_id()), str(new_id())


class Crash(BaseException):
    """The process ends here: nothing below catches it."""


def crash() -> None:
    raise Crash


def only(things: dict[UUID, Any]) -> Any:
    (one,) = things.values()
    return one


class Asking:
    """What customers and the staff ask for, about one payment unless another is named."""

    def __init__(self, world: FakeWorld) -> None:
        self.world = world

    @property
    def payment(self) -> Payment:
        return only(self.world.payments)

    def pay(self, payment_method: str | None = "tok_visa", **changes: Any) -> Answer:
        request = {"user_id": ANN, "amount": 1000, "currency": "EUR", "idempotency_key": "pay"}
        return create_payment(self.world.ports(), **{**request, "payment_method": payment_method, **changes})

    def authorize(self, payment_method: str = "tok_visa") -> Answer:
        return self.pay(payment_method, capture_method="manual")

    def confirm(self, **changes: Any) -> Answer:
        return self._ask(confirm_payment, {"idempotency_key": "confirm"}, changes)

    def capture(self, amount: int | None = None, **changes: Any) -> Answer:
        request = {"idempotency_key": "capture", "may_capture": True, "amount": amount}
        return self._ask(capture_payment, request, changes)

    def cancel(self, **changes: Any) -> Answer:
        return self._ask(cancel_payment, {"idempotency_key": "cancel"}, changes)

    def refund(self, amount: int | None = None, **changes: Any) -> Answer:
        request = {"idempotency_key": "refund", "may_refund": True, "amount": amount}
        return self._ask(refund_payment, request, changes)

    def _ask(self, use_case: Callable[..., Answer], request: dict[str, Any], changes: dict[str, Any]) -> Answer:
        payment_id = str(next(iter(self.world.payments), ""))
        return use_case(self.world.ports(), **{"user_id": ANN, "payment_id": payment_id, **request, **changes})

    def keep(self, token: str = "tok_visa", *, user_id: str = ANN, is_default: bool = False) -> str:
        """Keep a means of payment; return its id."""
        method = PaymentMethod(
            new_id(), UUID(user_id), "fake", token, "card", "visa", "4242", 12, 2039, NOON, is_default=is_default
        )
        self.world.database.committed.methods[method.id] = method
        return str(method.id)

    @contextmanager
    def dying(self, *, before: bool = False) -> Iterator[None]:
        """Let the process die once the provider has done what it was asked for, or before it was asked."""
        execute = self.world.provider.execute
        if before:
            self.world.provider.execute = lambda _: crash()  # type: ignore[method-assign]
        else:
            self.world.provider.during = crash
        with pytest.raises(Crash):
            yield
        self.world.provider.execute = execute  # type: ignore[method-assign]
        self.world.provider.asked.clear()

    def wait(self) -> None:
        """Let the time pass after which a process is taken for dead."""
        self.world.time += self.world.rules.patience

    @property
    def asked(self) -> list[str]:
        return [question for question, _ in self.world.provider.asked]
