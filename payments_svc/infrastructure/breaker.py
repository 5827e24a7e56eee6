"""A circuit breaker around a provider: one that fails again and again is left alone for a while.

Waiting for a provider that is down costs each customer the whole PROVIDER_TIMEOUT and us a worker, and a provider that
struggles is not helped by more calls. Of our own, because pybreaker holds its lock during each call, so that calls
would wait for one another; because it counts exceptions, and what a provider does is a value here; and because it
knows no `Retry-After`.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import IntEnum
from typing import Any

from prometheus_client import Counter, Gauge

from lib import logs
from payments_svc.application.provider_ports import MethodDetails, Notice, Provider
from payments_svc.domain.orders import Order
from payments_svc.domain.outcome import MayHaveHappened, NotExecuted, Outcome

log = logs.get(__name__)

STATE = Gauge(
    "payments_provider_breaker_state", "0: closed, calls go through. 1: half open, one tries. 2: open", ["provider"]
)
REFUSED = Counter("payments_provider_breaker_refused_total", "Calls that were not made", ["provider", "reason"])

LONGEST_BACK_OFF = 300.0
"""Seconds; of what a provider asks for, no more than that is believed."""


class State(IntEnum):
    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """A provider that stands for another one.

    After `failures` technical failures in a row (nothing was reached, an error, no answer; a decline is none) the
    circuit is open: orders are not executed, at once and for certain. After `pause` seconds one call tries; if it goes
    well, the circuit is closed again. Questions move no money, so one at a time goes through all the while.
    A provider that asks for a pause (429) gets it: nothing is sent meanwhile.

    Each process has its own. What it says of an order is said of this call only: whether an earlier call with the same
    attempt id did something, only the provider knows.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        failures: int = 5,
        pause: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._failures = failures
        self._pause = pause
        self._clock = clock
        # For the numbers below, never while the provider is asked.
        self._lock = threading.Lock()
        self._state = State.CLOSED
        self._in_a_row = 0
        self._opened_at = 0.0
        self._busy_until = 0.0
        self._asking = False
        STATE.labels(provider.name).set(State.CLOSED)

    @property
    def name(self) -> str:
        return self._provider.name

    @property
    def state(self) -> State:
        return self._state

    def check_payment_method(self, payment_method: str) -> None:
        self._provider.check_payment_method(payment_method)

    def describe(self, payment_method: str) -> MethodDetails:
        return self._provider.describe(payment_method)

    def read_notice(self, body: bytes, signature: str, now: datetime) -> Notice:
        return self._provider.read_notice(body, signature, now)

    def interpret(self, payload: Any) -> Notice:
        return self._provider.interpret(payload)

    def execute(self, order: Order) -> Outcome:
        with self._lock:
            refusal = self._refusal() or self._refusal_of_order()
        if refusal is not None:
            return self._refused(refusal)
        with self._failing_unless_answered():
            outcome = self._provider.execute(order)
        self._note(outcome, decides=True)
        return outcome

    def lookup(self, order: Order) -> Outcome | None:
        with self._lock:
            refusal, tries = self._refusal(), False
            if refusal is None and self._state is not State.CLOSED:
                if self._asking:
                    refusal = NotExecuted("provider_unreachable")
                else:
                    self._asking = True
                    tries = self._half_opens()
        if refusal is not None:
            return self._refused(refusal)
        try:
            with self._failing_unless_answered():
                outcome = self._provider.lookup(order)
        finally:
            with self._lock:
                self._asking = False
        self._note(outcome, decides=tries)
        return outcome

    # --- with the lock ---

    def _refusal(self) -> NotExecuted | None:
        left = self._busy_until - self._clock()
        return NotExecuted("provider_busy", max(1, math.ceil(left))) if left > 0 else None

    def _refusal_of_order(self) -> NotExecuted | None:
        if self._state is State.CLOSED or self._half_opens():
            return None
        return NotExecuted("provider_unreachable")

    def _half_opens(self) -> bool:
        """Tell whether this call is the one that tries."""
        if self._state is not State.OPEN or self._clock() < self._opened_at + self._pause:
            return False
        self._enter(State.HALF_OPEN)
        return True

    def _enter(self, state: State) -> None:
        if state is not self._state:
            log.warning("the circuit breaker of a provider changes", provider=self.name, state=state.name.lower())
        self._state = state
        STATE.labels(self.name).set(state)

    # --- after a call ---

    def _refused(self, refusal: NotExecuted) -> NotExecuted:
        REFUSED.labels(self.name, refusal.reason).inc()
        return refusal

    @contextmanager
    def _failing_unless_answered(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            # No provider may raise. If one does, or the call is killed, the circuit must not stay half open.
            self._note(MayHaveHappened(), decides=True)
            raise

    def _note(self, outcome: Outcome | None, *, decides: bool) -> None:
        """:param decides: whether it says how the provider does with orders: a mere question does only as the try"""
        with self._lock:
            trying = decides and self._state is State.HALF_OPEN
            match outcome:
                case NotExecuted("provider_busy", retry_after):
                    wait = min(float(retry_after or 1), LONGEST_BACK_OFF)
                    self._busy_until = max(self._busy_until, self._clock() + wait)
                    if trying:
                        self._open()
                case NotExecuted() | MayHaveHappened():
                    self._in_a_row += 1
                    if trying or (self._state is State.CLOSED and self._in_a_row >= self._failures):
                        self._open()
                # What began before the circuit opened says nothing of now.
                case _ if decides and self._state is not State.OPEN:
                    self._in_a_row = 0
                    self._enter(State.CLOSED)

    def _open(self) -> None:
        self._opened_at = self._clock()
        self._enter(State.OPEN)
