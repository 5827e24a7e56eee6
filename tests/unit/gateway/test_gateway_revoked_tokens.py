"""Requests with access tokens of sessions that are over, or may be."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from gateway.bearer import snapshots
from gateway.revocations import Revocations
from gateway.shapes import EXAMPLES
from gateway.state import EXTENSION
from lib.ids import new_id, utc_now
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import Configure, Issuer, nothing_revoked
from tests.unit.gateway.revoking import GOOD, SESSION_ID, USER_ID, event, page
from tests.unit.lib.fakes import message

ME = "/api/v1/auth/me"


@pytest.fixture
def own() -> Revocations:
    return nothing_revoked()


@pytest.fixture
def client(configure: Configure, cluster: FakeCluster, own: Revocations) -> FlaskClient:
    cluster.answers["auth_svc.get_account"] = EXAMPLES["Account"]
    cluster.answers["users_svc.get_user"] = EXAMPLES["PublicProfile"]
    app: Flask = configure(revocations=own)
    assert app.extensions[EXTENSION].revocations is own
    return app.test_client()


def _revoke(own: Revocations, body: dict[str, Any]) -> None:
    own._on_event(message(body))


def test_a_revoked_token_is_refused(
    client: FlaskClient, own: Revocations, cluster: FakeCluster, issuer: Issuer
) -> None:
    headers = {"Authorization": f"Bearer {issuer.token()}"}
    assert client.get(ME, headers=headers).status_code == 200
    calls = len(cluster.calls)
    _revoke(own, GOOD)
    response = client.get(ME, headers=headers)
    assert response.status_code == 401
    assert response.json is not None
    assert (response.json["code"], response.json["reason"]) == ("invalid_token", "revoked")
    assert response.headers["WWW-Authenticate"].startswith('Bearer realm="leveret", error="invalid_token"')
    assert len(cluster.calls) == calls


def test_a_route_that_needs_no_token_refuses_a_revoked_one_all_the_same(
    client: FlaskClient, own: Revocations, issuer: Issuer
) -> None:
    _revoke(own, event("user.disabled", id=USER_ID, reason="x"))
    path = f"/api/v1/users/{USER_ID}"
    assert client.get(path, headers={"Authorization": f"Bearer {issuer.token()}"}).status_code == 401
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("token", ["good", "expired", "forged", "junk"])
def test_without_a_snapshot_every_token_gets_503_and_never_401(
    client: FlaskClient, own: Revocations, issuer: Issuer, stranger: Issuer, token: str
) -> None:
    own.link_down()
    text = {"good": issuer.token(), "expired": issuer.token(exp=1), "forged": stranger.token(), "junk": "x"}[token]
    for path in (ME, f"/api/v1/users/{USER_ID}"):
        response = client.get(path, headers={"Authorization": f"Bearer {text}"})
        assert response.status_code == 503
        assert response.json is not None
        assert response.json["code"] == "revocations_unavailable"
        assert response.headers["Retry-After"] == "1"


def test_without_a_snapshot_who_has_no_token_is_served(client: FlaskClient, own: Revocations) -> None:
    own.link_down()
    assert client.get(f"/api/v1/users/{USER_ID}").status_code == 200
    assert client.get(ME).status_code == 401


def test_requests_ask_nobody(client: FlaskClient, own: Revocations, cluster: FakeCluster, issuer: Issuer) -> None:
    for _ in range(5):
        client.get(ME, headers={"Authorization": f"Bearer {issuer.token()}"})
    assert not cluster.called("auth_svc.get_revocations")


def test_the_snapshot_is_asked_for_as_nobody(cluster: FakeCluster) -> None:
    cluster.answers["auth_svc.get_revocations"] = lambda cursor: {**page((SESSION_ID,)), "next_cursor": cursor}
    assert snapshots(cluster)("7") == {**page((SESSION_ID,)), "next_cursor": "7"}
    (call,) = cluster.calls
    assert call.context.actor.is_anonymous
    assert call.context.access_token is None
    assert call.timeout == 5


def test_metrics_tell_how_many_there_are_and_how_old_the_snapshot_is(client: FlaskClient, own: Revocations) -> None:
    before = utc_now().timestamp()
    assert own.load()
    _revoke(own, event(session_id=str(new_id()), user_id=USER_ID, reason="x"))
    _revoke(own, event("user.disabled", id=USER_ID, reason="x"))
    found = dict(line.split(" ") for line in client.get("/metrics").text.splitlines() if line.startswith("gateway_rev"))
    assert found["gateway_revocations_held"] == "2.0"
    assert float(found["gateway_revocations_snapshot_timestamp_seconds"]) >= before
    own.link_down()
    assert "gateway_revocations_snapshot_timestamp_seconds 0.0" in client.get("/metrics").text
