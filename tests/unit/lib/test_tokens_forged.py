"""Tokens that somebody made up, changed or put to another use: not one of them is taken for an access token.

Those of the second half carry a good signature of the issuer: they show what a mistake of the issuer's, or another
kind of token that it signs with the same key, cannot be used for.
"""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from lib import tokens
from lib.tokens import AccessTokenVerifier, InvalidToken
from tests.unit.lib.issuer import (
    AUDIENCE,
    HEADER,
    ISSUER,
    KEY,
    OTHER,
    Issuer,
    b64,
    claims,
    der,
    doubled,
    other_bits_at_the_end,
    padded,
    public,
    signed,
    token,
    token_of,
    with_claims,
    with_header,
    with_parts,
)

#: the order of the curve's group: (r, N - s) proves what (r, s) proves
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def now() -> int:
    """Asked when a test runs: the whole suite takes longer than a token lives."""
    return int(time.time())


@pytest.fixture
def issuer():
    return Issuer()


@pytest.fixture
def verifier(issuer):
    return AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE)


def refused(verifier, forged):
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(forged)
    assert (caught.value.kind, caught.value.code) == ("unauthenticated", "invalid_token")
    # Nothing that came in with the token goes out with the refusal.
    assert "evil" not in str(caught.value)
    return True


def hmac_signed(secret, alg="HS256"):
    text = f"{b64({**HEADER, 'alg': alg})}.{b64(claims())}"
    return f"{text}.{b64(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def public_key_as(encoding, form):
    return KEY.public_key().public_bytes(encoding, form)


