"""Access tokens: whatever is wrong with one, it is refused; whatever happens to the issuer, good ones are not."""

import hashlib
import hmac
import json
import threading
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import tokens
from lib.tokens import AccessTokenVerifier, InvalidToken, KeySet, KeysUnavailable
from tests.unit.lib.fakes import Clock
from tests.unit.lib.issuer import AUDIENCE, ISSUER, KEY, OTHER, Issuer, b64, claims, jwks, public, token


@pytest.fixture
def issuer():
    return Issuer()


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    clock.wall = time.time()
    monkeypatch.setattr(tokens, "time", clock)
    return clock


@pytest.fixture
def verifier(issuer):
    return AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE)


# --- keys -----------------------------------------------------------------------------------------------------------


def test_the_keys_are_fetched_once_and_then_remembered(issuer, clock):
    keys = KeySet(issuer)
    for _ in range(3):
        assert keys.find("k1") is not None
        clock.advance(90)
    assert issuer.asked == 1


def test_an_unknown_key_id_has_the_keys_fetched_anew(issuer, clock):
    keys = KeySet(issuer)
    assert keys.find("k1") is not None
    clock.advance(6)
    issuer.document = jwks(k1=KEY, k2=OTHER)
    assert keys.find("k2") is not None
    assert issuer.asked == 2


def test_unknown_key_ids_cannot_make_us_ask_more_often_than_the_cool_down(issuer, clock):
    keys = KeySet(issuer, cool_down=5)
    assert keys.find("k1") is not None
    for second in range(20):
        assert keys.find(f"made up {second}") is None
        clock.advance(1)
    assert issuer.asked <= 1 + 20 / 5


def test_the_keys_are_fetched_again_at_their_age_so_that_a_withdrawn_one_is_not_trusted_for_ever(issuer, clock):
    keys = KeySet(issuer, max_age=300)
    assert keys.find("k1") is not None
    issuer.document = jwks(k2=OTHER)
    clock.advance(299)
    assert keys.find("k1") is not None
    clock.advance(2)
    assert keys.find("k1") is None
    assert issuer.asked == 2


def test_a_key_that_was_new_does_not_keep_the_next_one_from_being_asked_for(issuer, clock):
    """As when a key is withdrawn just after a rotation: tokens of both new keys come within seconds."""
    keys = KeySet(issuer, cool_down=5)
    assert keys.find("k1") is not None
    clock.advance(6)
    issuer.document = jwks(k1=KEY, k2=OTHER)
    assert keys.find("k2") is not None
    clock.advance(1)
    issuer.document = jwks(k2=OTHER, k3=KEY)
    assert keys.find("k3") is not None
    assert keys.find("k1") is None
    assert issuer.asked == 3 + 1


@pytest.mark.parametrize("failure", [RuntimeError("away"), TimeoutError(), KeyError("x")])
def test_the_last_known_keys_serve_on_while_the_issuer_is_away(issuer, clock, failure):
    keys = KeySet(issuer, cool_down=5, max_age=300)
    assert keys.find("k1") is not None
    issuer.failure = failure
    for _ in range(100):
        clock.advance(10)
        assert keys.find("k1") is not None
    issuer.failure, issuer.document = None, jwks(k2=OTHER)
    clock.advance(10)
    assert keys.find("k1") is None


def test_an_unknown_key_while_the_issuer_cannot_be_asked_is_no_reason_to_refuse(issuer, clock):
    """The key may be new: whoever holds the token is told to come back, and not that the token is bad."""
    keys = KeySet(issuer)
    assert keys.find("k1") is not None
    clock.advance(6)
    issuer.failure = ConnectionError("away")
    for _ in range(2):
        with pytest.raises(KeysUnavailable):
            keys.find("k2")
    assert keys.find("k1") is not None
    clock.advance(6)
    issuer.failure = None
    assert keys.find("k2") is None


def test_an_issuer_that_is_away_is_not_asked_by_every_call(issuer, clock):
    keys = KeySet(issuer, cool_down=5, max_age=300)
    assert keys.find("k1") is not None
    clock.advance(301)
    issuer.failure = RuntimeError("away")
    before = issuer.asked
    for _ in range(100):
        assert keys.find("k1") is not None
        clock.advance(0.1)
    assert issuer.asked - before <= 3


def test_without_any_keys_ever_the_answer_is_unavailable_and_soon_tried_again(issuer, clock):
    issuer.failure = RuntimeError("away")
    keys = KeySet(issuer)
    for _ in range(3):
        with pytest.raises(KeysUnavailable) as caught:
            keys.find("k1")
    assert issuer.asked == 1
    assert caught.value.kind == "unavailable"
    assert "retry_after" in caught.value.details
    issuer.failure = None
    clock.advance(0.3)
    assert keys.find("k1") is not None


