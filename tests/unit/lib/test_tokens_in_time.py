"""Access tokens while time goes by: keys that come and go, crowds with keys that nobody has, clocks that jump."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from lib import tokens
from lib.tokens import AccessTokenVerifier, InvalidToken, KeySet
from tests.unit.lib.fakes import Clock
from tests.unit.lib.issuer import AUDIENCE, ISSUER, KEY, OTHER, Issuer, jwks, token

TTL, LEEWAY, JUMP = 900, 10, 300
CROWD = 50


@pytest.fixture
def issuer():
    return Issuer()


@pytest.fixture
def clock(monkeypatch):
    """The verifier's clocks, its library's included."""
    clock = Clock()
    clock.wall = float(int(time.time()))

    class Moment(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromtimestamp(clock.wall, tz)

    monkeypatch.setattr(tokens, "time", clock)
    monkeypatch.setattr("jwt.api_jwt.datetime", Moment)
    return clock


@pytest.fixture
def verifier(issuer):
    return AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE)


def minted(at, key=KEY, **more):
    """Return a token of an issuer whose clock shows `at`."""
    return token(key, iat=int(at), exp=int(at) + TTL, **more)


def good(verifier, text):
    try:
        return verifier.verify(text)["sub"] == "a1"
    except InvalidToken:
        return False


# --- keys -----------------------------------------------------------------------------------------------------------


def test_a_crowd_with_unknown_key_ids_causes_one_fetch(clock):
    asking, answer = threading.Event(), threading.Event()
    issuer = Issuer()

    def slow():
        if issuer.asked:
            asking.set()
            assert answer.wait(10)
        return issuer()

    verifier = AccessTokenVerifier(slow, issuer=ISSUER, audience=AUDIENCE)
    known = token()
    assert good(verifier, known)
    clock.advance(60)
    at_the_gate = threading.Barrier(CROWD + 1, timeout=10)

    def come(number):
        forged = token(OTHER, header={"kid": f"made up {number}"}, iat=int(clock.wall), exp=int(clock.wall) + TTL)
        at_the_gate.wait()
        return good(verifier, forged)

    with ThreadPoolExecutor(CROWD) as pool:
        outcomes = [pool.submit(come, number) for number in range(CROWD)]
        at_the_gate.wait()
        assert asking.wait(10)
        # Meanwhile nobody waits who has a key that is known.
        assert good(verifier, known)
        assert good(verifier, minted(clock.wall, jti="j2"))
        answer.set()
        assert [each.result(10) for each in outcomes] == [False] * CROWD
    assert issuer.asked == 2
    # The same crowd again, before the cool-down is over: nobody is asked.
    assert not good(verifier, token(OTHER, header={"kid": "another"}))
    assert issuer.asked == 2


def test_a_crowd_of_new_comers_after_a_rotation_is_let_in_with_one_fetch(issuer, clock, verifier):
    assert good(verifier, token())
    clock.advance(60)
    issuer.document = jwks(k1=KEY, k2=OTHER)
    many = [minted(clock.wall, OTHER, header={"kid": "k2"}, jti=str(number)) for number in range(CROWD)]
    with ThreadPoolExecutor(CROWD) as pool:
        assert all(pool.map(lambda each: good(verifier, each), many))
    assert issuer.asked == 2


def test_no_good_token_is_refused_while_keys_are_rotated(issuer, clock, verifier):
    """The issuer publishes the next key long before it signs with it, and the last one as long as its tokens live."""
    keys = {f"k{number}": ec.generate_private_key(ec.SECP256R1()) for number in range(4)}
    start, alive = clock.wall, []
    while (age := clock.wall - start) < 3 * 1800:
        current = int(age // 1800)
        issuer.document = jwks(**{f"k{n}": keys[f"k{n}"] for n in (current - 1, current, current + 1) if n >= 0})
        name = f"k{current}"
        alive.append((clock.wall + TTL, minted(clock.wall, keys[name], header={"kid": name}, jti=str(age))))
        alive = [each for each in alive if each[0] > clock.wall]
        assert all(good(verifier, text) for _, text in alive)
        clock.advance(60)


def test_a_withdrawn_key_proves_nothing_from_the_next_refresh_on(issuer, clock, verifier):
    seen, unseen = token(), token(jti="j2")
    assert good(verifier, seen)
    issuer.document = jwks(k2=OTHER)
    clock.advance(6)
    verifier.keys.refresh()
    assert not good(verifier, seen)
    assert not good(verifier, unseen)
    assert good(verifier, minted(clock.wall, OTHER, header={"kid": "k2"}))


def test_an_unknown_key_id_withdraws_what_is_withdrawn(issuer, clock, verifier):
    """Any refresh brings the whole set: there is no copy of a key beside it."""
    assert good(verifier, token())
    issuer.document = jwks(k2=OTHER)
    clock.advance(6)
    assert good(verifier, minted(clock.wall, OTHER, header={"kid": "k2"}))
    assert not good(verifier, token())


def test_the_wall_clock_has_no_say_in_when_keys_are_fetched(issuer, clock):
    keys = KeySet(issuer, cool_down=5, max_age=300)
    assert keys.find("k1")
    for jump in (JUMP, -2 * JUMP, 10 * 365 * 86400):
        clock.wall += jump
        assert keys.find("k1")
    assert issuer.asked == 1


# --- clocks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("issuers", [-JUMP, 0, JUMP])
@pytest.mark.parametrize("jumps", [{}, {0: JUMP}, {0: -JUMP}, {300: JUMP}, {300: -JUMP}, {300: JUMP, 600: -2 * JUMP}])
@pytest.mark.parametrize("seen_before", [True, False])
def test_no_jump_of_a_clock_makes_a_token_live_for_ever(issuer, clock, issuers, jumps, seen_before):
    """True time goes from 0 to an hour; both clocks may be five minutes off, ours also in between."""
    start = clock.wall
    text = minted(start + issuers)
    verifier = AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE)
    offset, lived = 0, []
    for at in range(0, 3600, 20):
        offset += jumps.get(at, 0)
        clock.wall, clock.now = start + at + offset, 1000.0 + at
        if not seen_before:
            verifier = AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE)
        if good(verifier, text):
            lived.append(at)
            assert at + offset < issuers + TTL + LEEWAY
    assert max(lived, default=0) <= TTL + LEEWAY + 2 * JUMP


def test_a_token_from_a_clock_that_is_ahead_has_to_wait(verifier, clock):
    text = minted(clock.wall + JUMP)
    assert not good(verifier, text)
    clock.advance(JUMP - LEEWAY)
    assert good(verifier, text)


def test_a_token_that_was_seen_expires_although_the_clock_had_been_set_back(verifier, clock):
    text = minted(clock.wall)
    assert good(verifier, text)
    clock.wall -= JUMP
    assert good(verifier, text)
    clock.wall += JUMP + TTL + LEEWAY
    assert not good(verifier, text)


def test_a_lifetime_is_bounded_whatever_the_issuers_clock_did_while_it_minted(verifier, clock):
    """`iat` from before a jump of its clock and `exp` from after it."""
    now = int(clock.wall)
    assert good(verifier, token(iat=now - JUMP, exp=now + TTL))
    assert not good(verifier, token(iat=now, exp=now + tokens.LONGEST_LIFE + 1))
    assert not good(verifier, token(iat=0, exp=now + TTL))
