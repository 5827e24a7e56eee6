"""What the contract tests of providers stand on: tokens, orders, and what an adapter's suite has to give."""

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, ClassVar

import pytest

from lib.ids import new_id, utc_now
from payments_svc.application.provider_ports import Notice, Provider
from payments_svc.domain.orders import Authentication, Capture, Charge, GiveBack, Order, Void
from payments_svc.domain.outcome import (
    Authorized,
    Outcome,
    Succeeded,
)

AMOUNT = 1000


def charge_of(token: str, *, capture: bool = True, amount: int = AMOUNT) -> Charge:
    return Charge(new_id(), new_id(), amount, "EUR", token, capture)


def refund_of(charge: Charge, amount: int) -> GiveBack:
    return GiveBack(new_id(), charge, amount)


def every_order(charge: Charge) -> list[Order]:
    return [
        charge,
        Authentication(new_id(), charge, "succeed"),
        Capture(new_id(), charge, 1),
        Void(new_id(), charge),
        refund_of(charge, 1),
    ]


def took(outcome: Outcome | None, amount: int) -> bool:
    """Tell whether money was moved; a provider that says how much says the right amount."""
    return isinstance(outcome, Succeeded) and outcome.amount in (None, amount)


def at_once(pool: ThreadPoolExecutor, provider: Provider, orders: list[Any]) -> list[Outcome]:
    start = Barrier(len(orders))

    def execute(order: Order) -> Outcome:
        start.wait()
        return provider.execute(order)

    return list(pool.map(execute, orders))


class ContractSetting(ABC):
    """An adapter's suite also has a fixture ``provider``: the adapter, new for each test."""

    good = "tok_visa"
    declines: ClassVar[dict[str, str]] = {
        "tok_declined": "declined",
        "tok_insufficient_funds": "insufficient_funds",
        "tok_expired_card": "expired_card",
        "tok_lost_card": "lost_card",
    }
    asks_customer = "tok_3ds"
    slow = "tok_async"
    slow_decline = "tok_async_fail"
    silent = "tok_timeout"
    unreachable = "tok_unreachable"
    failing_once = "tok_error"
    busy_once = "tok_rate_limited"
    silent_capture = "tok_capture_timeout"
    silent_void = "tok_cancel_timeout"
    silent_refund = "tok_refund_timeout"
    slow_refund = "tok_refund_pending"
    returned_refund = "tok_refund_fail"
    capture_refused = "tok_capture_refused"
    unknown = "pm_nobody_knows"

    @abstractmethod
    def let_time_pass(self, provider: Provider) -> None:
        """Let the provider settle what is slow; authorizations do not end by it."""

    @abstractmethod
    def let_authorizations_end(self, provider: Provider) -> None:
        """Let all that is set aside go back, as it does when nobody captures it."""

    @abstractmethod
    def told(self, provider: Provider) -> list[tuple[bytes, str]]:
        """Return what the provider has to tell of all that was asked of it: bodies, each with a signature of now."""

    def of_unknown_type(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Return a message as it would be if it were of a type of which the adapter has never heard."""
        return {**payload, "type": "eclipse.predicted"}

    def read_all(self, provider: Provider) -> list[Notice]:
        return [provider.read_notice(body, signature, utc_now()) for body, signature in self.told(provider)]

    @pytest.fixture
    def taken(self, provider: Provider) -> Charge:
        """A charge that took 1000."""
        charge = charge_of(self.good)
        assert took(provider.execute(charge), AMOUNT)
        return charge

    @pytest.fixture
    def held(self, provider: Provider) -> Charge:
        """A charge of which 1000 are set aside."""
        charge = charge_of(self.good, capture=False)
        assert isinstance(provider.execute(charge), Authorized)
        return charge
