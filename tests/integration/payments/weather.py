"""A world for payments to survive in: a clock that steps, a provider that fails, processes that die."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from lib.errors import DomainError
from lib.ids import utc_now
from payments_svc.application.ports import Ports
from payments_svc.application.provider_ports import MethodDetails, Notice, Provider
from payments_svc.domain.orders import Order
from payments_svc.domain.outcome import MayHaveHappened, NotExecuted, Outcome

#: what becomes of an order on its way
FAULTS = ("unreachable", "busy", "lost", "late", "silent", "deaf")
#: where a process may die
POINTS = ("payment.after_claim", "payment.before_send", "payment.after_send", "payment.before_commit")
#: where somebody else may come in between: nothing is held there
GAPS = POINTS[:3]
#: how long an order is on its way that comes late: not for as long as it takes to be given up
DELAY = timedelta(minutes=50)


class Crash(BaseException):
    """The process ends here: nothing below catches it."""


class Clock:
    """Time that goes when it is told to, and back, too."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.offset

    def step(self, by: timedelta) -> None:
        self.offset += by


class Stormy:
    """A provider, and the way to it, with a fault for the next order.

    ``unreachable`` and ``busy``: surely not executed. ``lost``: it never arrives, and nobody knows that. ``late``: it
    arrives when nobody waits for it any more. ``silent``: it is executed, and the answer is lost. ``deaf``: no question
    is answered, whatever was asked.
    """

    def __init__(self, provider: Provider, now: Callable[[], datetime]) -> None:
        self._provider = provider
        self._now = now
        self._on_its_way: list[tuple[datetime, Order]] = []
        self.fault: str | None = None
        self.executed = 0

    @property
    def name(self) -> str:
        return self._provider.name

    def check_payment_method(self, payment_method: str) -> None:
        self._provider.check_payment_method(payment_method)

    def describe(self, payment_method: str) -> MethodDetails:
        return self._provider.describe(payment_method)

    def execute(self, order: Order) -> Outcome:
        self.arrive()
        match self._next("unreachable", "busy", "lost", "late", "silent"):
            case "unreachable":
                return NotExecuted("provider_unreachable")
            case "busy":
                return NotExecuted("provider_busy", 1)
            case "lost":
                return MayHaveHappened()
            case "late":
                self._on_its_way.append((self._now() + DELAY, order))
                return MayHaveHappened()
            case "silent":
                self._provider.execute(order)
                return MayHaveHappened()
        self.executed += 1
        return self._provider.execute(order)

    def lookup(self, order: Order) -> Outcome | None:
        self.arrive()
        if self.fault == "deaf":
            return NotExecuted("provider_unreachable")
        return self._provider.lookup(order)

    def read_notice(self, body: bytes, signature: str, now: datetime) -> Notice:
        return self._provider.read_notice(body, signature, now)

    def interpret(self, payload: Any) -> Notice:
        return self._provider.interpret(payload)

    def arrive(self) -> None:
        """Execute what has been on its way for long enough."""
        now = self._now()
        arrived = [order for due, order in self._on_its_way if due <= now]
        self._on_its_way = [each for each in self._on_its_way if each[0] > now]
        for order in arrived:
            self._provider.execute(order)

    def _next(self, *faults: str) -> str | None:
        found = self.fault if self.fault in faults else None
        if found:
            self.fault = None
        return found


@dataclass
class World:
    """The ports of a service that may die, on a real database."""

    ports: Ports
    clock: Clock
    provider: Stormy
    armed: str | None = None
    gap: str | None = None
    meanwhile: Callable[[], None] | None = None

    def reached(self, point: str, detail: str = "") -> None:
        if self.meanwhile is not None and self.gap == point:
            other, self.meanwhile = self.meanwhile, None
            with self.storm():
                other()
        if self.armed == point:
            self.armed = None
            raise Crash(point)

    @contextmanager
    def storm(self, *, fault: str | None = None, crash: str | None = None) -> Iterator[None]:
        """Let the next order meet a fault, or the process die; a process that is dead does nothing more."""
        before = self.provider.fault, self.armed
        self.provider.fault, self.armed = fault, crash
        try:
            yield
        except Crash:
            pass
        finally:
            self.provider.fault, self.armed = before

    @contextmanager
    def interrupted(self, gap: str, other: Callable[[], None]) -> Iterator[None]:
        """Let another process do something in fair weather while this one is at a certain point."""
        self.gap, self.meanwhile = gap, other
        try:
            yield
        finally:
            self.meanwhile = None


def world(ports: Ports, sandbox: Callable[[Callable[[], datetime]], Provider]) -> World:
    """:param sandbox: makes the provider, by our clock"""
    clock = Clock()
    provider = Stormy(sandbox(clock), clock)
    made = World(ports, clock, provider)
    made.ports = replace(ports, provider=provider, providers={provider.name: provider}, now=clock, reached=made.reached)
    return made


def codes(calls: Iterable[Callable[[], Any]]) -> list[str | None]:
    """Return the code with which each call was refused, None for those that were not."""
    found: list[str | None] = []
    for call in calls:
        try:
            call()
            found.append(None)
        except DomainError as refusal:
            found.append(refusal.code)
    return found
