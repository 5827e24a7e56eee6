"""Preferences, settings and notification preferences over HTTP, and the link in mails that ends the mails of a type."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from marshmallow import Schema

from gateway.inputs import MAX_BODY
from gateway.routes.preferences import NOTIFICATIONS, PREFERENCES, SETTINGS
from gateway.shapes import COMPONENTS, EXAMPLES
from gateway.shapes.preferences import NOTIFICATION_TYPES, SECURITY_TYPES
from lib.errors import DomainError
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.support.naughty import NAUGHTY, json_body
from tests.unit.gateway.conftest import USER_ID
from tests.unit.gateway.test_gateway_pages import Page
from users_svc.domain.notification_types import TYPES
from users_svc.domain.preference_records import Choice
from users_svc.domain.preferences import KINDS

READ, UPDATE, UNSUBSCRIBE = (f"users_svc.{name}" for name in ("get_preferences", "update_preferences", "unsubscribe"))
COMPONENT = {
    "preferences": "Preferences",
    "settings": "Settings",
    "notification_preferences": "NotificationPreferences",
}
CHANGE: dict[str, dict[str, Any]] = {
    "preferences": {"theme": "dark", "language": None},
    "settings": {"hide_network": True, "allow_mentions_from": None},
    "notification_preferences": {
        "types": {"followed": {"email": True, "in_app": None}, "payment_failed": None},
        "quiet_hours": {"enabled": True, "from": "21:30", "to": None},
    },
}
EACH = pytest.mark.parametrize("kind", COMPONENT)
MERGE_PATCH = "application/merge-patch+json"
PATCHED = {"user_id": USER_ID, "expected_version": None}


def _path(kind: str) -> str:
    return f"/api/v1/users/{kind.replace('_', '-')}"


@pytest.fixture(autouse=True)
def _answers(cluster: FakeCluster) -> None:
    def answer(kind: str, **_: Any) -> dict[str, Any]:
        found: dict[str, Any] = EXAMPLES[COMPONENT[kind]]
        return found

    cluster.answers |= {READ: answer, UPDATE: answer, UNSUBSCRIBE: {}}


def _not_called(cluster: FakeCluster) -> bool:
    return not [call for call in cluster.calls if call.method != "get_jwks"]


@EACH
def test_reading_ones_own(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], kind: str) -> None:
    response = client.get(_path(kind), headers=bearer)
    assert (response.status_code, response.json) == (200, EXAMPLES[COMPONENT[kind]])
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert cluster.called(READ) == [{"user_id": USER_ID, "kind": kind}]
    assert cluster.calls[-1].context.actor.id == USER_ID
    again = client.get(_path(kind), headers={**bearer, "If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@EACH
@pytest.mark.parametrize("media_type", ["application/json", MERGE_PATCH, "application/json; charset=utf-8"])
def test_changing_ones_own(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], kind: str, media_type: str
) -> None:
    response = client.patch(_path(kind), json=CHANGE[kind], headers=bearer, content_type=media_type)
    assert (response.status_code, response.json) == (200, EXAMPLES[COMPONENT[kind]])
    assert cluster.called(UPDATE) == [{**PATCHED, "kind": kind, "changes": CHANGE[kind]}]
    assert response.headers["ETag"] == client.get(_path(kind), headers=bearer).headers["ETag"]


@EACH
def test_a_change_may_be_meant_for_one_version(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], kind: str
) -> None:
    tag = client.get(_path(kind), headers=bearer).headers["ETag"]
    client.patch(_path(kind), json=CHANGE[kind], headers={**bearer, "If-Match": tag})
    client.patch(_path(kind), json=CHANGE[kind], headers={**bearer, "If-Match": "*"})
    version = EXAMPLES[COMPONENT[kind]]["version"]
    assert [call["expected_version"] for call in cluster.called(UPDATE)] == [version, None]


@EACH
def test_a_change_of_an_old_version_is_412(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], kind: str
) -> None:
    tag = client.get(_path(kind), headers=bearer).headers["ETag"]
    cluster.answers[UPDATE] = Fault("stale", "stale", "this has been changed since you read it")
    response = client.patch(_path(kind), json=CHANGE[kind], headers={**bearer, "If-Match": tag})
    assert response.status_code == 412
    assert response.json is not None
    assert response.json["code"] == "stale"


@EACH
@pytest.mark.parametrize("tag", ['"nonsense"', "nonsense", 'W/"3-000000000000000000000000"', ""])
def test_a_tag_that_was_never_ours_is_412(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], kind: str, tag: str
) -> None:
    response = client.patch(_path(kind), json=CHANGE[kind], headers={**bearer, "If-Match": tag})
    assert response.status_code == 412
    assert not cluster.called(UPDATE)


@EACH
@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_nobody_else_gets_in(client: FlaskClient, cluster: FakeCluster, kind: str, method: str) -> None:
    assert client.open(_path(kind), method=method, json=CHANGE[kind]).status_code == 401
    assert _not_called(cluster)


@EACH
def test_only_ones_own_can_be_named(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], kind: str
) -> None:
    for name in ("user_id", "kind", "version", "schema_version", "expected_version"):
        response = client.patch(_path(kind), json={**CHANGE[kind], name: 1}, headers=bearer)
        assert response.status_code == 422
        assert response.json is not None
        assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [(f"/{name}", "unknown_field")]
    assert _not_called(cluster)


@EACH
@pytest.mark.parametrize(
    ("content", "status"),
    [(b"", 400), (b"{", 400), (b"[]", 422), (b"null", 422), (b'{"a":1,"a":2}', 422), (b'{"\\ud800":1}', 422)],
)
def test_what_is_no_patch_is_refused(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], kind: str, content: bytes, status: int
) -> None:
    response = client.patch(_path(kind), data=content, content_type=MERGE_PATCH, headers=bearer)
    assert response.status_code == status
    assert _not_called(cluster)


@EACH
@pytest.mark.parametrize("media_type", ["text/plain", "application/json-patch+json", None])
def test_other_media_types_are_415(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], kind: str, media_type: str | None
) -> None:
    response = client.patch(_path(kind), data=b"{}", content_type=media_type, headers=bearer)
    assert response.status_code == 415
    assert MERGE_PATCH in response.headers["Accept-Patch"]
    assert _not_called(cluster)


MANY = {str(number): True for number in range(101)}


@pytest.mark.parametrize(
    ("kind", "change", "pointer", "code"),
    [
        ("preferences", {"theme": "pink"}, "/theme", "unknown_value"),
        ("preferences", {"theme": 1}, "/theme", "invalid_type"),
        ("preferences", {"items_per_page": 101}, "/items_per_page", "out_of_range"),
        ("preferences", {"items_per_page": 20.0}, "/items_per_page", "invalid_type"),
        ("preferences", {"items_per_page": True}, "/items_per_page", "invalid_type"),
        ("preferences", {"language": "x" * 36}, "/language", "too_long"),
        ("preferences", {"language": "e\0n"}, "/language", "invalid_characters"),
        ("preferences", {"colour": "red"}, "/colour", "unknown_field"),
        ("settings", {"show_online": "true"}, "/show_online", "invalid_type"),
        ("settings", {"show_online": 1}, "/show_online", "invalid_type"),
        ("settings", {"allow_mentions_from": "mutuals"}, "/allow_mentions_from", "unknown_value"),
        ("notification_preferences", {"types": True}, "/types", "invalid_type"),
        ("notification_preferences", {"types": []}, "/types", "invalid_type"),
        ("notification_preferences", {"types": {"unheard_of": {}}}, "/types/unheard_of", "unknown_field"),
        ("notification_preferences", {"types": {"followed": "no"}}, "/types/followed", "invalid_type"),
        ("notification_preferences", {"types": {"followed": {"sms": 1}}}, "/types/followed/sms", "unknown_field"),
        ("notification_preferences", {"types": {"followed": {"email": 0}}}, "/types/followed/email", "invalid_type"),
        ("notification_preferences", {"types": MANY}, "/types", "too_long"),
        ("notification_preferences", {"quiet_hours": {"from": "22:00:00"}}, "/quiet_hours/from", "too_long"),
        ("notification_preferences", {"quiet_hours": {"from": 22}}, "/quiet_hours/from", "invalid_type"),
        ("notification_preferences", {"quiet_hours": {"until": "7"}}, "/quiet_hours/until", "unknown_field"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(
    client: FlaskClient,
    cluster: FakeCluster,
    bearer: dict[str, str],
    kind: str,
    change: dict[str, Any],
    pointer: str,
    code: str,
) -> None:
    response = client.patch(_path(kind), json=change, headers=bearer)
    assert response.status_code == 422
    assert response.json is not None
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [(pointer, code)]
    assert _not_called(cluster)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("preferences", "invalid_preference"),
        ("settings", "invalid_preference"),
        ("notification_preferences", "invalid_preference"),
        ("notification_preferences", "not_optional"),
    ],
)
def test_what_the_service_refuses_is_told(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], kind: str, code: str
) -> None:
    told = [{"pointer": "/types", "code": code, "detail": "no"}]
    cluster.answers[UPDATE] = Fault("invalid", code, "no", {"errors": told})
    response = client.patch(_path(kind), json=CHANGE[kind], headers=bearer)
    assert response.status_code == 422
    assert response.json is not None
    assert (response.json["code"], response.json["errors"]) == (code, told)


def _names(shape: Any) -> Any:
    """Return the names in a shape of users_svc."""
    return {name: None if isinstance(part, Choice) else _names(part) for name, part in shape.items()}


def _fields(schema: Schema) -> Any:
    """Return the names in a load schema."""
    return {name: _fields(field.schema) if hasattr(field, "schema") else None for name, field in schema.fields.items()}


@pytest.mark.parametrize(
    ("kind", "schema"),
    [("preferences", PREFERENCES), ("settings", SETTINGS), ("notification_preferences", NOTIFICATIONS)],
)
def test_the_gateway_and_the_service_know_the_same_names(kind: str, schema: Schema) -> None:
    assert _fields(schema) == _names(KINDS[kind].shape)
    shown = set(COMPONENTS[COMPONENT[kind]]["properties"])
    assert shown == set(KINDS[kind].shape) | {"version", "schema_version"}


def test_the_gateway_and_the_service_know_the_same_types() -> None:
    assert set(NOTIFICATION_TYPES) == {name for name, each in TYPES.items() if not each.security}
    assert set(SECURITY_TYPES) == {name for name, each in TYPES.items() if each.security}


@EACH
def test_every_word_that_the_gateway_takes_is_one_of_the_services(kind: str) -> None:
    for name, told in COMPONENTS[COMPONENT[kind]]["properties"].items():
        for word in told.get("enum", ()):
            choice = KINDS[kind].shape[name]
            assert isinstance(choice, Choice)
            assert choice.check(word) == word


TEXTS: dict[str, list[Any]] = {
    "preferences": [(lambda text, name=name: {name: text}) for name in ("theme", "language", "date_format")],
    "settings": [lambda text: {"allow_mentions_from": text}],
    "notification_preferences": [
        lambda text: {"quiet_hours": {"from": text}},
        lambda text: {"quiet_hours": {"to": text}},
        lambda text: {"types": {text: {"email": True}}},
        lambda text: {"types": {"followed": {text: True}}},
    ],
}


@EACH
@pytest.mark.parametrize("text", NAUGHTY.values(), ids=NAUGHTY)
def test_a_naughty_string_is_refused_cleanly(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], kind: str, text: str
) -> None:
    """Whatever gets past the gateway meets the service's own rules; no text of a person's own is kept anywhere here."""

    def decide(kind: str, changes: dict[str, Any], **_: Any) -> Any:
        try:
            KINDS[kind].merged({}, changes)
        except DomainError as exc:
            raise Fault.of(exc) from exc
        return EXAMPLES[COMPONENT[kind]]

    cluster.answers[UPDATE] = decide
    for change in (*TEXTS[kind], lambda text: {text: True}):
        body = json_body(change(text))
        response = client.patch(_path(kind), data=body, content_type=MERGE_PATCH, headers=bearer)
        # Of them all, "NaN" could be a language.
        could_be = 200 if change(text) == {"language": "NaN"} else 422
        assert response.status_code == (413 if len(body) > MAX_BODY else could_be), change(text)


# --- the link in mails ---

LINK = "/api/v1/users/unsubscribe?token=lut_1"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
FORMS = ["application/x-www-form-urlencoded", "multipart/form-data"]
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize("content_type", FORMS)
@pytest.mark.parametrize("accept", [{}, {"Accept": "*/*"}, {"Accept": "application/json"}])
def test_one_click_ends_the_mails(
    client: FlaskClient, cluster: FakeCluster, content_type: str, accept: dict[str, str]
) -> None:
    """As a mail program posts it (RFC 8058): without a token of its own, without cookies, twice if it likes."""
    for _ in range(2):
        response = client.post(LINK, data=ONE_CLICK, content_type=content_type, headers=accept)
        assert (response.status_code, response.json) == (200, {})
        assert response.headers["Cache-Control"] == "no-store"
        assert "Location" not in response.headers
        assert "Set-Cookie" not in response.headers
    assert cluster.called(UNSUBSCRIBE) == [{"token": "lut_1"}] * 2
    assert cluster.calls[-1].context.actor.is_anonymous


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", FORMS[0], 422),
        (b"List-Unsubscribe=Two-Clicks", FORMS[0], 422),
        (b"list-unsubscribe=One-Click", FORMS[0], 422),
        (b"List-Unsubscribe=One-Click&List-Unsubscribe=One-Click", FORMS[0], 422),
        (b"\xff\xfe", FORMS[0], 422),
        (b"garbage", FORMS[1], 422),
        (b"garbage", FORMS[1] + "; boundary=x", 422),
        (b"List-Unsubscribe=One-Click", "text/plain", 415),
        (b'{"List-Unsubscribe": "One-Click"}', "application/json", 415),
        (b"List-Unsubscribe=One-Click", None, 415),
        (b"a=" + b"x" * 1024 * 1024, FORMS[0], 413),
    ],
)
def test_a_post_that_is_no_click_ends_nothing(
    client: FlaskClient, cluster: FakeCluster, body: bytes, content_type: str | None, status: int
) -> None:
    assert client.post(LINK, data=body, content_type=content_type).status_code == status
    assert _not_called(cluster)


@pytest.mark.parametrize("query", ["", "?token=", "?token=a&token=b", "?token=%00", "?token=" + "x" * 1025, "?id=1"])
def test_a_link_without_its_token_is_422(client: FlaskClient, cluster: FakeCluster, query: str) -> None:
    cluster.answers[UNSUBSCRIBE] = Fault("invalid", "invalid_unsubscribe_token", "no")
    response = client.post(f"/api/v1/users/unsubscribe{query}", data=ONE_CLICK)
    assert response.status_code == 422
    if query != "?token=":
        assert _not_called(cluster)


def test_a_token_that_is_none_of_ours_is_422(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.answers[UNSUBSCRIBE] = Fault("invalid", "invalid_unsubscribe_token", "this link is not whole")
    response = client.post(LINK, data=ONE_CLICK)
    assert response.status_code == 422
    assert response.json is not None
    assert response.json["code"] == "invalid_unsubscribe_token"


def test_the_page_changes_nothing_and_asks_no_service(client: FlaskClient, cluster: FakeCluster) -> None:
    response = client.get(LINK, headers={**BROWSER, "Authorization": "Bearer rubbish"})
    assert response.status_code == 200
    assert response.content_type == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers.getlist("Referrer-Policy") == ["no-referrer"]
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "script-src" not in policy
    assert "lut_1" not in response.text
    assert client.head(LINK).status_code == 200
    assert not cluster.calls


def test_the_pages_button_is_the_click(client: FlaskClient, cluster: FakeCluster) -> None:
    """Without a script: the form goes to where the page is, with the token that stands there."""
    page = Page(client.get(LINK, headers=BROWSER).text)
    (form,) = page.all("form")
    assert form["attrs"] == {"method": "post"}
    sent = {each["attrs"]["name"]: each["attrs"]["value"] for each in page.all("input")}
    assert sent == ONE_CLICK
    assert [each["attrs"] for each in page.all("button")] == [{"type": "submit"}]
    assert not page.all("script")
    response = client.post(LINK, data=sent, headers=BROWSER)
    assert (response.status_code, response.content_type) == (200, "text/html; charset=utf-8")
    assert "It is done" in response.text
    assert cluster.called(UNSUBSCRIBE) == [{"token": "lut_1"}]


def test_a_person_whose_link_is_not_whole_is_told_in_words(client: FlaskClient, cluster: FakeCluster) -> None:
    cluster.answers[UNSUBSCRIBE] = Fault("invalid", "invalid_unsubscribe_token", "this link is not whole")
    response = client.post(LINK, data=ONE_CLICK, headers=BROWSER)
    assert response.content_type == "text/html; charset=utf-8"
    assert "does not work" in response.text
    assert "It is done" not in response.text


@pytest.mark.parametrize("accept", [{}, BROWSER])
def test_a_service_that_is_away_is_503_for_everybody(
    client: FlaskClient, cluster: FakeCluster, accept: dict[str, str]
) -> None:
    cluster.answers[UNSUBSCRIBE] = Fault("unavailable", "overloaded", "try again", {"retry_after": 2})
    assert client.post(LINK, data=ONE_CLICK, headers=accept).status_code == 503


def test_the_document_tells_of_the_forms(document: dict[str, Any]) -> None:
    told = document["paths"]["/api/v1/users/unsubscribe"]
    assert set(told) == {"post"}
    assert set(told["post"]["requestBody"]["content"]) == set(FORMS)
    assert "security" not in told["post"]
