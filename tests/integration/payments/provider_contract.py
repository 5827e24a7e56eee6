"""What every provider's adapter has to keep. Subclass it, give the fixtures, and all of it is tested:

    class TestSomeProvider(ProviderContract):
        @pytest.fixture
        def provider(self): ...

        def let_time_pass(self, provider): ...

An adapter whose provider has other tokens overrides them; None for what its provider cannot be made to do.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, ClassVar

import pytest

from lib.card_numbers import holds_card_number
from lib.ids import new_id, utc_now
from payments_svc.application.provider_ports import MethodDetails, Provider
from payments_svc.domain.details import UnknownPaymentMethod
from payments_svc.domain.notice import InvalidNotice, InvalidSignature
from payments_svc.domain.orders import Authentication, Capture, Charge, GiveBack, Order, Void
from payments_svc.domain.outcome import (
    Accepted,
    ActionRequired,
    Authorized,
    MayHaveHappened,
    NotExecuted,
    Outcome,
    Refused,
    Succeeded,
    Voided,
)

AMOUNT = 1000


def charge_of(token: str, *, capture: bool = True, amount: int = AMOUNT) -> Charge:
    return Charge(new_id(), new_id(), amount, "EUR", token, capture)


class ProviderContract:
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

    @pytest.fixture
    def provider(self) -> Provider:
        raise NotImplementedError

    def let_time_pass(self, provider: Provider) -> None:
        """Let the provider settle what is slow; authorizations do not end by it."""
        raise NotImplementedError

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

    # --- messages ---

    def test_a_message_without_a_good_signature_is_not_read(self, provider):
        for signature in ("", "t=1", "t=1,v1=" + "0" * 64, "é", "v1" * 5000):
            with pytest.raises(InvalidSignature):
                provider.read_notice(b'{"id": "evt_1"}', signature, utc_now())

    def test_what_is_no_message_cannot_be_interpreted(self, provider):
        for payload in (None, [], "text", 1, {}, {"id": 1}):
            with pytest.raises(InvalidNotice):
                provider.interpret(payload)


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
