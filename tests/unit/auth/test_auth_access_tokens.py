from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from sqlalchemy.exc import OperationalError

from auth_svc.domain.account import Account
from auth_svc.domain.email import Email
from auth_svc.domain.session import Session
from auth_svc.domain.signing_key import SealedKeyError
from auth_svc.infrastructure.keys import REMEMBERED, Es256KeyMaker, KeyRing
from auth_svc.infrastructure.secret_key import SIGNING_KEYS, seal_with
from auth_svc.infrastructure.tokens import JwtTokens
from lib.ids import new_id, utc_now
from lib.tokens import AccessTokenVerifier, InvalidToken
from tests.fakes.auth import POLICY

SECRET = "first-secret-key"


class Shelf:
    """Where the keys lie; counts how often somebody looks."""

    def __init__(self, *keys):
        self.keys = list(keys)
        self.looks = 0
        self.away = False

    def __call__(self):
        self.looks += 1
        if self.away:
            raise OperationalError("select", {}, Exception("gone"))
        return list(self.keys)


class Ticks:
    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


def make_key(secret=SECRET, state="active"):
    key = Es256KeyMaker(seal_with(secret, SIGNING_KEYS)).make(utc_now())
    key.state = state
    return key


@pytest.fixture
def shelf():
    return Shelf(make_key())


@pytest.fixture
def ticks():
    return Ticks()


@pytest.fixture
def ring(shelf, ticks):
    return KeyRing(shelf, seal_with(SECRET, SIGNING_KEYS), ticks)


@pytest.fixture
def tokens(ring):
    return JwtTokens(ring, "https://issuer.example", "leveret", timedelta(minutes=15), new_id)


def ann(now, **changes):
    account = Account.register(id=new_id(), email=Email("ann@example.com"), name="Ann", password_hash="h", now=now)
    for name, value in changes.items():
        setattr(account, name, value)
    session = Session.open(
        id=new_id(), account_id=account.id, token_hash=b"", amr=("pwd",), now=now, lifetime=POLICY.lifetime
    )
    return account, session


def verified(tokens, token, audience="leveret"):
    return AccessTokenVerifier(tokens.jwks, issuer="https://issuer.example", audience=audience).verify(token)


def test_a_token_says_what_was_agreed_and_nothing_else(tokens, shelf):
    now = utc_now()
    account, session = ann(now - timedelta(hours=1), roles=("admin",), email_verified=True)
    token = tokens.signer()(account, session, now)
    assert token.expires_in == 900
    claims = dict(verified(tokens, token.value))
    jti = claims.pop("jti")
    assert claims == {
        "iss": "https://issuer.example",
        "aud": "leveret",
        "sub": str(account.id),
        "sid": str(session.id),
        "iat": int(now.timestamp()),
        "auth_time": int((now - timedelta(hours=1)).timestamp()),
        "exp": int(now.timestamp()) + 900,
        "roles": ["admin"],
        "email_verified": True,
        "amr": ["pwd"],
    }
    assert jwt.get_unverified_header(token.value) == {"alg": "ES256", "typ": "at+jwt", "kid": shelf.keys[0].kid}
    assert dict(verified(tokens, tokens.signer()(account, session, now).value))["jti"] != jti
    assert token.value not in repr(token)


def test_a_token_does_not_outlive_its_session(tokens):
    now = utc_now()
    account, session = ann(now - POLICY.lifetime + timedelta(minutes=5))
    assert tokens.signer()(account, session, now).expires_in == 300


def test_a_token_for_somebody_else_or_from_another_key_is_refused(tokens):
    account, session = ann(utc_now())
    token = tokens.signer()(account, session, utc_now()).value
    with pytest.raises(InvalidToken):
        verified(tokens, token, audience="another")
    stranger = JwtTokens(
        KeyRing(Shelf(make_key()), seal_with(SECRET, SIGNING_KEYS)), tokens.issuer, tokens.audience, POLICY.idle, new_id
    )
    with pytest.raises(InvalidToken):
        verified(tokens, stranger.signer()(account, session, utc_now()).value)


def test_the_published_keys_hold_nothing_private(ring, shelf):
    """Not even if somebody put the whole key into the public half by mistake."""
    shelf.keys += [make_key(state="next"), make_key(state="retiring")]
    for each in shelf.keys:
        each.public_jwk = {**each.public_jwk, "d": "private", "p": "1", "q": "2", "k": "shared"}
    published = ring.jwks()["keys"]
    assert [each["kid"] for each in published] == [each.kid for each in shelf.keys]
    for each in published:
        assert set(each) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (each["kty"], each["crv"], each["use"], each["alg"]) == ("EC", "P-256", "sig", "ES256")
        assert (len(each["x"]), len(each["y"])) == (43, 43)


