"""What every provider's adapter has to keep. Subclass it, give the fixtures, and all of it is tested:

    class TestSomeProvider(ProviderContract):
        @pytest.fixture
        def provider(self): ...

An adapter whose provider has other tokens overrides them.
"""

from __future__ import annotations

import pytest

from lib.ids import new_id
from payments_svc.domain.details import UnknownPaymentMethod
from payments_svc.domain.outcome import MayHaveHappened, NotExecuted, Refused, Succeeded


class ProviderContract:
    good = "tok_visa"
    declined = ("tok_insufficient_funds", "insufficient_funds")
    silent = "tok_timeout"
    unreachable = "tok_unreachable"
    failing_once = "tok_error"
    unknown = "pm_nobody_knows"

    @pytest.fixture
    def provider(self):
        raise NotImplementedError

    @pytest.fixture
    def charge(self, provider):
        """Return a charge of 1000 that succeeded, by its attempt id."""
        attempt = new_id()
        assert provider.charge(attempt, 1000, "EUR", self.good) == Succeeded()
        return attempt

    def test_it_has_a_name(self, provider):
        assert provider.name

    def test_it_knows_its_tokens_from_others(self, provider):
        assert provider.check_payment_method(self.good) is None
        with pytest.raises(UnknownPaymentMethod):
            provider.check_payment_method(self.unknown)

    def test_a_charge_succeeds_and_is_known(self, provider, charge):
        assert provider.lookup(charge) == Succeeded()

    def test_a_decline_has_its_reason_and_is_known(self, provider):
        token, code = self.declined
        attempt = new_id()
        assert provider.charge(attempt, 1000, "EUR", token) == Refused(code)
        assert provider.lookup(attempt) == Refused(code)

    def test_nothing_is_known_of_what_was_never_asked(self, provider):
        assert provider.lookup(new_id()) is None

    def test_the_same_attempt_again_is_the_same_charge(self, provider, charge):
        assert provider.charge(charge, 1000, "EUR", self.good) == Succeeded()
        # Were it charged twice, 1001 would be there to give back.
        assert provider.refund(new_id(), charge, 1000, "EUR") == Succeeded()
        assert isinstance(provider.refund(new_id(), charge, 1, "EUR"), Refused)

    def test_the_same_attempt_again_is_declined_again(self, provider):
        token, code = self.declined
        attempt = new_id()
        assert [provider.charge(attempt, 1000, "EUR", token) for _ in range(2)] == [Refused(code)] * 2

    def test_a_lost_answer_is_told_as_such_and_the_charge_is_found(self, provider):
        attempt = new_id()
        assert provider.charge(attempt, 1000, "EUR", self.silent) == MayHaveHappened()
        assert provider.lookup(attempt) == Succeeded()
        assert provider.refund(new_id(), attempt, 1000, "EUR") == Succeeded()

    def test_a_provider_out_of_reach_has_surely_done_nothing(self, provider):
        attempt = new_id()
        assert provider.charge(attempt, 1000, "EUR", self.unreachable) == NotExecuted("provider_unreachable")
        assert provider.lookup(attempt) is None

    def test_an_error_is_over_when_the_same_attempt_is_made_again(self, provider):
        attempt = new_id()
        assert provider.charge(attempt, 1000, "EUR", self.failing_once) == NotExecuted("provider_error")
        assert provider.lookup(attempt) is None
        assert provider.charge(attempt, 1000, "EUR", self.failing_once) == Succeeded()
        assert provider.lookup(attempt) == Succeeded()

    def test_parts_of_a_charge_go_back(self, provider, charge):
        refunds = [new_id(), new_id()]
        assert [provider.refund(each, charge, 300, "EUR") for each in refunds] == [Succeeded()] * 2
        assert [provider.lookup(each) for each in refunds] == [Succeeded()] * 2

    def test_the_same_refund_again_is_the_same_refund(self, provider, charge):
        refund = new_id()
        assert [provider.refund(refund, charge, 600, "EUR") for _ in range(3)] == [Succeeded()] * 3
        assert provider.refund(new_id(), charge, 400, "EUR") == Succeeded()

    def test_no_more_goes_back_than_was_charged(self, provider, charge):
        provider.refund(new_id(), charge, 600, "EUR")
        attempt = new_id()
        assert isinstance(provider.refund(attempt, charge, 401, "EUR"), Refused)
        assert not isinstance(provider.lookup(attempt), Succeeded)

    def test_nothing_goes_back_of_what_was_not_charged(self, provider):
        declined = new_id()
        provider.charge(declined, 1000, "EUR", self.declined[0])
        assert isinstance(provider.refund(new_id(), declined, 1, "EUR"), Refused)
        assert isinstance(provider.refund(new_id(), new_id(), 1, "EUR"), Refused)
