"""The sandbox, and the fake that stands for providers in unit tests, keep the same contract."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import sqlalchemy as sa

from lib.ids import new_id, utc_now
from payments_svc.domain.details import UnsupportedPaymentMethod
from payments_svc.domain.outcome import MayHaveHappened, NotExecuted, Refused, Succeeded
from payments_svc.infrastructure.sandbox import AttemptChangedError, SandboxProvider
from tests.fakes.payments import FakeProvider
from tests.integration.payments.provider_contract import ProviderContract


class TestFakeProvider(ProviderContract):
    @pytest.fixture
    def provider(self):
        return FakeProvider()


class TestSandboxProvider(ProviderContract):
    @pytest.fixture
    def provider(self, payments_sessions):
        return SandboxProvider(payments_sessions, now=utc_now)

    @pytest.mark.parametrize(
        "token, code",
        [
            ("tok_declined", "declined"),
            ("tok_insufficient_funds", "insufficient_funds"),
            ("tok_expired_card", "expired_card"),
            ("tok_lost_card", "lost_card"),
        ],
    )
    def test_each_decline_token_has_its_code(self, provider, token, code):
        assert provider.charge(new_id(), 1000, "EUR", token) == Refused(code)

    @pytest.mark.parametrize("token", ["tok_3ds", "tok_async", "tok_async_fail"])
    def test_tokens_for_what_payments_cannot_do_yet_are_told_apart(self, provider, token):
        with pytest.raises(UnsupportedPaymentMethod):
            provider.check_payment_method(token)

    def test_each_attempt_fails_once_on_its_own(self, provider):
        outcomes = [provider.charge(new_id(), 1000, "EUR", "tok_error") for _ in range(2)]
        assert outcomes == [NotExecuted("provider_error")] * 2

    def test_an_unreachable_sandbox_stays_so(self, provider):
        attempt = new_id()
        assert [provider.charge(attempt, 1, "EUR", "tok_unreachable") for _ in range(2)] == [
            NotExecuted("provider_unreachable")
        ] * 2

    @pytest.mark.parametrize(
        "changed", [(999, "EUR", "tok_visa"), (1000, "USD", "tok_visa"), (1000, "EUR", "tok_error")]
    )
    def test_an_attempt_with_another_content_is_our_mistake(self, provider, charge, changed):
        with pytest.raises(AttemptChangedError):
            provider.charge(charge, *changed)

    def test_it_takes_the_time_that_it_is_told_to(self, payments_sessions):
        slept = []
        provider = SandboxProvider(payments_sessions, now=utc_now, latency=0.25, timeout=8, sleep=slept.append)
        attempt = new_id()
        assert provider.charge(attempt, 1000, "EUR", "tok_visa") == Succeeded()
        assert provider.refund(new_id(), attempt, 1, "EUR") == Succeeded()
        assert slept == [0.25, 0.25]

    def test_an_answer_after_the_time_limit_is_not_waited_for_but_the_deed_is_done(self, payments_sessions):
        slept = []
        provider = SandboxProvider(payments_sessions, now=utc_now, latency=60, timeout=8, sleep=slept.append)
        attempt, refund = new_id(), new_id()
        assert provider.charge(attempt, 1000, "EUR", "tok_visa") == MayHaveHappened()
        assert provider.refund(refund, attempt, 1, "EUR") == MayHaveHappened()
        assert slept == [8, 8]
        assert provider.lookup(attempt) == provider.lookup(refund) == Succeeded()

    def test_it_remembers_in_another_process(self, provider, charge, payments_sessions):
        assert SandboxProvider(payments_sessions, now=utc_now).lookup(charge) == Succeeded()

    def test_twenty_calls_with_one_attempt_are_one_charge(self, provider, payments_sessions):
        attempt = new_id()
        with ThreadPoolExecutor(20) as pool:
            outcomes = list(pool.map(lambda _: provider.charge(attempt, 1000, "EUR", "tok_visa"), range(20)))
        assert outcomes == [Succeeded()] * 20
        with payments_sessions() as session:
            rows = session.execute(sa.text("select attempt_id, calls from sandbox_charges")).all()
        assert [tuple(row) for row in rows] == [(attempt, 20)]

    def test_refunds_at_the_same_time_do_not_exceed_the_charge(self, provider):
        start = Barrier(10)

        def refund(charge):
            start.wait()
            return provider.refund(new_id(), charge, 300, "EUR")

        with ThreadPoolExecutor(10) as pool:
            # Several times, as one time alone may go well by chance.
            for _ in range(8):
                charge = new_id()
                provider.charge(charge, 1000, "EUR", "tok_visa")
                assert list(pool.map(refund, [charge] * 10)).count(Succeeded()) == 3
