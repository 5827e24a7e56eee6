"""Signed tokens: what others make of them."""

import base64
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk, jws

from auth_svc.infrastructure.jws import JwsSigner

PRIVATE = generate_private_key(SECP256R1())
SIGNER = JwsSigner(PRIVATE, kid="k1", type="at+jwt")
CLAIMS = st.dictionaries(
    st.text(max_size=5).map(lambda name: f"x{name}"),
    st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(max_size=5), max_size=3),
    max_size=5,
)


@given(CLAIMS)
def test_others_read_what_was_signed(claims):
    token = SIGNER.sign(claims)
    assert jwt.decode(token, PRIVATE.public_key(), algorithms=["ES256"]) == claims
    read = jws.deserialize_compact(token.encode(), jwk.ECKey.import_key(PRIVATE.public_key()), ["ES256"])
    assert json.loads(read.payload) == claims
    assert read.headers() == jwt.get_unverified_header(token) == {"alg": "ES256", "kid": "k1", "typ": "at+jwt"}


def test_a_token_is_three_parts_without_padding():
    head, body, signature = SIGNER.sign({"sub": "1"}).split(".")
    assert "=" not in head + body + signature
    assert len(base64.urlsafe_b64decode(signature + "==")) == 64


@pytest.mark.parametrize("numbers", [(1, 2), (2**256 - 1, 1), (1 << 248, 1 << 200)])
def test_small_numbers_of_a_signature_keep_their_places(numbers):
    """RFC 7518, section 3.4: one token in 128 has a number with a leading zero."""

    class Key:
        def sign(self, _data, _scheme):
            return encode_dss_signature(*numbers)

    signature = JwsSigner(Key(), kid="k1", type="at+jwt").sign({}).split(".")[2]
    raw = base64.urlsafe_b64decode(signature + "==")
    assert (int.from_bytes(raw[:32]), int.from_bytes(raw[32:]), len(raw)) == (*numbers, 64)


def test_a_changed_token_is_refused():
    head, body, signature = SIGNER.sign({"sub": "1"}).split(".")
    forged = base64.urlsafe_b64encode(b'{"sub":"2"}').rstrip(b"=").decode()
    assert body != forged
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(f"{head}.{forged}.{signature}", PRIVATE.public_key(), algorithms=["ES256"])
