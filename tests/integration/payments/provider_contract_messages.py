"""The contract of every provider: what it tells, and how that is proved."""

import json
from datetime import timedelta

import pytest

from lib.ids import utc_now
from payments_svc.domain.notice import InvalidNotice, InvalidSignature
from tests.integration.payments.provider_contract_setting import (
    ContractSetting,
    charge_of,
    refund_of,
)


class MessagesContract(ContractSetting):
    # --- messages ---

    def test_a_message_says_which_charge_or_refund_it_is_about(self, provider):
        begin = utc_now() - timedelta(seconds=2)
        charge = charge_of(self.good)
        provider.execute(charge)
        refund = refund_of(charge, 300)
        provider.execute(refund)
        notices = self.read_all(provider)
        found = {(each.about, each.attempt_id, each.payment_id) for each in notices}
        assert ("payment", charge.attempt_id, charge.payment_id) in found
        assert ("refund", refund.attempt_id, charge.payment_id) in found
        assert {each.payment_id for each in notices} == {charge.payment_id}
        for each in notices:
            assert each.event_id
            assert each.type
            assert begin <= each.occurred_at <= utc_now() + timedelta(seconds=2)
        assert len({each.event_id for each in notices}) == len(notices)

    def test_what_the_customer_is_asked_for_and_what_is_declined_is_told_too(self, provider):
        charges = [
            charge_of(each) for each in (self.asks_customer, self.slow, next(iter(self.declines))) if each is not None
        ]
        for each in charges:
            provider.execute(each)
        found = {(each.about, each.attempt_id) for each in self.read_all(provider)}
        assert {("payment", each.attempt_id) for each in charges} <= found

    def test_a_message_that_was_stored_says_the_same_again(self, provider, taken):
        provider.execute(refund_of(taken, 300))
        notices = self.read_all(provider)
        assert notices
        for each in notices:
            # As PostgreSQL keeps it, and as it may come back years later.
            stored = json.loads(json.dumps(each.payload, sort_keys=True))
            assert provider.interpret(stored) == each

    def test_the_same_message_again_has_the_same_id(self, provider, taken):
        body, signature = self.told(provider)[0]
        ids = {provider.read_notice(body, each, utc_now()).event_id for each in (signature, self.told(provider)[0][1])}
        assert len(ids) == 1

    def test_a_message_of_an_unknown_type_is_about_nothing(self, provider, taken):
        for each in self.read_all(provider):
            stranger = provider.interpret(self.of_unknown_type(dict(each.payload)))
            assert (stranger.about, stranger.event_id) == (None, each.event_id)
            assert stranger.type != each.type

    def test_a_signature_of_another_time_proves_nothing(self, provider, taken):
        for body, signature in self.told(provider):
            for minutes in (4.5, 0, -4.5):
                assert provider.read_notice(body, signature, utc_now() + timedelta(minutes=minutes)).payload
            for minutes in (5.5, -5.5, 24 * 60, -24 * 60):
                with pytest.raises(InvalidSignature):
                    provider.read_notice(body, signature, utc_now() + timedelta(minutes=minutes))

    def test_a_signature_of_another_body_proves_nothing(self, provider, taken, held):
        (body, signature), (other, _) = self.told(provider)[:2]
        for changed in (other, body + b" ", body[:-1], b""):
            with pytest.raises(InvalidSignature):
                provider.read_notice(changed, signature, utc_now())

    def test_a_message_without_a_good_signature_is_not_read(self, provider):
        for signature in ("", "t=1", "t=1,v1=" + "0" * 64, "é", "v1" * 5000):
            with pytest.raises(InvalidSignature):
                provider.read_notice(b'{"id": "evt_1"}', signature, utc_now())

    def test_what_is_no_message_cannot_be_interpreted(self, provider):
        for payload in (None, [], "text", 1, {}, {"id": 1}):
            with pytest.raises(InvalidNotice):
                provider.interpret(payload)
