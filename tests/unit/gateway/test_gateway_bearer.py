"""Access tokens: which are taken, and what the others get."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask
from flask.testing import FlaskClient

from gateway.bearer import KeyKeeper, has_keys
from gateway.shapes import EXAMPLES
from gateway.state import EXTENSION
from lib.errors import Unavailable
from lib.tokens import KeySet
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import KEY_ID, SESSION_ID, USER_ID, Configure, Issuer

ME = "/api/v1/auth/me"


@pytest.fixture(autouse=True)
def _account(cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.get_account"] = EXAMPLES["Account"]


@pytest.fixture
def fresh(configure: Configure, cluster: FakeCluster) -> Flask:
    """An application that has not fetched any key yet."""
    return configure()


def _get(client: FlaskClient, authorization: str) -> Any:
    return client.get(ME, headers={"Authorization": authorization})


def _part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _forged(header: dict[str, Any], claims: dict[str, Any], secret: bytes = b"") -> str:
    signed = f"{_part(header)}.{_part(claims)}"
    signature = _part(hmac.digest(secret, signed.encode(), hashlib.sha256)) if secret else ""
    return f"{signed}.{signature}"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_good_token_says_who_asks(client: FlaskClient, cluster: FakeCluster, issuer: Issuer, scheme: str) -> None:
    token = issuer.token(roles=["finance"])
    assert _get(client, f"{scheme} {token}").status_code == 200
    context = cluster.calls[-1].context
    assert context.access_token == token
    assert context.actor.id == USER_ID
    assert context.actor.session_id == SESSION_ID
    assert context.actor.roles == {"finance"}


def test_a_token_without_roles_gives_none(client: FlaskClient, cluster: FakeCluster, issuer: Issuer) -> None:
    assert _get(client, f"Bearer {issuer.token(roles=None)}").status_code == 200
    assert cluster.calls[-1].context.actor.roles == frozenset()


def _bad_tokens() -> dict[str, Any]:
    """Return what makes each bad token from the real issuer and one that nobody knows."""
    now = int(time.time())

    def public_pem(issuer: Issuer) -> bytes:
        return issuer.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def with_rsa(issuer: Issuer, _: Issuer) -> str:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return jwt.encode(issuer.claims(), key, algorithm="RS256", headers={"typ": "at+jwt", "kid": KEY_ID})

    def tampered(issuer: Issuer, _: Issuer) -> str:
        header, _claims, signature = issuer.token().split(".")
        return f"{header}.{_part(issuer.claims(sub='0198a3f2-9999-7d4a-9b57-2f4c8e6a1d03'))}.{signature}"

    return {
        "alg none": lambda i, _: _forged({"alg": "none", "typ": "at+jwt", "kid": KEY_ID}, i.claims()),
        "alg None": lambda i, _: _forged({"alg": "None", "typ": "at+jwt", "kid": KEY_ID}, i.claims()),
        "HS256 with the public key": lambda i, _: _forged(
            {"alg": "HS256", "typ": "at+jwt", "kid": KEY_ID}, i.claims(), public_pem(i)
        ),
        "RS256": with_rsa,
        "tampered": tampered,
        "expired": lambda i, _: i.token(exp=now - 60, iat=now - 960),
        "not yet valid": lambda i, _: i.token(nbf=now + 86400),
        "issued in the future": lambda i, _: i.token(iat=now + 86400),
        "wrong audience": lambda i, _: i.token(aud="somebody-else"),
        "wrong issuer": lambda i, _: i.token(iss="https://evil.example"),
        "no subject": lambda i, _: i.token(sub=None),
        "no session": lambda i, _: i.token(sid=None),
        "no expiry": lambda i, _: i.token(exp=None),
        "a session that is no text": lambda i, _: i.token(sid=[SESSION_ID]),
        "roles that are a text": lambda i, _: i.token(roles="admin"),
        "roles that are an object": lambda i, _: i.token(roles={"admin": True}),
        "roles in a list in a list": lambda i, _: i.token(roles=[["admin"]]),
        "not an access token": lambda i, _: i.token(headers={"typ": "JWT"}),
        "another key": lambda _, s: s.token(),
        "unknown key id": lambda _, s: s.token(headers={"kid": "key-2"}),
        "key id is a path": lambda i, _: i.token(headers={"kid": "../../dev/null"}),
        "key id is SQL": lambda i, _: i.token(headers={"kid": "' or 1=1 --"}),
        "key id is a number": lambda i, _: _forged({"alg": "ES256", "typ": "at+jwt", "kid": 1}, i.claims()),
        "no key id": lambda i, _: jwt.encode(i.claims(), i.key, algorithm="ES256", headers={"typ": "at+jwt"}),
        "brings its own key": lambda i, s: s.token(headers={"jwk": s.public}),
        "names its own key": lambda i, s: s.token(headers={"jku": "https://evil.example/jwks.json"}),
        "critical header": lambda i, _: i.token(headers={"crit": ["x"], "x": 1}),
        "claims are a list": lambda i, _: _forged({"alg": "ES256", "typ": "at+jwt", "kid": KEY_ID}, []),  # type: ignore[arg-type]
        "not a JWT": lambda *_: "abc",
        "two parts": lambda *_: "eyJhbGciOiJFUzI1NiJ9.e30",
        "too long": lambda *_: "a" * 20_000,
    }


BAD_TOKENS = _bad_tokens()


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_bad_token_is_refused(
    client: FlaskClient, cluster: FakeCluster, issuer: Issuer, stranger: Issuer, name: str
) -> None:
    response = _get(client, f"Bearer {BAD_TOKENS[name](issuer, stranger)}")
    assert response.status_code == 401
    assert response.json["code"] == "invalid_token"
    assert response.headers["WWW-Authenticate"].startswith('Bearer realm="leveret", error="invalid_token", error_desc')
    assert not cluster.called("auth_svc.get_account")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a b", "Bearer a,Bearer b", "Bearer ü", "Token x", "\xff"]
)
def test_a_header_that_holds_no_token_is_refused(client: FlaskClient, cluster: FakeCluster, header: str) -> None:
    response = client.get(ME, headers={"Authorization": header.encode("utf-8").decode("latin-1")})
    assert response.status_code == 401
    assert response.json is not None
    assert response.json["code"] == "invalid_token"
    assert not cluster.called("auth_svc.get_account")


def test_an_expired_token_says_so(client: FlaskClient, issuer: Issuer) -> None:
    response = _get(client, f"Bearer {issuer.token(exp=int(time.time()) - 60)}")
    assert response.json["reason"] == "expired"


def test_the_keys_are_fetched_once_and_not_per_request(fresh: Flask, cluster: FakeCluster, issuer: Issuer) -> None:
    client = fresh.test_client()
    for _ in range(5):
        assert _get(client, f"Bearer {issuer.token()}").status_code == 200
    assert len(cluster.called("auth_svc.get_jwks")) == 1


def test_the_keys_are_fetched_as_nobody(fresh: Flask, cluster: FakeCluster, issuer: Issuer) -> None:
    _get(fresh.test_client(), f"Bearer {issuer.token()}")
    context = cluster.calls[0].context
    assert context.actor.is_anonymous
    assert context.access_token is None


def test_unknown_key_ids_cause_one_fetch_and_no_more(fresh: Flask, cluster: FakeCluster, stranger: Issuer) -> None:
    client = fresh.test_client()
    for number in range(20):
        assert _get(client, f"Bearer {stranger.token(headers={'kid': f'key-{number}'})}").status_code == 401
    assert len(cluster.called("auth_svc.get_jwks")) == 1


def test_without_any_keys_the_answer_is_503_and_not_401(fresh: Flask, cluster: FakeCluster, issuer: Issuer) -> None:
    cluster.answers["auth_svc.get_jwks"] = Unavailable("auth_svc is not running")
    response = _get(fresh.test_client(), f"Bearer {issuer.token()}")
    assert response.status_code == 503
    assert response.json["code"] == "keys_unavailable"


def test_keys_that_were_fetched_once_last_while_the_issuer_is_away(
    fresh: Flask, cluster: FakeCluster, issuer: Issuer
) -> None:
    client = fresh.test_client()
    assert _get(client, f"Bearer {issuer.token()}").status_code == 200
    cluster.answers["auth_svc.get_jwks"] = Unavailable("auth_svc is not running")
    fresh.extensions[EXTENSION].tokens.keys.refresh()
    assert _get(client, f"Bearer {issuer.token(jti='another')}").status_code == 200


def test_the_keeper_fetches_the_keys_before_anybody_asks(cluster: FakeCluster, issuer: Issuer) -> None:
    keys = KeySet(lambda: issuer.jwks)
    keeper = KeyKeeper(keys)
    keeper.start()
    try:
        deadline = time.monotonic() + 5
        while keys.find(KEY_ID) is None and time.monotonic() < deadline:
            pass
        assert has_keys(keys)
    finally:
        keeper.stop()
        keeper.join(5)
    assert not keeper.is_alive()


def test_there_are_no_keys_before_the_first_answer() -> None:
    def away() -> dict[str, Any]:
        raise Unavailable("away")

    assert not has_keys(KeySet(away))