PEM = public_key_as(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
DER = public_key_as(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
POINT = public_key_as(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
CERTIFICATE = base64.b64encode(DER).decode()


def unsigned(alg, signature=""):
    return f"{b64({**HEADER, 'alg': alg})}.{b64(claims())}.{signature}"


def rs256():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims(), key, algorithm="RS256", headers={"typ": "at+jwt", "kid": "k1"})


MADE_UP = {
    **{f"alg {alg!r}": (lambda alg=alg: unsigned(alg)) for alg in ("none", "None", "NONE", "nOnE", "", None, 0, [])},
    "alg none with our signature": lambda: f"{unsigned('none')}{token().rpartition('.')[2]}",
    "HS256, the public key as PEM for a secret": lambda: hmac_signed(PEM),
    "HS256, the public key as DER for a secret": lambda: hmac_signed(DER),
    "HS256, the point for a secret": lambda: hmac_signed(POINT),
    "HS256, the JWK for a secret": lambda: hmac_signed(json.dumps(public(KEY, "k1")).encode()),
    "HS256, nothing for a secret": lambda: hmac_signed(b""),
    "HMAC under the name of ES256": lambda: hmac_signed(PEM, "ES256"),
    "RS256": rs256,
    "no key id": lambda: jwt.encode(claims(), OTHER, algorithm="ES256", headers={"typ": "at+jwt"}),
    **{
        f"key id {kid!r}": (lambda kid=kid: token(OTHER, header={"kid": kid}))
        for kid in (
            "",
            "k9",
            "K1",
            "k1\0",
            "../../../../dev/null",
            "/etc/passwd",
            "file:///dev/null",
            "https://evil.example/key",
            "' or 1=1 --",
            "k1' union select 'evil",
            "k1; drop table signing_keys",
            "k1 ",
            "k" * 4000,
        )
    },
    **{
        f"key id of another type: {kid!r}": (
            lambda kid=kid: signed(json.dumps({**HEADER, "kid": kid}).encode(), json.dumps(claims()).encode())
        )
        for kid in (None, 1, True, ["k1"], {"k1": "k1"})
    },
    "brings a key: jwk": lambda: token(OTHER, header={"jwk": public(OTHER, "k1")}),
    "brings a key under another id: jwk": lambda: token(OTHER, header={"kid": "x", "jwk": public(OTHER, "x")}),
    "brings a key: x5c": lambda: token(OTHER, header={"x5c": [CERTIFICATE]}),
    "says where a key is: jku": lambda: token(OTHER, header={"jku": "https://evil.example/jwks.json"}),
    "says where a key is: x5u": lambda: token(OTHER, header={"x5u": "https://evil.example/cert.pem"}),
    "names a certificate: x5t": lambda: token(OTHER, header={"x5t": "evil", "x5t#S256": "evil"}),
    "a signature of zeros": lambda: with_parts(lambda parts: parts.__setitem__(2, b64(bytes(64)))),
    "a signature of ones": lambda: with_parts(lambda parts: parts.__setitem__(2, b64(b"\xff" * 64))),
    "a signature of r = s = N": lambda: with_parts(lambda parts: parts.__setitem__(2, b64(N.to_bytes(32) * 2))),
    "a signature in DER": lambda: with_parts(lambda parts: parts.__setitem__(2, b64(der(parts[2])))),
    "half a signature": lambda: with_parts(lambda parts: parts.__setitem__(2, parts[2][:43])),
    "a longer signature": lambda: with_parts(lambda parts: parts.__setitem__(2, parts[2] + "AAAA")),
    "no signature": lambda: with_parts(lambda parts: parts.__setitem__(2, "")),
    "the signature of another token": lambda: with_parts(
        lambda parts: parts.__setitem__(2, token(sub="b2").rpartition(".")[2])
    ),
    "more rights": lambda: with_parts(lambda parts: parts.__setitem__(1, b64(claims(roles=["admin"])))),
    "other bits at the end": lambda: with_parts(other_bits_at_the_end),
    "padding": lambda: with_parts(padded),
    **{f"followed by {tail!r}": (lambda tail=tail: token() + tail) for tail in (" ", "\n", "=", "==", "\0", ".", ".x")},
    **{f"after {head!r}": (lambda head=head: head + token()) for head in (" ", "\n", "=", "\ufeff", ".", "x.")},
    "a character that readers of base64 pass over": lambda: with_parts(
        lambda parts: parts.__setitem__(1, f"{parts[1][:8]}\n{parts[1][8:]}")
    ),
    "encrypted: five parts": lambda: ".".join([b64({"alg": "dir", "enc": "A256GCM"}), "", "AAAA", "AAAA", "AAAA"]),
    "letters of other scripts": lambda: with_parts(lambda parts: parts.__setitem__(1, "а" + parts[1][1:])),
    "digits of other scripts": lambda: with_parts(lambda parts: parts.__setitem__(1, "٣" + parts[1][1:])),
    "half a surrogate pair": lambda: "\ud800.\ud800.\ud800",
    "one character too long": lambda: "A" * (tokens.LONGEST + 1),
}


@pytest.mark.parametrize("make", MADE_UP.values(), ids=MADE_UP.keys())
def test_what_the_issuer_has_not_signed_is_refused(verifier, make):
    assert refused(verifier, make())


def test_keys_named_in_a_token_are_never_fetched(verifier, issuer):
    tried = [make() for title, make in MADE_UP.items() if title.endswith((": jwk", ": x5c", ": jku", ": x5u", ": x5t"))]
    assert len(tried) == 6
    for each in tried:
        refused(verifier, each)
    assert issuer.asked == 1


def test_a_mirrored_signature_proves_the_same_and_nothing_else(verifier):
    """ECDSA's signatures come in pairs. So nothing may go by a token's text: sessions are revoked, not texts."""
    head, payload, signature = token().split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    mirrored = raw[:32] + (N - int.from_bytes(raw[32:])).to_bytes(32)
    twin = f"{head}.{payload}.{b64(mirrored)}"
    assert verifier.verify(twin) == verifier.verify(f"{head}.{payload}.{signature}")
    assert refused(verifier, f"{head}.{b64(claims(sub='b2'))}.{b64(mirrored)}")


# --- under the issuer's own signature -------------------------------------------------------------------------------


SIGNED = {
    "an ID token": lambda: with_header(typ="JWT"),
    "a logout token": lambda: with_header(typ="logout+jwt"),
    "no type": lambda: with_header(typ=...),
    "a type that is no text": lambda: with_header(typ=["at+jwt"]),
    "no algorithm": lambda: with_header(alg=...),
    "crit": lambda: with_header(crit=["exp"]),
    "crit of an extension of its own": lambda: with_header(crit=["x"], x=1),
    "crit of nothing": lambda: with_header(crit=[]),
    "crit of null": lambda: with_header(crit=None),
    "crit of b64": lambda: with_header(crit=["b64"], b64=False),
    "crit of b64 that changes nothing": lambda: with_header(crit=["b64"], b64=True),
    "b64 false": lambda: with_header(b64=False),
    "two algorithms": lambda: signed(
        b'{"alg": "none", "alg": "ES256", "kid": "k1", "typ": "at+jwt"}', json.dumps(claims()).encode()
    ),
    "two key ids": lambda: signed(
        b'{"alg": "ES256", "kid": "x", "kid": "k1", "typ": "at+jwt"}', json.dumps(claims()).encode()
    ),
    "a header in UTF-16": lambda: signed(json.dumps(HEADER).encode("utf-16"), json.dumps(claims()).encode()),
    "a header that is a text": lambda: signed(b'"at+jwt"', json.dumps(claims()).encode()),
    "a header without end": lambda: signed(b'{"a":' * 1200, b"{}"),
    **{
        f"two claims {name}": (lambda name=name, values=values: with_claims(doubled(name, *values)))
        for name, values in {
            "sub": ("victim", "a1"),
            "sid": ("s0", "s1"),
            "exp": (now() + 900, now() + 901),
            "iss": ("https://evil.example", ISSUER),
            "aud": ("other", AUDIENCE),
            "roles": (["admin"], ["user"]),
        }.items()
    },
    "two claims inside a claim": lambda: with_claims(doubled("act", {}).replace("{}", '{"sub": 1, "sub": 2}')),
    "a claim in two spellings": lambda: with_claims(doubled("sub", "a1").replace("{", '{"s\\u0075b": "b2", ', 1)),
    "claims in UTF-16": lambda: with_claims(json.dumps(claims()).encode("utf-16")),
    "claims that are no UTF-8": lambda: with_claims(b'{"sub": "\xff"}'),
    "claims that are a list": lambda: with_claims(json.dumps([claims()])),
    "claims that are null": lambda: with_claims("null"),
    "claims that are no JSON": lambda: with_claims("sub=a1&sid=s1"),
    "claims without end": lambda: with_claims('{"a":' * 1200),
    "an issuer in a list": lambda: token_of(iss=[ISSUER]),
    "an issuer with a slash more": lambda: token_of(iss=f"{ISSUER}/"),
    "an issuer in other letters": lambda: token_of(iss=ISSUER.upper()),
    "an audience that only begins like ours": lambda: token_of(aud=f"{AUDIENCE}.evil.example"),
    "an audience that is a part of ours": lambda: token_of(aud=AUDIENCE[:-1]),
    "other audiences": lambda: token_of(aud=["other", "evil"]),
    "an audience of another type": lambda: token_of(aud={AUDIENCE: True}),
    "an audience in a list in a list": lambda: token_of(aud=[[AUDIENCE]]),
    "ours among audiences that are none": lambda: token_of(aud=[AUDIENCE, 5]),
    **{f"{name} {value!r}": (lambda name=name, value=value: token_of(**{name: value}))
       for name in ("sub", "sid", "jti") for value in (None, 5, True, 1.5, ["a1"], {"a1": 1})},
    **{f"{name} empty": (lambda name=name: token_of(**{name: ""})) for name in ("sub", "sid")},
    **{f"roles {value!r}": (lambda value=value: token_of(roles=value))
       for value in ("admin", {"admin": True}, [["admin"]], ["user", 5], [None], 5, True, None)},
    **{f"{name} {value!r}": (lambda name=name, value=value: token_of(**{name: value}))
       for name in ("exp", "iat", "nbf") for value in (None, True, "soon", [now()], {}, str(now() + 60))},
    "an expiry that is no number": lambda: with_claims(doubled("exp", 0).replace('"exp": 0', '"exp": NaN')),
    "an expiry without end": lambda: with_claims(doubled("exp", 0).replace('"exp": 0', '"exp": Infinity')),
    "an expiry out of range": lambda: with_claims(doubled("exp", 0).replace('"exp": 0', '"exp": 1e999')),
    "an expiry of 400 digits": lambda: token_of(exp=10**400),
    "issued before there were clocks": lambda: token_of(iat=-(10**400), exp=now() + 900.5),
    "not before 400 digits ago": lambda: token_of(nbf=-(10**400)),
    "for ever": lambda: token_of(exp=now() + 10 * 365 * 86400),
    "expired a minute ago": lambda: token_of(exp=now() - 60, iat=now() - 960),
    "valid in a minute": lambda: token_of(nbf=now() + 60),
    "issued in a minute": lambda: token_of(iat=now() + 60, exp=now() + 960),
    "issued in a year": lambda: token_of(iat=now() + 31_536_000, exp=now() + 31_536_900),
    "more than 8 KiB": lambda: token_of(padding="x" * 9000),
}  # fmt: skip


@pytest.mark.parametrize("make", SIGNED.values(), ids=SIGNED.keys())
def test_what_is_signed_but_no_access_token_is_refused(verifier, make):
    forged = make()
    assert refused(verifier, forged)
    # It is not kept as one that was good a moment ago.
    assert refused(verifier, forged)


@pytest.mark.parametrize(
    "make",
    [
        token_of,
        lambda: with_header(typ="AT+JWT"),
        lambda: with_header(jku="https://evil.example", x5u="https://evil.example", x5c=["x"], jwk=public(OTHER, "k1")),
        lambda: token_of(aud=["other", AUDIENCE]),
        lambda: token_of(exp=now() + 900.5, iat=now() - 0.5, nbf=now()),
        lambda: token_of(roles=...),
        lambda: token_of(roles=[]),
        lambda: token_of(name="Ægir 🐇"),
    ],
    ids=["plain", "type in capitals", "keys that nobody looks at", "two audiences", "fractions", "no roles",
         "empty roles", "any letters"],
)  # fmt: skip
def test_the_same_maker_makes_tokens_that_are_good(verifier, make):
    for _ in range(2):
        assert verifier.verify(make())["sub"] == "a1"


@given(st.text(max_size=300))
def test_no_text_is_an_error_of_ours(text):
    verifier = AccessTokenVerifier(Issuer(), issuer=ISSUER, audience=AUDIENCE)
    assert refused(verifier, text)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_signed_bytes_are_an_error_of_ours(header, payload):
    verifier = AccessTokenVerifier(Issuer(), issuer=ISSUER, audience=AUDIENCE)
    assert refused(verifier, signed(header, payload))
    assert refused(verifier, signed(json.dumps(HEADER).encode(), payload))
