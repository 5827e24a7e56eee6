"""One's own records over HTTP."""

from __future__ import annotations

from flask.testing import FlaskClient

from gateway.shapes import EXAMPLES
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.conftest import USER_ID

EVENTS = "/api/v1/auth/security-events"


def test_the_own_events_come_in_pages(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    cluster.answers["auth_svc.list_security_events"] = EXAMPLES["SecurityEventPage"] | {"next_cursor": "c2"}
    first = client.get(f"{EVENTS}?limit=1", headers=bearer)
    assert first.status_code == 200
    assert first.json == {"data": [EXAMPLES["SecurityEvent"]], "next_cursor": "c2"}
    client.get(f"{EVENTS}?limit=1&cursor=c2", headers=bearer)
    assert cluster.called("auth_svc.list_security_events") == [
        {"user_id": USER_ID, "limit": 1},
        {"user_id": USER_ID, "limit": 1, "cursor": "c2"},
    ]


def test_nobody_asks_for_those_of_others(client: FlaskClient, cluster: FakeCluster, bearer: dict[str, str]) -> None:
    assert client.get(f"{EVENTS}?user_id=0198a3f2-9999-7d4a-9b57-2f4c8e6a1d03", headers=bearer).status_code == 422
    assert not cluster.called("auth_svc.list_security_events")
