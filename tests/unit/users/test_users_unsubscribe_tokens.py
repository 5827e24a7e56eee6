"""The tokens in mails' unsubscribe links: good for one person and one type, and for nothing that somebody made up."""

import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.ids import new_id
from lib.secret_key import derived_keys
from users_svc.domain.notification_types import TYPES
from users_svc.infrastructure.unsubscribe_tokens import PREFIX, PURPOSE, HmacUnsubscribeTokens

ANN = UUID("0190c2f4-7b5a-7c3e-8d2f-1a2b3c4d5e6f")


def tokens(secret_key="a-secret-key"):
    return HmacUnsubscribeTokens(derived_keys(secret_key, PURPOSE))


@pytest.mark.parametrize("type_name", TYPES)
def test_a_token_says_whose_mails_of_which_type(type_name):
    token = tokens().token(ANN, type_name)
    assert tokens().read(token) == (ANN, type_name)
    assert token == tokens().token(ANN, type_name)


def test_a_token_can_stand_in_a_link():
    token = tokens().token(ANN, "payment_succeeded")
    assert token.startswith("lut_")
    assert token.replace("-", "").replace("_", "").isalnum()
    assert token.isascii()
    assert len(token) < 200


def test_no_two_are_alike():
    made = {tokens().token(each, type_name) for each in (ANN, new_id(), new_id()) for type_name in TYPES}
    assert len(made) == 3 * len(TYPES)


def test_a_token_outlives_a_new_key_in_front_and_dies_with_its_own():
    token = tokens("old").token(ANN, "followed")
    assert tokens("new,old").read(token) == (ANN, "followed")
    assert tokens("new,old").token(ANN, "followed") == tokens("new").token(ANN, "followed")
    assert tokens("new").read(token) is None


def test_the_key_is_for_this_alone():
    key = derived_keys("a-secret-key", "leveret auth one-time tokens v1")
    assert HmacUnsubscribeTokens(key).read(tokens().token(ANN, "followed")) is None


@given(place=st.integers(0, 200), character=st.characters())
def test_a_token_with_another_character_is_none(place, character):
    token = tokens().token(ANN, "follow_requested")
    place %= len(token)
    other = token[:place] + character + token[place + 1 :]
    assert tokens().read(other) == ((ANN, "follow_requested") if other == token else None)


@given(st.text() | st.text().map(lambda each: PREFIX + each) | st.none() | st.integers() | st.binary() | st.floats())
def test_nonsense_is_no_token(value):
    assert tokens().read(value) is None


@pytest.mark.parametrize(
    "change", [lambda each: each[:-1], lambda each: each + "A", lambda each: each + "=", str.upper]
)
def test_a_token_that_is_not_whole_is_none(change):
    assert tokens().read(change(tokens().token(ANN, "followed"))) is None


def test_a_token_is_none_of_somebody_else():
    """The id or the type of another token, under this one's seal."""
    raw = base64.urlsafe_b64decode(tokens().token(ANN, "payment_failed")[len(PREFIX) :] + "==")
    for forged in (new_id().bytes + raw[16:], raw[:48] + b"payment_refunded", raw[:48] + b"payment_faile"):
        assert tokens().read(PREFIX + base64.urlsafe_b64encode(forged).decode().rstrip("=")) is None


def test_a_name_that_no_type_can_have_is_not_read():
    """Even sealed: whoever reads a token gets a name of letters."""
    for name in ("", "a b", "a" * 65, "é", "A"):
        assert tokens().read(tokens().token(ANN, name)) is None
