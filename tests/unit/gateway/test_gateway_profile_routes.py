"""The own profile over HTTP: merge patches, versions, conditions."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway.shapes import EXAMPLES
from lib.faults import Fault
from tests.fakes.cluster import FakeCluster
from tests.support.naughty import NAUGHTY, json_body
from tests.unit.gateway.conftest import USER_ID

PROFILE = "/api/v1/users/profile"
OWN = EXAMPLES["Profile"]
MERGE = "application/merge-patch+json"
ERROR = {"pointer": "/bio", "code": "too_long", "detail": "at most 256 characters"}


@pytest.fixture(autouse=True)
def _answers(cluster: FakeCluster) -> None:
    cluster.answers |= {"users_svc.get_profile": OWN, "users_svc.update_profile": OWN | {"version": 8}}


def _changes(cluster: FakeCluster) -> list[Any]:
    return [call["changes"] for call in cluster.called("users_svc.update_profile")]


def _expected(cluster: FakeCluster) -> list[Any]:
    return [call["expected_version"] for call in cluster.called("users_svc.update_profile")]


@pytest.mark.parametrize("media_type", ["application/json", MERGE, "application/merge-patch+json; charset=utf-8"])
def test_a_patch_goes_to_the_service_as_it_is(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], media_type: str
) -> None:
    sent = '{"bio": "Hares", "location": null, "visibility": {"bio": "public", "email": null}, "private": false}'
    response = client.patch(PROFILE, data=sent, content_type=media_type, headers=bearer)
    assert response.status_code == 200
    assert response.json == OWN | {"version": 8}
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert cluster.called("users_svc.update_profile") == [
        {
            "user_id": USER_ID,
            "changes": {
                "bio": "Hares",
                "location": None,
                "visibility": {"bio": "public", "email": None},
                "private": False,
            },
            "expected_version": None,
        }
    ]


def test_an_empty_patch_changes_nothing(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    assert client.patch(PROFILE, json={}, headers=bearer).status_code == 200
    assert _changes(cluster) == [{}]


def test_a_patch_needs_a_token(client: FlaskClient, cluster: FakeCluster) -> None:
    assert client.patch(PROFILE, json={"bio": "x"}).status_code == 401
    assert not cluster.calls


@pytest.mark.parametrize("media_type", ["text/plain", "application/json-patch+json", "", "multipart/form-data"])
def test_a_patch_of_another_type_is_told_the_right_ones(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], media_type: str
) -> None:
    response = client.patch(PROFILE, data=b"{}", content_type=media_type, headers=bearer)
    assert response.status_code == 415
    assert response.headers["Accept-Patch"] == f"{MERGE}, application/json"
    assert not cluster.called("users_svc.update_profile")


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"email": "a@example.com"}, "/email", "unknown_field"),
        ({"id": USER_ID}, "/id", "unknown_field"),
        ({"display_name": None}, "/display_name", "required"),
        ({"bio": 5}, "/bio", "invalid_type"),
        ({"bio": "x" * 8001}, "/bio", "too_long"),
        ({"handle": ["ann"]}, "/handle", "invalid_type"),
        ({"private": "true"}, "/private", "invalid_type"),
        ({"discoverable": 1}, "/discoverable", "invalid_type"),
        ({"visibility": "public"}, "/visibility", "invalid_type"),
        ({"visibility": {"bio": "friends"}}, "/visibility/bio", "unknown_value"),
        ({"visibility": {"bio": 5}}, "/visibility/bio", "invalid_type"),
        ({"visibility": {"created_at": "public"}}, "/visibility/created_at", "unknown_field"),
        ({"visibility": {str(each): "public" for each in range(101)}}, "/visibility", "too_long"),
    ],
)
def test_wrong_shapes_of_a_patch(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], body: dict[str, Any], pointer: str, code: str
) -> None:
    response = client.patch(PROFILE, json=body, headers=bearer)
    assert response.status_code == 422
    assert response.json is not None
    assert [(each["pointer"], each["code"]) for each in response.json["errors"]] == [(pointer, code)]
    assert not cluster.called("users_svc.update_profile")


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault("invalid", "invalid_profile", "no", {"errors": [ERROR]}), 422),
        (Fault("conflict", "handle_taken", "taken"), 409),
        (Fault("conflict", "handle_changed_recently", "wait", {"retry_after": 2_592_000}), 409),
        (Fault("stale", "stale", "read it again"), 412),
        (Fault("not_found", "user_not_found", "gone"), 404),
    ],
)
def test_refusals_of_a_patch_are_passed_on(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], fault: Fault, status: int
) -> None:
    cluster.answers["users_svc.update_profile"] = fault
    response = client.patch(PROFILE, json={"bio": "x"}, headers=bearer)
    assert response.status_code == status
    assert response.json is not None
    assert response.json["code"] == fault.code
    assert response.json.get("errors") == fault.details.get("errors")
    assert response.headers.get("Retry-After") == ("2592000" if "retry_after" in fault.details else None)


# --- versions ---


def test_the_tag_of_a_read_is_the_condition_of_a_patch(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]
) -> None:
    tag = client.get(PROFILE, headers=bearer).headers["ETag"]
    response = client.patch(PROFILE, json={"bio": "x"}, headers={**bearer, "If-Match": tag})
    assert response.status_code == 200
    assert response.headers["ETag"] != tag
    client.patch(PROFILE, json={"bio": "y"}, headers={**bearer, "If-Match": response.headers["ETag"]})
    assert _expected(cluster) == [7, 8]


def test_what_is_only_shown_beside_the_profile_makes_no_patch_stale(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]
) -> None:
    tag = client.get(PROFILE, headers=bearer).headers["ETag"]
    cluster.answers["users_svc.get_profile"] = OWN | {"followers_count": 1000}
    newer = client.get(PROFILE, headers={**bearer, "If-None-Match": tag})
    assert newer.status_code == 200
    assert newer.headers["ETag"] != tag
    for each in (tag, newer.headers["ETag"]):
        client.patch(PROFILE, json={"bio": "x"}, headers={**bearer, "If-Match": each})
    assert _expected(cluster) == [7, 7]


TAG = '"%d-0123456789abcdef01234567"'


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("*", None),
        (" * ", None),
        (TAG % 3, 3),
        (f"{TAG % 3}, {TAG % 12}, {TAG % 5}", 12),
        (f'"other", {TAG % 3}', 3),
        (f"W/{TAG % 9}, {TAG % 3}", 3),
    ],
)
def test_a_condition_names_a_version(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], header: str, expected: int | None
) -> None:
    assert client.patch(PROFILE, json={"bio": "x"}, headers={**bearer, "If-Match": header}).status_code == 200
    assert _expected(cluster) == [expected]


@pytest.mark.parametrize(
    "header",
    [
        "",
        '""',
        '"x"',
        f"W/{TAG % 3}",
        TAG % 10**10,
        '"-1-0123456789abcdef01234567"',
        '"3-0123"',
        "rubbish",
        ",,",
        "\xff",
    ],
)
def test_a_condition_that_names_no_version_of_ours_never_holds(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], header: str
) -> None:
    response = client.patch(PROFILE, json={"bio": "x"}, headers={**bearer, "If-Match": header})
    assert response.status_code == 412
    assert response.json is not None
    assert response.json["code"] == "stale"
    assert not cluster.called("users_svc.update_profile")


@pytest.mark.parametrize("header", ["same", "weak", "list", "*"])
def test_who_has_the_newest_copy_of_their_profile_gets_none(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], header: str
) -> None:
    tag = client.get(PROFILE, headers=bearer).headers["ETag"]
    values = {"same": tag, "weak": f"W/{tag}", "list": f'"other", {tag}', "*": "*"}
    response = client.get(PROFILE, headers={**bearer, "If-None-Match": values[header]})
    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["ETag"] == tag
    assert "Content-Type" not in response.headers


@pytest.mark.parametrize("header", ["rubbish", '"7"', ",,", ""])
def test_who_has_another_copy_gets_the_newest(client: FlaskClient, bearer: dict[str, str], header: str) -> None:
    assert client.get(PROFILE, headers={**bearer, "If-None-Match": header}).status_code == 200


@pytest.mark.parametrize("field", ["handle", "display_name", "bio", "location", "website", "birth_date", "time_zone"])
def test_a_naughty_string_is_passed_on_unbent_or_refused(
    client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str], field: str
) -> None:
    for name, text in NAUGHTY.items():
        sent = json_body({field: text})
        response = client.patch(PROFILE, data=sent, content_type=MERGE, headers=bearer)
        assert response.status_code in (200, 413, 422), name
        if response.status_code == 200:
            assert _changes(cluster)[-1] == {field: text}, name
    assert len(_changes(cluster)) > 10
