"""The sandbox, the fake that stands for providers in unit tests, and both behind a breaker keep the same contract."""

from datetime import timedelta

import pytest

from lib.ids import utc_now
from payments_svc.infrastructure.breaker import Breaker
from payments_svc.infrastructure.sandbox import SandboxProvider
from tests.fakes.payment_provider import FakeProvider
from tests.integration.payments.provider_contract import ProviderContract


class Clock:
    """The time now, and how far it was put forward."""

    def __init__(self):
        self.ahead = timedelta()

    def __call__(self):
        return utc_now() + self.ahead


class TestFakeProvider(ProviderContract):
    @pytest.fixture
    def provider(self):
        return FakeProvider()

    def let_time_pass(self, provider):
        provider.let_time_pass()


class TestSandboxProvider(ProviderContract):
    @pytest.fixture
    def provider(self, payments_sessions):
        self.clock = Clock()
        return SandboxProvider(payments_sessions, now=self.clock)

    def let_time_pass(self, provider):
        self.clock.ahead += timedelta(minutes=1)


class TestBreaker(ProviderContract):
    """What is behind it keeps the contract, and it takes nothing away."""

    @pytest.fixture
    def provider(self):
        self.inner = FakeProvider()
        self.now = 0.0
        return Breaker(self.inner, clock=self.clock)

    def clock(self):
        # A clock that runs fast: what the contract asks at once after a busy answer is asked after its pause.
        self.now += 2.0
        return self.now

    def let_time_pass(self, provider):
        self.inner.let_time_pass()
