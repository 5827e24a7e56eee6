from datetime import timedelta

import pytest

from auth_svc.domain.signing_key import MARGIN, PUBLISHED_AHEAD, SETTLED, KeyTooNew, SigningKey
from auth_svc.infrastructure.keys import REMEMBERED
from lib.caller import REFRESH_EVERY
from lib.tokens import KeySet
from tests.fakes.auth import START

SECOND = timedelta(seconds=1)
LIFETIME = timedelta(minutes=15)


def key(**changes):
    values = {"kid": "k", "algorithm": "ES256", "public_jwk": {}, "sealed_private": b"sealed", "state": "active"}
    return SigningKey(**{**values, "created_at": START, **changes})


@pytest.mark.parametrize("at_once, least", [(False, PUBLISHED_AHEAD), (True, SETTLED)])
def test_a_key_signs_only_after_everybody_had_time_to_learn_of_it(at_once, least):
    upcoming = key()
    upcoming.hold_back()
    assert upcoming.state == "next"
    for early, retry_after in [(timedelta(0), least), (least - SECOND, SECOND), (least - SECOND / 2, SECOND)]:
        with pytest.raises(KeyTooNew) as refusal:
            upcoming.check_known(START + early, at_once=at_once)
        assert refusal.value.details == {"retry_after": retry_after.total_seconds()}
        assert (refusal.value.kind, refusal.value.code) == ("conflict", "key_too_new")
    upcoming.check_known(START + least, at_once=at_once)
    upcoming.promote()
    assert upcoming.state == "active"


def test_everybody_had_time_means_longer_than_any_verifier_keeps_a_copy():
    keys = KeySet(dict)
    of_a_gateway_and_of_a_cache_behind_it = keys._max_age + 300
    assert PUBLISHED_AHEAD.total_seconds() > max(of_a_gateway_and_of_a_cache_behind_it, REFRESH_EVERY)
    slowest_answer = 2
    assert SETTLED.total_seconds() > keys._cool_down + slowest_answer + REMEMBERED


def test_a_retired_key_signs_nothing_more():
    old = key()
    old.retire(START)
    assert (old.state, old.retired_at, old.sealed_private) == ("retiring", START, b"")


def test_a_key_is_needed_until_the_last_token_that_it_signed_has_expired():
    old = key()
    assert old.is_needed(START + timedelta(days=1000), LIFETIME)
    old.retire(START)
    assert MARGIN.total_seconds() > REMEMBERED
    assert old.is_needed(START + LIFETIME + MARGIN - SECOND, LIFETIME)
    assert not old.is_needed(START + LIFETIME + MARGIN, LIFETIME)


def test_nothing_private_is_shown():
    assert "sealed" not in repr(key())
