"""The contract of every provider: captures, voids, refunds, and many at once."""

from concurrent.futures import ThreadPoolExecutor

from lib.ids import new_id, utc_now
from payments_svc.domain.orders import Authentication, Capture, Void
from payments_svc.domain.outcome import (
    Accepted,
    Authorized,
    MayHaveHappened,
    Refused,
    Succeeded,
    Voided,
)
from tests.integration.payments.provider_contract_setting import (
    AMOUNT,
    ContractSetting,
    at_once,
    charge_of,
    refund_of,
    took,
)


class OperationsContract(ContractSetting):
    # --- captures and voids ---

    def test_what_is_set_aside_says_until_when(self, provider, held):
        outcome = provider.lookup(held)
        assert isinstance(outcome, Authorized)
        assert outcome.until > utc_now()

    def test_a_capture_takes_what_was_set_aside_once(self, provider, held):
        capture = Capture(new_id(), held, AMOUNT)
        assert took(provider.execute(capture), AMOUNT)
        assert took(provider.execute(capture), AMOUNT)
        assert took(provider.lookup(capture), AMOUNT)
        assert took(provider.lookup(held), AMOUNT)
        assert isinstance(provider.execute(Capture(new_id(), held, AMOUNT)), Refused)

    def test_a_partial_capture_lets_go_of_the_rest(self, provider, held):
        assert took(provider.execute(Capture(new_id(), held, 400)), 400)
        assert isinstance(provider.execute(Capture(new_id(), held, 1)), Refused)
        assert took(provider.lookup(held), 400)
        assert isinstance(provider.execute(refund_of(held, 401)), Refused)
        assert took(provider.execute(refund_of(held, 400)), 400)

    def test_no_more_is_captured_than_was_set_aside(self, provider, held):
        capture = Capture(new_id(), held, AMOUNT + 1)
        assert isinstance(provider.execute(capture), Refused)
        assert not isinstance(provider.lookup(capture), Succeeded)
        assert isinstance(provider.lookup(held), Authorized)

    def test_a_capture_whose_answer_is_lost_is_found(self, provider):
        charge = charge_of(self.silent_capture, capture=False)
        provider.execute(charge)
        capture = Capture(new_id(), charge, 400)
        assert provider.execute(capture) == MayHaveHappened()
        assert took(provider.lookup(capture), 400)
        assert took(provider.lookup(charge), 400)

    def test_a_refused_capture_leaves_what_is_set_aside(self, provider):
        charge = charge_of(self.capture_refused, capture=False)
        provider.execute(charge)
        capture = Capture(new_id(), charge, AMOUNT)
        refusal = provider.execute(capture)
        assert isinstance(refusal, Refused)
        assert provider.execute(capture) == provider.lookup(capture) == refusal
        assert isinstance(provider.lookup(charge), Authorized)
        assert provider.execute(Void(new_id(), charge)) == Voided()

    def test_a_void_lets_go_once(self, provider, held):
        void = Void(new_id(), held)
        assert [provider.execute(void) for _ in range(2)] == [Voided()] * 2
        assert provider.lookup(void) == provider.lookup(held) == Voided()
        # It is gone, whoever asks for it.
        assert provider.execute(Void(new_id(), held)) == Voided()

    def test_what_was_voided_cannot_be_captured(self, provider, held):
        provider.execute(Void(new_id(), held))
        capture = Capture(new_id(), held, AMOUNT)
        assert provider.execute(capture) == provider.lookup(capture) == Voided()
        assert provider.lookup(held) == Voided()

    def test_what_was_captured_cannot_be_voided(self, provider, held):
        provider.execute(Capture(new_id(), held, AMOUNT))
        void = Void(new_id(), held)
        refusal = provider.execute(void)
        assert isinstance(refusal, Refused)
        assert provider.lookup(void) == refusal
        assert took(provider.lookup(held), AMOUNT)

    def test_a_void_whose_answer_is_lost_is_found(self, provider):
        charge = charge_of(self.silent_void, capture=False)
        provider.execute(charge)
        void = Void(new_id(), charge)
        assert provider.execute(void) == MayHaveHappened()
        assert provider.lookup(void) == provider.lookup(charge) == Voided()

    def test_a_charge_that_waits_for_its_customer_can_be_voided(self, provider):
        charge = charge_of(self.asks_customer)
        provider.execute(charge)
        assert provider.execute(Void(new_id(), charge)) == Voided()
        assert provider.execute(Authentication(new_id(), charge, "succeed")) == Voided()

    def test_what_is_over_can_be_neither_captured_nor_voided(self, provider, taken):
        declined = charge_of(next(iter(self.declines)))
        provider.execute(declined)
        for charge in (taken, declined):
            assert isinstance(provider.execute(Capture(new_id(), charge, AMOUNT)), Refused)
            assert isinstance(provider.execute(Void(new_id(), charge)), Refused)

    def test_what_nobody_captured_in_time_is_gone(self, provider, held):
        self.let_authorizations_end(provider)
        gone = Voided("expired")
        assert provider.lookup(held) == gone
        for order in (Capture(new_id(), held, AMOUNT), Void(new_id(), held)):
            assert provider.execute(order) == gone
            assert provider.lookup(order) == gone
        assert isinstance(provider.execute(refund_of(held, 1)), Refused)

    def test_what_was_captured_in_time_is_not_gone(self, provider, held):
        provider.execute(Capture(new_id(), held, 400))
        self.let_authorizations_end(provider)
        assert took(provider.lookup(held), 400)

    # --- refunds ---

    def test_parts_of_a_charge_go_back(self, provider, taken):
        refunds = [refund_of(taken, 300), refund_of(taken, 300)]
        assert all(took(provider.execute(each), 300) for each in refunds)
        assert all(took(provider.lookup(each), 300) for each in refunds)

    def test_the_same_refund_again_is_the_same_refund(self, provider, taken):
        refund = refund_of(taken, 600)
        assert all(took(provider.execute(refund), 600) for _ in range(3))
        assert took(provider.execute(refund_of(taken, 400)), 400)

    def test_no_more_goes_back_than_was_taken(self, provider, taken):
        provider.execute(refund_of(taken, 600))
        refund = refund_of(taken, 401)
        assert isinstance(provider.execute(refund), Refused)
        assert not isinstance(provider.lookup(refund), Succeeded)

    def test_nothing_goes_back_of_what_was_not_taken(self, provider, held):
        declined = charge_of(next(iter(self.declines)))
        provider.execute(declined)
        for charge in (declined, held, charge_of(self.good)):
            assert isinstance(provider.execute(refund_of(charge, 1)), Refused)

    def test_a_refund_whose_answer_is_lost_is_found(self, provider):
        charge = charge_of(self.silent_refund)
        provider.execute(charge)
        refund = refund_of(charge, 300)
        assert provider.execute(refund) == MayHaveHappened()
        assert took(provider.lookup(refund), 300)

    def test_a_slow_refund_counts_at_once_and_arrives_later(self, provider):
        charge = charge_of(self.slow_refund)
        provider.execute(charge)
        refund = refund_of(charge, 600)
        assert isinstance(provider.execute(refund), Accepted)
        assert isinstance(provider.lookup(refund), Accepted)
        assert isinstance(provider.execute(refund_of(charge, 401)), Refused)
        self.let_time_pass(provider)
        assert took(provider.lookup(refund), 600)

    def test_a_refund_may_come_back_and_can_be_made_again(self, provider):
        charge = charge_of(self.returned_refund)
        provider.execute(charge)
        refund = refund_of(charge, AMOUNT)
        assert took(provider.execute(refund), AMOUNT)
        self.let_time_pass(provider)
        assert isinstance(provider.lookup(refund), Refused)
        assert took(provider.execute(refund_of(charge, AMOUNT)), AMOUNT)

    # --- races ---

    def test_twenty_calls_with_one_attempt_are_one_deed(self, provider, taken, held):
        with ThreadPoolExecutor(20) as pool:
            for order in (charge_of(self.good), Capture(new_id(), held, 600), refund_of(taken, 600)):
                outcomes = list(pool.map(provider.execute, [order] * 20))
                assert all(took(each, getattr(order, "amount", AMOUNT)) for each in outcomes)
        assert isinstance(provider.execute(refund_of(taken, 401)), Refused)

    def test_a_capture_and_a_void_at_once_are_one_of_them(self, provider):
        with ThreadPoolExecutor(2) as pool:
            # Several times, as one time alone may go well by chance.
            for _ in range(8):
                charge = charge_of(self.good, capture=False)
                provider.execute(charge)
                orders = [Capture(new_id(), charge, AMOUNT), Void(new_id(), charge)]
                captured, voided = at_once(pool, provider, orders)
                assert (took(captured, AMOUNT), voided == Voided()) in ((True, False), (False, True))
                assert isinstance(provider.lookup(charge), Succeeded) is took(captured, AMOUNT)

    def test_refunds_at_once_do_not_exceed_the_charge(self, provider):
        with ThreadPoolExecutor(10) as pool:
            for _ in range(4):
                charge = charge_of(self.good)
                provider.execute(charge)
                outcomes = at_once(pool, provider, [refund_of(charge, 300) for _ in range(10)])
                assert sum(isinstance(each, Succeeded) for each in outcomes) == 3
