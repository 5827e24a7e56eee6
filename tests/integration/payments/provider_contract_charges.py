"""The contract of every provider: tokens, charges, and customers who have to act."""

from dataclasses import replace

import pytest

from lib.card_numbers import holds_card_number
from lib.ids import new_id
from payments_svc.application.provider_ports import AttemptChangedError, MethodDetails
from payments_svc.domain.details import UnknownPaymentMethod
from payments_svc.domain.orders import Authentication, Capture, Void
from payments_svc.domain.outcome import (
    Accepted,
    ActionRequired,
    Authorized,
    MayHaveHappened,
    NotExecuted,
    Refused,
    Succeeded,
)
from tests.integration.payments.provider_contract_setting import (
    AMOUNT,
    ContractSetting,
    charge_of,
    every_order,
    refund_of,
    took,
)


class ChargesContract(ContractSetting):
    # --- tokens ---

    def test_it_has_a_name(self, provider):
        assert provider.name

    def test_it_knows_its_tokens_from_others(self, provider):
        assert provider.check_payment_method(self.good) is None
        for question in (provider.check_payment_method, provider.describe):
            with pytest.raises(UnknownPaymentMethod):
                question(self.unknown)

    def test_what_it_shows_of_a_token_is_no_number(self, provider):
        details = provider.describe(self.good)
        assert isinstance(details, MethodDetails)
        assert details.kind
        assert details.last4 is None or len(details.last4) == 4
        assert not holds_card_number(" ".join(str(each) for each in vars(details).values()))

    # --- charges ---

    def test_nothing_is_known_of_what_was_never_asked(self, provider, taken):
        for order in every_order(charge_of(self.good)):
            assert provider.lookup(order) is None
        for order in every_order(taken)[1:]:
            assert provider.lookup(order) is None

    def test_a_charge_succeeds_and_is_known(self, provider, taken):
        assert took(provider.lookup(taken), AMOUNT)

    def test_a_decline_has_its_reason_and_is_known(self, provider):
        for token, code in self.declines.items():
            charge = charge_of(token)
            assert [provider.execute(charge) for _ in range(2)] == [Refused(code)] * 2
            assert provider.lookup(charge) == Refused(code)

    def test_the_same_attempt_again_is_the_same_charge(self, provider, taken):
        assert took(provider.execute(taken), AMOUNT)
        # Were it charged twice, 1001 would be there to give back.
        assert took(provider.execute(refund_of(taken, AMOUNT)), AMOUNT)
        assert isinstance(provider.execute(refund_of(taken, 1)), Refused)

    def test_a_lost_answer_is_told_as_such_and_the_charge_is_found(self, provider):
        charge = charge_of(self.silent)
        assert provider.execute(charge) == MayHaveHappened()
        assert took(provider.lookup(charge), AMOUNT)
        assert took(provider.execute(refund_of(charge, AMOUNT)), AMOUNT)

    def test_a_provider_out_of_reach_has_surely_done_nothing(self, provider):
        charge = charge_of(self.unreachable)
        assert [provider.execute(charge) for _ in range(2)] == [NotExecuted("provider_unreachable")] * 2
        assert provider.lookup(charge) is None

    def test_an_error_is_over_when_the_same_attempt_is_made_again(self, provider):
        charge = charge_of(self.failing_once)
        assert provider.execute(charge) == NotExecuted("provider_error")
        assert provider.lookup(charge) is None
        assert took(provider.execute(charge), AMOUNT)
        assert took(provider.lookup(charge), AMOUNT)

    def test_a_provider_that_is_busy_says_for_how_long(self, provider):
        charge = charge_of(self.busy_once)
        outcome = provider.execute(charge)
        assert isinstance(outcome, NotExecuted)
        assert outcome.reason == "provider_busy"
        assert outcome.retry_after is not None
        assert outcome.retry_after >= 1
        assert provider.lookup(charge) is None

    def test_a_slow_charge_is_accepted_and_then_taken(self, provider):
        charge = charge_of(self.slow)
        assert isinstance(provider.execute(charge), Accepted)
        assert isinstance(provider.lookup(charge), Accepted)
        self.let_time_pass(provider)
        assert took(provider.lookup(charge), AMOUNT)
        assert took(provider.execute(charge), AMOUNT)

    def test_a_slow_charge_may_be_refused_in_the_end(self, provider):
        charge = charge_of(self.slow_decline)
        assert isinstance(provider.execute(charge), Accepted)
        self.let_time_pass(provider)
        assert isinstance(provider.lookup(charge), Refused)

    def test_a_charge_is_known_by_its_attempt_alone(self, provider, taken, held):
        """The payment may have got another means of payment since, and have forgotten the provider's own id."""
        refund = refund_of(taken, 300)
        provider.execute(refund)
        other = next(iter(self.declines))
        for forgotten in (other, self.unknown):
            assert took(provider.lookup(replace(taken, payment_method=forgotten, reference=None)), AMOUNT)
            assert isinstance(provider.lookup(replace(held, payment_method=forgotten, reference=None)), Authorized)
            of_other = replace(taken, payment_method=forgotten, reference=None)
            assert took(provider.lookup(replace(refund, charge=of_other, reference=None)), 300)

    # --- one attempt id, one content ---

    @pytest.mark.parametrize(
        "changed",
        [{"amount": AMOUNT - 1}, {"amount": AMOUNT + 1}, {"currency": "USD"}, {"capture": False}],
        ids=str,
    )
    def test_a_charge_with_another_content_is_refused(self, provider, taken, changed):
        with pytest.raises(AttemptChangedError):
            provider.execute(replace(taken, **changed))
        assert took(provider.lookup(taken), AMOUNT)
        assert took(provider.execute(taken), AMOUNT)
        # Nothing beside it was done: no more is there to give back.
        assert took(provider.execute(refund_of(taken, AMOUNT)), AMOUNT)
        assert isinstance(provider.execute(refund_of(taken, 1)), Refused)

    def test_a_refund_with_another_content_is_refused(self, provider, taken):
        refund, other = refund_of(taken, 300), charge_of(self.good)
        provider.execute(refund)
        assert took(provider.execute(other), AMOUNT)
        for changed in (replace(refund, amount=301), replace(refund, charge=other)):
            with pytest.raises(AttemptChangedError):
                provider.execute(changed)
            assert took(provider.execute(refund), 300)
        assert took(provider.execute(refund_of(taken, 700)), 700)
        assert took(provider.execute(refund_of(other, AMOUNT)), AMOUNT)

    def test_an_operation_with_another_content_is_refused(self, provider, held):
        capture, other = Capture(new_id(), held, 400), charge_of(self.good, capture=False)
        provider.execute(capture)
        assert isinstance(provider.execute(other), Authorized)
        for changed in (
            replace(capture, amount=401),
            replace(capture, charge=other),
            Void(capture.attempt_id, held),
            Void(capture.attempt_id, other),
        ):
            with pytest.raises(AttemptChangedError):
                provider.execute(changed)
            assert took(provider.execute(capture), 400)
        assert isinstance(provider.lookup(other), Authorized)

    # --- authentication ---

    @pytest.mark.parametrize("capture", [True, False])
    def test_a_customer_who_authenticates_pays(self, provider, capture):
        charge = charge_of(self.asks_customer, capture=capture)
        outcome = provider.execute(charge)
        assert isinstance(outcome, ActionRequired)
        assert outcome.action["type"] == "authenticate"
        assert isinstance(provider.lookup(charge), ActionRequired)
        order = Authentication(new_id(), charge, "succeed")
        expected = Succeeded if capture else Authorized
        assert [type(provider.execute(order)) for _ in range(2)] == [expected] * 2
        assert type(provider.lookup(order)) is type(provider.lookup(charge)) is expected

    def test_a_customer_who_fails_to_authenticate_does_not_pay(self, provider):
        charge = charge_of(self.asks_customer)
        provider.execute(charge)
        order = Authentication(new_id(), charge, "fail")
        refused = Refused("authentication_failed")
        assert [provider.execute(order), provider.lookup(order), provider.lookup(charge)] == [refused] * 3
        # Another try is another charge.
        assert provider.execute(Authentication(new_id(), charge, "succeed")) == refused

    def test_without_a_result_the_customer_still_has_to_act(self, provider):
        charge = charge_of(self.asks_customer)
        provider.execute(charge)
        assert isinstance(provider.execute(Authentication(new_id(), charge)), ActionRequired)
        assert took(provider.execute(Authentication(new_id(), charge, "succeed")), AMOUNT)

    def test_an_authentication_of_what_needs_none_says_how_it_is(self, provider, taken):
        assert took(provider.execute(Authentication(new_id(), taken, "fail")), AMOUNT)
