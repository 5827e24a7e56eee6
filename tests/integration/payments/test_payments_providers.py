"""The sandbox, the fake that stands for providers in unit tests, and both behind a breaker keep the same contract."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from lib.ids import utc_now
from payments_svc.infrastructure.breaker import Breaker
from payments_svc.infrastructure.sandbox import SandboxProvider
from payments_svc.infrastructure.sandbox_tables import sandbox_messages
from payments_svc.infrastructure.signatures import sign
from tests.fakes.payment_provider import FakeProvider
from tests.integration.payments.provider_contract import ProviderContract

SECRET = "whsec_contract"


class Clock:
    """The time now, and how far it was put forward."""

    def __init__(self):
        self.ahead = timedelta()

    def __call__(self):
        return utc_now() + self.ahead


def signed_by(fake):
    return [(body, fake.sign(body)) for body in fake.messages()]


class TestFakeProvider(ProviderContract):
    @pytest.fixture
    def provider(self):
        return FakeProvider()

    def let_time_pass(self, provider):
        provider.let_time_pass()

    def let_authorizations_end(self, provider):
        provider.let_authorizations_end()

    def told(self, provider):
        return signed_by(provider)


class TestSandboxProvider(ProviderContract):
    @pytest.fixture
    def provider(self, payments_sessions):
        self.clock = Clock()
        self.sessions = payments_sessions
        return SandboxProvider(payments_sessions, now=self.clock, secrets=["whsec_new", SECRET])

    def let_time_pass(self, provider):
        self.clock.ahead += timedelta(minutes=1)

    def let_authorizations_end(self, provider):
        self.clock.ahead += timedelta(days=8)

    def told(self, provider):
        with self.sessions() as session:
            bodies = session.scalars(sa.select(sandbox_messages.c.body).order_by(sandbox_messages.c.id))
            return [(body.encode(), sign(body.encode(), [SECRET], utc_now())) for body in bodies]


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

    def let_authorizations_end(self, provider):
        self.inner.let_authorizations_end()

    def told(self, provider):
        return signed_by(self.inner)