@pytest.mark.parametrize("document", [{}, {"keys": [{"kid": "k2"}]}, {"keys": [{}]}, "nonsense", {"keys": None}])
def test_a_document_that_cannot_be_read_counts_as_away(issuer, clock, document):
    keys = KeySet(issuer)
    assert keys.find("k1") is not None
    issuer.failure = None
    clock.advance(301)
    assert keys.find("k1") is not None


def test_a_key_of_a_kind_that_we_do_not_know_is_passed_over(issuer, clock):
    strange = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    jwk = json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(strange))
    issuer.document["keys"].insert(0, {**jwk, "kid": "r1"})
    assert KeySet(issuer).find("k1") is not None


def test_two_keys_with_one_id_are_one_key(issuer, clock):
    issuer.document = {"keys": [public(OTHER, "k1"), public(KEY, "k1")]}
    verifier = AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE)
    assert verifier.verify(token())["sub"] == "a1"
    with pytest.raises(InvalidToken):
        verifier.verify(token(OTHER))


def test_many_threads_that_find_no_keys_ask_once(issuer):
    gate = threading.Event()

    def slow():
        gate.wait(5)
        return issuer()

    keys = KeySet(slow)
    found = []
    threads = [threading.Thread(target=lambda: found.append(keys.find("k1"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join(5)
    assert len(found) == 8
    assert None not in found
    assert issuer.asked == 1


def test_while_one_thread_asks_for_the_keys_anew_the_others_use_the_copy(issuer):
    asking, answer = threading.Event(), threading.Event()

    def slow():
        if issuer.asked:
            asking.set()
            answer.wait(5)
        return issuer()

    keys = KeySet(slow, max_age=0, cool_down=0)
    assert keys.find("k1") is not None
    first = threading.Thread(target=keys.find, args=("k1",))
    first.start()
    assert asking.wait(5)
    found = []
    second = threading.Thread(target=lambda: found.append(keys.find("k1")))
    second.start()
    second.join(0.3)
    at_once = list(found)
    answer.set()
    first.join(5)
    second.join(5)
    assert len(at_once) == 1


class HangingIssuer(Issuer):
    """Takes two seconds of the clock for each failure, as a call that times out does."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def __call__(self):
        if self.failure is not None:
            self.clock.advance(2)
        return super().__call__()


def test_callers_that_queue_behind_a_try_that_failed_do_not_each_try_again(clock):
    issuer = HangingIssuer(clock)
    issuer.failure = TimeoutError()
    keys = KeySet(issuer)
    for _ in range(16):  # they come in at the same moment, and get the lock one after another
        with pytest.raises(KeysUnavailable):
            keys.find("k1")
    assert issuer.asked == 1


# --- tokens ---------------------------------------------------------------------------------------------------------


def test_a_good_token_gives_its_claims(verifier):
    assert verifier.verify(token())["sub"] == "a1"


@pytest.mark.parametrize(
    "header", [{"typ": "AT+JWT"}, {"jku": "https://evil.example"}, {"x5u": "https://evil.example"}]
)
def test_what_does_not_matter_in_a_header(verifier, issuer, header):
    assert verifier.verify(token(header=header))["sub"] == "a1"
    assert issuer.asked == 1


def test_the_audience_may_be_one_of_several(verifier):
    assert verifier.verify(token(aud=["other", AUDIENCE]))["sub"] == "a1"


def hs256_with_the_public_key():
    """The classic confusion: the public key, which everybody has, taken for a shared secret."""
    secret = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed = b64({"alg": "HS256", "kid": "k1", "typ": "at+jwt"}) + "." + b64(claims())
    return signed + "." + b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())


def alg_none(signature=""):
    return b64({"alg": "none", "kid": "k1", "typ": "at+jwt"}) + "." + b64(claims()) + "." + signature


def other_claims_under_a_good_signature():
    head, _, signature = token().split(".")
    return ".".join((head, b64(claims(sub="somebody else")), signature))


def rs256():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims(), key, algorithm="RS256", headers={"kid": "k1", "typ": "at+jwt"})


def with_its_own_key():
    jwk = json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(OTHER.public_key()))
    return token(OTHER, header={"jwk": jwk})


BAD = {
    "alg none": alg_none,
    "alg none with a signature": lambda: alg_none("AAAA"),
    "HS256 with the public key": hs256_with_the_public_key,
    "RS256": rs256,
    "another key under our key's id": lambda: token(OTHER),
    "a key of its own in the header": with_its_own_key,
    "a key URL of its own": lambda: token(OTHER, header={"jku": "https://evil.example/jwks.json"}),
    "changed claims": other_claims_under_a_good_signature,
    "unknown key id": lambda: token(header={"kid": "k9"}),
    "no key id": lambda: b64({"alg": "ES256", "typ": "at+jwt"}) + "." + b64(claims()) + ".AAAA",
    "a number as key id": lambda: b64({"alg": "ES256", "kid": 1, "typ": "at+jwt"}) + "." + b64(claims()) + ".AAAA",
    "an ID token": lambda: token(header={"typ": "JWT"}),
    "no type": lambda: token(header={"typ": None}),
    "crit": lambda: token(header={"crit": ["exp"]}),
    "crit of nothing": lambda: token(header={"crit": []}),
    "wrong issuer": lambda: token(iss="https://evil.example"),
    "issuer with a slash more": lambda: token(iss=ISSUER + "/"),
    "wrong audience": lambda: token(aud="other"),
    "no audience in the list": lambda: token(aud=[]),
    "not valid yet": lambda: token(nbf=int(time.time()) + 60),
    "issued in the future": lambda: token(iat=int(time.time()) + 60),
    "a subject that is no text": lambda: token(sub=5),
    "an expiry that is no number": lambda: token(exp="tomorrow"),
    "empty": lambda: "",
    "three dots": lambda: "..",
    "four parts": lambda: token() + ".x",
    "not base64": lambda: "%%%.%%%.%%%",
    "not JSON": lambda: b64(b"{") + "." + b64(b"{") + ".x",
    "a list as header": lambda: b64([]) + "." + b64(claims()) + ".x",
    "with a newline": lambda: token() + "\n\n",
    "not ASCII": lambda: "ä.ö.ü",
    "too long": lambda: token(padding="x" * 9000),
    **{f"no {name}": (lambda name=name: token(**{name: ...})) for name in tokens.REQUIRED},
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD.keys())
def test_a_bad_token_is_refused(verifier, make):
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(make())
    assert caught.value.kind == "unauthenticated"
    assert caught.value.code == "invalid_token"
    # Nothing that came in with the token goes out with the refusal.
    assert "evil" not in str(caught.value)


def test_a_token_that_is_too_long_is_not_even_looked_at(verifier, issuer):
    with pytest.raises(InvalidToken, match="too long"):
        verifier.verify("x" * (tokens.LONGEST + 1))
    assert issuer.asked == 0


@pytest.mark.parametrize(("age", "good"), [(-60, True), (5, True), (9, True), (11, False), (3600, False)])
def test_expiry_with_leeway(verifier, age, good):
    late = token(exp=int(time.time()) - age)
    if good:
        assert verifier.verify(late)["sub"] == "a1"
        return
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(late)
    assert caught.value.details == {"reason": "expired"}


@settings(max_examples=200)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_byte_of_a_token_can_be_changed(position, difference):
    verifier = AccessTokenVerifier(Issuer(), issuer=ISSUER, audience=AUDIENCE)
    good = TOKEN.encode()
    at = position % len(good)
    changed = good[:at] + bytes([good[at] ^ difference]) + good[at + 1 :]
    with pytest.raises(InvalidToken):
        verifier.verify(changed.decode("latin-1"))


TOKEN = token()

# --- tokens that were seen before -----------------------------------------------------------------------------------


def test_a_token_that_was_good_expires_all_the_same(verifier, clock):
    good = token(exp=int(clock.wall) + 100)
    assert verifier.verify(good)["sub"] == "a1"
    clock.advance(109)
    assert verifier.verify(good)["sub"] == "a1"
    clock.advance(2)
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(good)
    assert caught.value.details == {"reason": "expired"}


def test_a_token_that_was_good_falls_with_its_key(verifier, issuer, clock):
    good = token()
    verifier.verify(good)
    issuer.document = jwks(k2=OTHER)
    clock.advance(301)
    with pytest.raises(InvalidToken):
        verifier.verify(good)


def test_a_token_that_was_good_falls_when_its_keys_id_gets_another_key(verifier, issuer, clock):
    good = token()
    verifier.verify(good)
    issuer.document = jwks(k1=OTHER)
    clock.advance(301)
    with pytest.raises(InvalidToken):
        verifier.verify(good)


def test_a_bad_token_is_not_remembered_as_good(verifier):
    for _ in range(2):
        with pytest.raises(InvalidToken):
            verifier.verify(token(OTHER))


def test_the_memory_of_good_tokens_is_bounded(verifier, monkeypatch):
    monkeypatch.setattr(tokens, "CACHED_TOKENS", 3)
    many = [token(jti=str(number)) for number in range(5)]
    for each in many:
        verifier.verify(each)
    assert list(verifier._seen) == many[2:]
    assert verifier.verify(many[0])["jti"] == "0"
