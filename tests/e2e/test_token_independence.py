"""An access token is proof of who somebody is for anybody who has the address of the key set, and nothing else."""

from __future__ import annotations

import joserfc.jwt
import pytest
import requests
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from tests.e2e.client import Client
from tests.support.stack import Stack


@pytest.fixture
def document(stack: Stack) -> dict[str, list[dict[str, str]]]:
    answer = requests.get(f"{stack.url}/.well-known/jwks.json", timeout=5)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/jwk-set+json"
    document: dict[str, list[dict[str, str]]] = answer.json()
    return document


def test_another_library_verifies_a_token_with_nothing_but_the_key_set(
    client: Client, document: dict[str, list[dict[str, str]]], stack: Stack
) -> None:
    """joserfc knows neither our code nor PyJWT."""
    client.register()
    keys = KeySet.import_key_set(document)  # type: ignore[arg-type]
    token = joserfc.jwt.decode(client.tokens["access_token"], keys, algorithms=["ES256"])
    assert token.header["typ"] == "at+jwt"
    assert token.header["kid"] in [key["kid"] for key in document["keys"]]
    rules = joserfc.jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": stack.environment.get("JWT_ISSUER", "http://localhost:3000")},
        aud={"essential": True, "value": stack.environment.get("JWT_AUDIENCE", "leveret")},
        sub={"essential": True, "value": client.user_id},
        exp={"essential": True},
        iat={"essential": True},
        sid={"essential": True},
        jti={"essential": True},
        auth_time={"essential": True},
        roles={"essential": True, "allow_blank": True},
        email_verified={"essential": True, "value": False},
        amr={"essential": True},
    )
    rules.validate(token.claims)
    assert token.claims["exp"] - token.claims["iat"] == client.tokens["expires_in"]


def test_a_token_that_was_changed_is_refused_by_it(client: Client, document: dict[str, list[dict[str, str]]]) -> None:
    client.register()
    keys = KeySet.import_key_set(document)  # type: ignore[arg-type]
    head, body, signature = client.tokens["access_token"].split(".")
    _, other_body, _ = Client(client.base.removesuffix("/api/v1")).register().tokens["access_token"].split(".")
    for forged in (f"{head}.{other_body}.{signature}", f"{head}.{body}.{signature[::-1]}", f"{head}.{body}."):
        with pytest.raises(JoseError):
            joserfc.jwt.decode(forged, keys, algorithms=["ES256"])


def test_the_key_set_holds_the_next_key_too_and_nothing_private(document: dict[str, list[dict[str, str]]]) -> None:
    assert len(document["keys"]) >= 2
    for key in document["keys"]:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert not {"d", "p", "q", "k", "oct"} & set(key)
        assert (key["kty"], key["use"], key["alg"]) == ("EC", "sig", "ES256")
