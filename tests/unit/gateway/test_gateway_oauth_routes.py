"""Introspection (RFC 7662) and revocation (RFC 7009) over HTTP."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from flask.testing import FlaskClient
from nameko.exceptions import RpcTimeout
from werkzeug.test import TestResponse

from gateway.shapes import EXAMPLES
from lib.errors import Unavailable
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.auth_cases import CLIENT, FORM

INTROSPECT, REVOKE = "/api/v1/auth/introspect", "/api/v1/auth/revoke"
BOTH = pytest.mark.parametrize("path", [INTROSPECT, REVOKE])
TOKEN = {"token": "rt_1"}
CHALLENGE = 'Basic realm="leveret"'


def _basic(name: str = "c1", secret: str = "s3cret") -> dict[str, str]:
    """Return the header as RFC 6749, section 2.3.1, has it: both encoded as in a form, before Base64."""
    return {"Authorization": f"Basic {b64encode(f'{quote_plus(name)}:{quote_plus(secret)}'.encode()).decode()}"}


def _raw_basic(content: bytes) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(content).decode()}"}


def _post(client: FlaskClient, path: str, form: Any, **request: Any) -> TestResponse:
    return client.post(path, data=form, **{"content_type": FORM, **request})


def _refused(response: TestResponse, cluster: FakeCluster, status: int, error: str) -> None:
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json is not None
    assert response.json["error"] == error
    assert response.json["code"] == error
    assert (response.headers.get("WWW-Authenticate") == CHALLENGE) is (status == 401)
    assert not cluster.calls


@pytest.fixture(autouse=True)
def _answers(cluster: FakeCluster) -> None:
    cluster.answers |= {"auth_svc.introspect_token": EXAMPLES["Introspection"], "auth_svc.revoke_token": {}}


def test_a_client_asks_about_a_token(client: FlaskClient, cluster: FakeCluster) -> None:
    response = _post(client, INTROSPECT, {**TOKEN, "token_type_hint": "refresh_token"}, headers=_basic())
    assert response.status_code == 200
    assert response.json == EXAMPLES["Introspection"]
    assert response.mimetype == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    expected = {**CLIENT, **TOKEN, "token_type_hint": "refresh_token"}
    assert cluster.called("auth_svc.introspect_token") == [expected]
    assert cluster.calls[-1].context.actor.is_anonymous
    assert cluster.calls[-1].context.access_token is None


def test_a_token_that_is_not_good_is_no_error(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.introspect_token"] = {"active": False}
    response = _post(client, INTROSPECT, TOKEN, headers=_basic())
    assert response.status_code == 200
    assert response.json == {"active": False}


def test_a_client_ends_a_session(client: FlaskClient, cluster: FakeCluster) -> None:
    response = _post(client, REVOKE, {**TOKEN, **CLIENT})
    assert response.status_code == 200
    assert response.json == {}
    assert response.headers["Cache-Control"] == "no-store"
    assert cluster.called("auth_svc.revoke_token") == [{**CLIENT, **TOKEN}]


@BOTH
@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("c1", "s3cret"),
        ("a client", "with space"),
        ("a:b", "c:d%+/="),
        ("ünïcode", "pässwörd"),
        ("x" * 255, "y" * 1024),
    ],
)
def test_credentials_of_any_characters_arrive(
    client: FlaskClient, cluster: FakeCluster, path: str, scheme: str, name: str, secret: str
) -> None:
    header = _basic(name, secret)["Authorization"].replace("Basic", scheme)
    assert _post(client, path, TOKEN, headers={"Authorization": header}).status_code == 200
    assert cluster.calls[-1].arguments == {"client_id": name, "client_secret": secret, **TOKEN}


@BOTH
def test_what_is_not_encoded_arrives_too(client: FlaskClient, cluster: FakeCluster, path: str) -> None:
    assert _post(client, path, TOKEN, headers=_raw_basic(b"c1:a:b")).status_code == 200
    assert cluster.calls[-1].arguments == {"client_id": "c1", "client_secret": "a:b", **TOKEN}


@BOTH
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Basic"},
        {"Authorization": "Basic "},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic YTpi YTpi"},
        {"Authorization": "Basic YTp"},
        {"Authorization": "Bearer eyJ"},
        {"Authorization": "Digest username=c1"},
        _raw_basic(b"no colon"),
        _raw_basic(b"\xff\xfe:x"),
        _raw_basic(b"%ff:x"),
        _raw_basic(b"a\0b:x"),
        _basic("x" * 256),
        _basic("c1", "x" * 1025),
    ],
)
def test_who_does_not_say_who_they_are_is_no_client(
    client: FlaskClient, cluster: FakeCluster, path: str, headers: dict[str, str]
) -> None:
    _refused(_post(client, path, TOKEN, headers=headers), cluster, 401, "invalid_client")


@BOTH
@pytest.mark.parametrize(
    "form", [{"client_id": "c1"}, {"client_secret": "s"}, {"client_id": "c1", "client_secret": ""}]
)
def test_half_of_the_credentials_are_none(
    client: FlaskClient, cluster: FakeCluster, path: str, form: dict[str, str]
) -> None:
    _refused(_post(client, path, {**TOKEN, **form}), cluster, 401, "invalid_client")


@BOTH
def test_a_client_that_the_service_does_not_know(client: FlaskClient, cluster: FakeCluster, path: str) -> None:
    refusal = Fault("unauthenticated", "invalid_client", "unknown client, or wrong secret")
    cluster.answers |= {"auth_svc.introspect_token": refusal, "auth_svc.revoke_token": refusal}
    for request in ({"form": TOKEN, "headers": _basic()}, {"form": {**TOKEN, **CLIENT}}):
        response = _post(client, path, **request)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == CHALLENGE
        assert response.headers["Cache-Control"] == "no-store"
        assert response.json is not None
        assert response.json["error"] == response.json["code"] == "invalid_client"
        assert response.json["detail"] == "Unknown client, or wrong secret."


@BOTH
@pytest.mark.parametrize("form", [CLIENT, {"client_id": "c1"}, {"client_secret": "s3cret"}])
def test_a_client_authenticates_in_one_way(
    client: FlaskClient, cluster: FakeCluster, path: str, form: dict[str, str]
) -> None:
    _refused(_post(client, path, {**TOKEN, **form}, headers=_basic()), cluster, 400, "invalid_request")


@BOTH
@pytest.mark.parametrize(
    "body",
    [
        "",
        "token=",
        "token",
        "other=1",
        "token=a&token=b",
        "token=a&token=a",
        "token=a&other=1&other=2",
        "token=a&token_type_hint=x&token_type_hint=y",
        "token=%ff",
        "token=a%00b",
        "token=" + "x" * 8193,
        "token=a&token_type_hint=" + "x" * 256,
        b"token=\xc3\xa9",
        b"\x00\xff",
        "&".join(f"a{number}=1" for number in range(101)) + "&token=a",
    ],
)
def test_a_form_that_is_not_as_it_should_be(
    client: FlaskClient, cluster: FakeCluster, path: str, body: str | bytes
) -> None:
    _refused(_post(client, path, body, headers=_basic()), cluster, 400, "invalid_request")


@BOTH
def test_what_is_too_long_is_named(client: FlaskClient, cluster: FakeCluster, path: str) -> None:
    response = _post(client, path, {"token": "x" * 8193, **CLIENT})
    assert response.json is not None
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [("/token", "too_long")]


@BOTH
@pytest.mark.parametrize(
    ("body", "token"),
    [
        ("token=a&scope=x&resource=y", "a"),
        ("&&token=a&&", "a"),
        ("token=a%2Bb+c", "a+b c"),
        ("token=a&token_type_hint=", "a"),
        ("token=" + "x" * 8192, "x" * 8192),
    ],
)
def test_what_a_form_may_hold_besides(
    client: FlaskClient, cluster: FakeCluster, path: str, body: str, token: str
) -> None:
    assert _post(client, path, body, headers=_basic()).status_code == 200
    assert cluster.calls[-1].arguments == {**CLIENT, "token": token}


@BOTH
def test_the_query_string_is_no_form(client: FlaskClient, cluster: FakeCluster, path: str) -> None:
    # A token in an address ends up in logs.
    _refused(_post(client, f"{path}?{urlencode({**TOKEN, **CLIENT})}", "a=b"), cluster, 401, "invalid_client")
    _refused(_post(client, f"{path}?token=a", "a=b", headers=_basic()), cluster, 400, "invalid_request")


@BOTH
@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", None])
def test_only_forms_are_taken(client: FlaskClient, cluster: FakeCluster, path: str, media_type: str | None) -> None:
    response = _post(client, path, '{"token":"a"}', content_type=media_type, headers=_basic())
    assert response.status_code == 415
    assert response.json is not None
    assert response.json["error"] == "invalid_request"
    assert response.json["code"] == "unsupported_media_type"
    assert FORM in response.json["detail"]
    assert not cluster.calls


@BOTH
@pytest.mark.parametrize("media_type", [f"{FORM}; charset=utf-8", "Application/X-WWW-Form-Urlencoded"])
def test_spellings_of_the_media_type_are_taken(client: FlaskClient, path: str, media_type: str) -> None:
    assert _post(client, path, "token=a", content_type=media_type, headers=_basic()).status_code == 200


@BOTH
def test_a_form_that_is_too_large(client: FlaskClient, cluster: FakeCluster, path: str) -> None:
    response = _post(client, path, b"token=" + b"a" * (1024 * 1024), headers=_basic())
    assert response.status_code == 413
    assert response.json is not None
    assert response.json["error"] == "invalid_request"


@BOTH
@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (Unavailable("away", retry_after=2), 503),
        (RpcTimeout(5), 504),
        (Fault("limited", "rate_limited", "too many", {"retry_after": 9}), 429),
        (RuntimeError("secret"), 500),
    ],
)
def test_other_failures_are_as_everywhere(
    client: FlaskClient, cluster: FakeCluster, path: str, failure: Exception, status: int
) -> None:
    cluster.answers |= {"auth_svc.introspect_token": failure, "auth_svc.revoke_token": failure}
    response = _post(client, path, TOKEN, headers=_basic())
    assert response.status_code == status
    assert response.json is not None
    assert "error" not in response.json


@BOTH
def test_a_request_that_the_service_refuses_is_400(client: FlaskClient, cluster: FakeCluster, path: str) -> None:
    refusal = Fault("invalid", "something", "that is no token")
    cluster.answers |= {"auth_svc.introspect_token": refusal, "auth_svc.revoke_token": refusal}
    response = _post(client, path, TOKEN, headers=_basic())
    assert response.status_code == 400
    assert response.json is not None
    assert response.json["error"] == response.json["code"] == "invalid_request"