def test_keys_that_only_verify_are_published_and_do_not_sign(tokens, shelf):
    account, session = ann(utc_now())
    before = tokens.signer()(account, session, utc_now()).value
    tokens = JwtTokens(
        KeyRing(shelf, seal_with(SECRET, SIGNING_KEYS)), tokens.issuer, tokens.audience, tokens.lifetime, new_id
    )
    shelf.keys[0].state = "retiring"
    newest, upcoming = make_key(), make_key()
    upcoming.state = "next"
    shelf.keys += [newest, upcoming]
    after = tokens.signer()(account, session, utc_now()).value
    assert jwt.get_unverified_header(after)["kid"] == newest.kid
    assert len(tokens.jwks()["keys"]) == 3
    assert verified(tokens, before)
    assert verified(tokens, after)


def test_the_keys_are_read_once_in_a_while(ring, shelf, ticks):
    for _ in range(3):
        ring.active()
        ring.jwks()
    assert shelf.looks == 1
    before, after = shelf.keys[0].kid, make_key()
    shelf.keys[:] = [after]
    ticks.seconds += REMEMBERED
    assert ring.active()[0] == before
    ticks.seconds += 0.1
    assert ring.active()[0] == after.kid
    assert ring.jwks()["keys"][0]["kid"] == after.kid
    assert shelf.looks == 2


def test_keys_that_are_known_to_have_changed_are_read_at_once(tokens, shelf):
    account, session = ann(utc_now())
    tokens.signer()
    shelf.keys[0].state = "retiring"
    shelf.keys.append(make_key())
    tokens.forget_keys()
    after = tokens.signer()(account, session, utc_now()).value
    assert jwt.get_unverified_header(after)["kid"] == shelf.keys[1].kid
    shelf.away = True
    tokens.forget_keys()
    assert len(tokens.jwks()["keys"]) == 2


def test_what_was_read_is_used_while_the_database_is_away(ring, shelf, ticks):
    kid, _ = ring.active()
    shelf.away = True
    ticks.seconds += REMEMBERED + 1
    assert ring.active()[0] == kid
    assert ring.jwks()["keys"]
    assert shelf.looks == 2


def test_without_any_key_read_the_database_being_away_is_an_error(ring, shelf):
    shelf.away = True
    with pytest.raises(OperationalError):
        ring.jwks()
    shelf.away = False
    assert ring.jwks()["keys"]


def test_the_private_half_is_sealed_with_secret_key(shelf):
    key = shelf.keys[0]
    seal = seal_with(SECRET, SIGNING_KEYS)
    assert seal.decrypt(key.sealed_private)[0] == 0x30
    assert repr(key.sealed_private) not in repr(key)
    kid, private = KeyRing(shelf, seal_with(f"new-key,{SECRET}", SIGNING_KEYS)).active()
    assert kid == key.kid
    assert isinstance(private.curve, SECP256R1)
    with pytest.raises(SealedKeyError, match="SECRET_KEY does not open"):
        KeyRing(shelf, seal_with("new-key", SIGNING_KEYS)).active()
    with pytest.raises(SealedKeyError):
        KeyRing(shelf, seal_with(SECRET, "another purpose")).active()


def test_a_key_id_is_the_thumbprint_of_its_key():
    first, second = make_key(), make_key()
    assert first.kid != second.kid
    assert len(first.kid) == 43


def test_a_private_half_is_sealed_anew_with_the_newest_secret_key(shelf):
    key = shelf.keys[0]
    both = Es256KeyMaker(seal_with(f"new-key,{SECRET}", SIGNING_KEYS))
    before = key.sealed_private
    key.sealed_private = both.reseal(before)
    assert KeyRing(shelf, seal_with("new-key", SIGNING_KEYS)).active()[0] == key.kid
    with pytest.raises(SealedKeyError):
        KeyRing(shelf, seal_with(SECRET, SIGNING_KEYS)).active()
    with pytest.raises(SealedKeyError) as refusal:
        Es256KeyMaker(seal_with("new-key", SIGNING_KEYS)).reseal(before)
    assert "gAAAA" not in str(refusal.value)
