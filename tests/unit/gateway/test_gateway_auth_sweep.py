"""What holds for every route of accounts: the table in `auth_cases` is complete, and each case of it is tried."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.auth_cases import FORM_ROUTES, JSON_ROUTES, OTHER_ID, ROUTES, Route, wrong_bodies
from tests.unit.gateway.conftest import Issuer

ANYONES = [each for each in ROUTES if not each.signed_in]
OWNERS = [each for each in ROUTES if each.signed_in]
ADMINS = [each for each in ROUTES if each.role]
PAGED = [each for each in ROUTES if each.pages]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW")


def _each(routes: list[Route]) -> Any:
    return pytest.mark.parametrize("route", routes, ids=str)


def test_the_table_has_every_route(app: Flask) -> None:
    routes = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(("/api/v1/auth/", "/api/v1/admin/accounts", "/api/v1/admin/audit"))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    told = {f"{each.method} {each.url}" for each in ROUTES}
    assert {re.sub("<id:[a-z_]+>", OTHER_ID, each) for each in routes} == told


@_each(ROUTES)
def test_a_good_request_calls_the_service_with_exactly_this(
    client: FlaskClient, cluster: FakeCluster, issuer: Issuer, route: Route
) -> None:
    cluster.answers[f"auth_svc.{route.rpc}"] = route.answers
    response = route.send(client, route.headers(issuer))
    assert response.status_code == route.status
    assert (response.json if response.data else None) == route.gives
    assert response.headers["Cache-Control"] == route.cache
    assert [(f"auth_svc.{route.rpc}", dict(call.arguments)) for call in cluster.calls if call.method != "get_jwks"] == [
        (f"auth_svc.{route.rpc}", dict(route.calls))
    ]


@_each(OWNERS)
def test_without_a_token_nothing_is_asked(client: FlaskClient, cluster: FakeCluster, route: Route) -> None:
    response = route.send(client)
    assert response.status_code == 401
    assert response.json is not None
    assert response.json["code"] == "unauthenticated"
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="leveret"'
    assert not cluster.calls


@_each(OWNERS)
@pytest.mark.parametrize("header", ["Bearer rubbish", "Basic YTpi", "Bearer", "", "Bearer a b"])
def test_with_a_bad_token_nothing_is_asked(
    client: FlaskClient, cluster: FakeCluster, route: Route, header: str
) -> None:
    response = route.send(client, {"Authorization": header})
    assert response.status_code == 401
    assert response.json is not None
    assert response.json["code"] == "invalid_token"
    assert not [call for call in cluster.calls if call.method != "get_jwks"]


@_each([each for each in ANYONES if not each.form])
def test_a_stale_token_keeps_nobody_from_what_is_open(client: FlaskClient, cluster: FakeCluster, route: Route) -> None:
    cluster.answers[f"auth_svc.{route.rpc}"] = route.answers
    response = route.send(client, {"Authorization": "Bearer rubbish"})
    assert response.status_code == route.status
    assert cluster.calls[-1].context.actor.is_anonymous
    assert cluster.calls[-1].context.access_token is None


@_each(ADMINS)
@pytest.mark.parametrize("roles", [[], ["user"], ["support"], ["finance"], ["Admin"], ["admins"], None])
def test_other_roles_may_not(
    client: FlaskClient, cluster: FakeCluster, issuer: Issuer, route: Route, roles: Any
) -> None:
    response = route.send(client, {"Authorization": f"Bearer {issuer.token(roles=roles)}"})
    assert response.status_code == 403
    assert response.json is not None
    assert response.json["code"] == "forbidden"
    assert not [call for call in cluster.calls if call.method != "get_jwks"]


@_each(ADMINS)
def test_who_may_not_learns_nothing_about_their_request(
    client: FlaskClient, cluster: FakeCluster, issuer: Issuer, route: Route
) -> None:
    headers = {"Authorization": f"Bearer {issuer.token(roles=['support'])}"}
    assert route.send(client, headers, data=b"{", query_string="x=1").status_code == 403


@_each(ROUTES)
def test_the_client_travels_with_the_call(
    client: FlaskClient, cluster: FakeCluster, issuer: Issuer, route: Route
) -> None:
    cluster.answers[f"auth_svc.{route.rpc}"] = route.answers
    headers = {**route.headers(issuer), "User-Agent": "Firefox", "X-Request-ID": "r-1"}
    route.send(client, headers, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    call = cluster.calls[-1].context
    assert (call.client_ip, call.user_agent, call.correlation_id) == ("192.0.2.7", "Firefox", "r-1")
    assert call.actor.is_anonymous is not route.signed_in


@pytest.mark.parametrize(
    ("route", "body", "expected"),
    [
        pytest.param(route, body, expected, id=f"{route}-{name}")
        for route in JSON_ROUTES
        for name, body, expected in wrong_bodies(route.body or {}, route.optional)
    ],
)
def test_wrong_shapes_are_refused_where_they_are(
    client: FlaskClient,
    cluster: FakeCluster,
    issuer: Issuer,
    route: Route,
    body: dict[str, Any],
    expected: list[tuple[str, str]],
) -> None:
    response = route.send(client, route.headers(issuer), json=body)
    assert response.status_code == 422
    assert response.json is not None
    assert response.json["code"] == "validation_failed"
    errors = [(each["pointer"], each["code"]) for each in response.json["errors"]]
    assert len(errors) == 1
    assert errors[0] in expected
    assert not [call for call in cluster.calls if call.method != "get_jwks"]


@_each(JSON_ROUTES)
@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"{", 400, "malformed_json"),
        (b"token=a", 400, "malformed_json"),
        (b'{"token": NaN}', 400, "malformed_json"),
        (b"\xff\xfe", 400, "malformed_json"),
        (b"[" * 100_000, 422, "unusable_json"),
        (b"[]", 422, "unusable_json"),
        (b"null", 422, "unusable_json"),
        (b'"token"', 422, "unusable_json"),
        (b'{"token": "a", "token": "b"}', 422, "unusable_json"),
        (b'{"token": "\\ud800"}', 422, "unusable_json"),
    ],
)
def test_what_is_no_object_is_refused(
    client: FlaskClient, cluster: FakeCluster, issuer: Issuer, route: Route, content: bytes, status: int, code: str
) -> None:
    response = route.send(client, route.headers(issuer), data=content, content_type="application/json")
    assert response.status_code == status
    assert response.json is not None
    assert response.json["code"] == code
    assert not [call for call in cluster.calls if call.method != "get_jwks"]


@_each(JSON_ROUTES)
@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", None])
def test_other_media_types_are_refused(
    client: FlaskClient, cluster: FakeCluster, issuer: Issuer, route: Route, media_type: str | None
) -> None:
    response = route.send(client, route.headers(issuer), data=b'{"token":"a"}', content_type=media_type)
    assert response.status_code == 415
    assert not [call for call in cluster.calls if call.method != "get_jwks"]


@_each(JSON_ROUTES + FORM_ROUTES)
def test_a_body_that_is_too_large_is_refused(
    client: FlaskClient, cluster: FakeCluster, issuer: Issuer, route: Route
) -> None:
    media_type = "application/x-www-form-urlencoded" if route.form else "application/json"
    content = b"a" * (1024 * 1024 + 1)
    response = route.send(client, route.headers(issuer), data=content, content_type=media_type)
    assert response.status_code == 413
    assert not [call for call in cluster.calls if call.method != "get_jwks"]


@_each(PAGED)
@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("limit=0", "/limit", "out_of_range"),
        ("limit=101", "/limit", "out_of_range"),
        ("limit=-1", "/limit", "out_of_range"),
        ("limit=", "/limit", "invalid_type"),
        ("limit=1.0", "/limit", "invalid_type"),
        ("limit=ten", "/limit", "invalid_type"),
        ("limit=1&limit=2", "/limit", "repeated"),
        ("cursor=a&cursor=b", "/cursor", "repeated"),
        ("cursor=" + "x" * 513, "/cursor", "too_long"),
        ("cursor=%00", "/cursor", "invalid_characters"),
        ("offset=1", "/offset", "unknown_field"),
    ],
)
def test_a_query_that_is_not_understood_is_refused(
    client: FlaskClient, cluster: FakeCluster, issuer: Issuer, route: Route, query: str, pointer: str, code: str
) -> None:
    response = route.send(client, route.headers(issuer), query_string=query)
    assert response.status_code == 422
    assert response.json is not None
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [(pointer, code)]
    assert not [call for call in cluster.calls if call.method != "get_jwks"]


@_each(PAGED)
def test_pages_are_asked_for_by_size_and_cursor(
    client: FlaskClient, cluster: FakeCluster, issuer: Issuer, route: Route
) -> None:
    cluster.answers[f"auth_svc.{route.rpc}"] = {**route.answers, "next_cursor": "c2"}
    response = route.send(client, route.headers(issuer), query_string="limit=100&cursor=c1")
    assert response.status_code == 200
    assert response.json is not None
    assert response.json["next_cursor"] == "c2"
    assert cluster.called(f"auth_svc.{route.rpc}") == [{**route.calls, "limit": 100, "cursor": "c1"}]


@_each(PAGED)
def test_a_cursor_of_somebody_else_is_400(
    client: FlaskClient, cluster: FakeCluster, issuer: Issuer, route: Route
) -> None:
    cluster.answers[f"auth_svc.{route.rpc}"] = Fault("malformed", "invalid_cursor", "that is no cursor of ours")
    response = route.send(client, route.headers(issuer), query_string="cursor=zzz")
    assert response.status_code == 400
    assert response.json is not None
    assert response.json["code"] == "invalid_cursor"


@_each(ROUTES)
def test_other_methods_are_named_as_such(client: FlaskClient, issuer: Issuer, route: Route) -> None:
    known = {each.method for each in ROUTES if each.path == route.path}
    expected = known | ({"HEAD"} if "GET" in known else set()) | {"OPTIONS"}
    for method in set(METHODS) - known:
        response = client.open(route.url, method=method, headers=route.headers(issuer))
        assert response.status_code == 405
        assert set(response.headers["Allow"].split(", ")) == expected


@_each([each for each in ROUTES if each.method == "GET" and not each.pages])
def test_a_copy_that_is_still_good_is_not_sent_again(
    client: FlaskClient, cluster: FakeCluster, issuer: Issuer, route: Route
) -> None:
    cluster.answers[f"auth_svc.{route.rpc}"] = route.answers
    headers = route.headers(issuer)
    tag = route.send(client, headers).headers["ETag"]
    assert route.send(client, {**headers, "If-None-Match": tag}).status_code == 304


@_each(ROUTES)
def test_a_service_that_has_too_much_to_do_is_503_with_a_wait(
    client: FlaskClient, cluster: FakeCluster, issuer: Issuer, route: Route
) -> None:
    cluster.answers[f"auth_svc.{route.rpc}"] = Fault("unavailable", "overloaded", "try again", {"retry_after": 2.5})
    response = route.send(client, route.headers(issuer))
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "3"
