"""One contract for the fake and the real refresh tokens, and what only the real ones promise."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth_svc.infrastructure.refresh_tokens import HmacRefreshTokens
from auth_svc.infrastructure.secret_key import REFRESH_TOKENS, derived_keys
from lib.ids import new_id
from tests.fakes.auth import FakeRefreshTokens


def real(*names):
    return HmacRefreshTokens(derived_keys(",".join(names), REFRESH_TOKENS))


@pytest.fixture(params=[FakeRefreshTokens, real], ids=["fake", "hmac"])
def make(request):
    return request.param


@pytest.fixture
def tokens(make):
    return make("one")


def test_every_first_token_is_new_and_names_its_session(tokens):
    session = new_id()
    first, second = tokens.issue(session), tokens.issue(session)
    assert first != second
    assert tokens.session_of(first) == tokens.session_of(second) == session
    assert tokens.fingerprint(first) != tokens.fingerprint(second)


def test_the_successor_follows_from_session_token_and_generation(tokens):
    session, other = new_id(), new_id()
    first = tokens.issue(session)
    (successor,) = tokens.successors(session, first, 0)
    assert list(tokens.successors(session, first, 0)) == [successor]
    assert tokens.session_of(successor) == session
    assert successor not in tokens.successors(session, first, 1)
    assert successor not in tokens.successors(session, tokens.issue(session), 0)
    assert successor not in tokens.successors(other, first, 0)


def test_another_key_gives_another_successor_and_all_keys_are_tried(make):
    session = new_id()
    first = make("one").issue(session)
    (under_one,) = make("one").successors(session, first, 0)
    (under_two,) = make("two").successors(session, first, 0)
    assert under_one != under_two
    assert list(make("two", "one").successors(session, first, 0)) == [under_two, under_one]


def test_a_token_is_recognized_as_ours_for_its_session_under_any_key(make):
    session = new_id()
    first = make("one").issue(session)
    (successor,) = make("one").successors(session, first, 0)
    for token in (first, successor):
        assert make("two", "one").is_ours(session, token)
        assert not make("two").is_ours(session, token)
        assert not make("one").is_ours(new_id(), token)
        assert not make("one").is_ours(session, token[:-1])
    assert not make("one").is_ours(session, "nonsense")


@pytest.mark.parametrize("token", ["", "nonsense", "a/b/c", "lrt_", "lrt_" + "é" * 88, None, 5, b"lrt_", ["lrt_"]])
def test_what_is_no_token_names_no_session(tokens, token):
    assert tokens.session_of(token) is None


def test_a_token_looks_as_documented():
    session = new_id()
    token = real("one").issue(session)
    raw = base64.urlsafe_b64decode(token.removeprefix("lrt_"))
    assert len(token) == 92
    assert (raw[:16], len(raw)) == (session.bytes, 16 + 32 + 18)


def test_the_fingerprint_does_not_give_the_token_away():
    token = real("one").issue(new_id())
    fingerprint = real("one").fingerprint(token)
    assert len(fingerprint) == 32
    assert token.encode() not in fingerprint
    assert fingerprint == real("two").fingerprint(token)


@settings(deadline=None)
@given(position=st.integers(0, 87), character=st.sampled_from("ABCxyz019-_+/= \n"))
def test_no_other_spelling_of_a_token_is_ours(position, character):
    session = new_id()
    token = real("one").issue(session)
    at = position + len("lrt_")
    changed = token[:at] + character + token[at + 1 :]
    assert real("one").is_ours(session, changed) == (changed == token)
    assert not real("one").is_ours(session, token + character)


def test_nothing_that_goes_round_is_signed_by_secret_key_itself():
    assert derived_keys("one", REFRESH_TOKENS)[0] != b"one"
    assert derived_keys("one", REFRESH_TOKENS) != derived_keys("one", "another purpose")
    assert derived_keys(" one , two,", REFRESH_TOKENS) == [
        *derived_keys("one", REFRESH_TOKENS),
        *derived_keys("two", REFRESH_TOKENS),
    ]
    with pytest.raises(ValueError, match="SECRET_KEY"):
        derived_keys(" , ", REFRESH_TOKENS)
