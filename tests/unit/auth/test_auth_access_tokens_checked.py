"""Access tokens as others see them: the service itself, another library, a verifier during a rotation."""

import json
from datetime import timedelta

import joserfc.jwt
import jwt
import pytest
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from auth_svc.infrastructure.keys import REMEMBERED, KeyRing
from auth_svc.infrastructure.secret_key import SIGNING_KEYS, seal_with
from auth_svc.infrastructure.tokens import JwtTokens
from lib.ids import new_id, utc_now
from lib.tokens import AccessTokenVerifier, InvalidToken, KeysUnavailable
from tests.unit.auth.test_auth_access_tokens import SECRET, Shelf, ann, make_key, ring, shelf, ticks, tokens

__all__ = ["ring", "shelf", "ticks", "tokens"]


def test_our_own_valid_token_is_told_from_any_other_text(tokens, shelf, ticks):
    account, session = ann(utc_now())
    good = tokens.signer()(account, session, utc_now()).value
    assert tokens.claims(good)["sid"] == str(session.id)
    expired = tokens.signer()(account, session, utc_now() - timedelta(hours=1)).value
    head, body, signature = good.split(".")
    stranger = JwtTokens(
        KeyRing(Shelf(make_key()), seal_with(SECRET, SIGNING_KEYS)),
        tokens.issuer,
        tokens.audience,
        tokens.lifetime,
        new_id,
    )
    bad = [
        expired,
        stranger.signer()(account, session, utc_now()).value,
        f"{head}.{body}.{signature[::-1]}",
        f"{head}.{body}.",
        f"{head}.{body}",
        good + "=",
        good * 20,
        "",
        "a.b.c",
        "\ud800.\0.ü",
        None,
        7,
        {},
        [good],
    ]
    assert [tokens.claims(each) for each in bad] == [None] * len(bad)


def test_another_issuers_and_another_audiences_token_is_not_ours(tokens, ring):
    account, session = ann(utc_now())
    for issuer, audience in [("https://other.example", tokens.audience), (tokens.issuer, "other")]:
        other = JwtTokens(ring, issuer, audience, tokens.lifetime, new_id)
        assert tokens.claims(other.signer()(account, session, utc_now()).value) is None


def test_a_token_of_a_withdrawn_key_is_not_ours_any_more(tokens, shelf):
    account, session = ann(utc_now())
    token = tokens.signer()(account, session, utc_now()).value
    assert tokens.claims(token)
    shelf.keys[:] = [make_key()]
    tokens.forget_keys()
    assert tokens.claims(token) is None


def test_a_key_that_another_instance_has_withdrawn_is_not_trusted_for_longer_than_seconds(tokens, shelf, ticks):
    account, session = ann(utc_now())
    token = tokens.signer()(account, session, utc_now()).value
    assert tokens.claims(token)
    shelf.keys[:] = [make_key()]
    ticks.seconds += REMEMBERED + 0.1
    copy = tokens._verifier.keys
    copy._fetched_at -= REMEMBERED + 0.1
    copy._tried_at -= REMEMBERED + 0.1
    assert tokens.claims(token) is None


def test_without_any_key_read_nobody_is_told_that_a_token_is_bad(tokens, shelf):
    account, session = ann(utc_now())
    token = tokens.signer()(account, session, utc_now()).value
    away = Shelf()
    away.away = True
    blind = JwtTokens(
        KeyRing(away, seal_with(SECRET, SIGNING_KEYS)), tokens.issuer, tokens.audience, tokens.lifetime, new_id
    )
    with pytest.raises(KeysUnavailable):
        blind.claims(token)


def test_another_library_verifies_a_token_with_nothing_but_the_published_keys(tokens, shelf):
    shelf.keys.append(make_key(state="next"))
    account, session = ann(utc_now(), roles=("admin",))
    token = tokens.signer()(account, session, utc_now()).value
    keys = KeySet.import_key_set(json.loads(json.dumps(tokens.jwks())))
    decoded = joserfc.jwt.decode(token, keys, algorithms=["ES256"])
    assert decoded.header == {"alg": "ES256", "typ": "at+jwt", "kid": shelf.keys[0].kid}
    rules = joserfc.jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": tokens.issuer},
        aud={"essential": True, "value": tokens.audience},
        exp={"essential": True},
    )
    rules.validate(decoded.claims)
    assert decoded.claims["sub"] == str(account.id)
    assert not any(each.is_private for each in keys.keys)
    for forged in (token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB"), token.replace(".", ".e", 1)):
        with pytest.raises(JoseError):
            joserfc.jwt.decode(forged, keys, algorithms=["ES256"])
    with pytest.raises(JoseError):
        joserfc.jwt.decode(token, KeySet([keys.keys[1]]), algorithms=["ES256"])


def rotate(tokens, shelf):
    """As `rotate_signing_keys` does it, but for the waiting."""
    shelf.keys[-2].retire(utc_now())
    shelf.keys[-1].promote()
    shelf.keys.append(make_key(state="next"))
    tokens.forget_keys()


def test_after_a_rotation_old_and_new_tokens_are_good(tokens, shelf):
    verifier = AccessTokenVerifier(tokens.jwks, issuer=tokens.issuer, audience=tokens.audience)
    account, session = ann(utc_now())
    shelf.keys.append(make_key(state="next"))
    made = [tokens.signer()(account, session, utc_now()).value]
    assert verifier.verify(made[0])
    rotate(tokens, shelf)
    made.append(tokens.signer()(account, session, utc_now()).value)
    assert [verifier.verify(each)["sub"] for each in made] == [str(account.id)] * 2
    assert [jwt.get_unverified_header(each)["kid"] for each in made] == [each.kid for each in shelf.keys[:2]]


def test_a_rotation_right_after_another_would_make_verifiers_refuse_good_tokens(tokens, shelf):
    """Why a key is published for some seconds before it signs, even if it has to be quick."""
    verifier = AccessTokenVerifier(tokens.jwks, issuer=tokens.issuer, audience=tokens.audience)
    account, session = ann(utc_now())
    shelf.keys.append(make_key(state="next"))
    assert verifier.verify(tokens.signer()(account, session, utc_now()).value)
    rotate(tokens, shelf)
    rotate(tokens, shelf)
    token = tokens.signer()(account, session, utc_now()).value
    with pytest.raises(InvalidToken, match="unknown key"):
        verifier.verify(token)
    verifier.keys._tried_at -= 5
    assert verifier.verify(token)
