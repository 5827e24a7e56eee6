"""Revoked sessions over a real broker: told by events, by snapshots, and after every way of losing the connection."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deploy.local.infra import Infrastructure
from lib.ids import new_id, rfc3339, utc_now
from tests.conftest import ROOT
from tests.integration.gateway.conftest import Broker, Process
from tests.integration.gateway.stand_in import EVENTS, StandIn
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import eventually, stays

pytestmark = pytest.mark.faults

ME = "/api/v1/auth/me"
WITHIN = 1.0

Start = Callable[..., Process]


class Person:
    """Somebody with a session and its access token."""

    def __init__(self, auth: StandIn) -> None:
        self.id, self.session = str(new_id()), str(new_id())
        self._headers = {"Authorization": f"Bearer {auth.issuer.token(sub=self.id, sid=self.session)}"}

    def asks(self, process: Process) -> tuple[int, str | None]:
        response = process.client.get(ME, headers=self._headers)
        body: Any = response.json
        return response.status_code, body.get("code")

    def is_let_in(self, process: Process) -> bool:
        return self.asks(process) == (200, None)

    def is_refused(self, process: Process) -> bool:
        return self.asks(process) == (401, "invalid_token")

    def has_to_wait(self, process: Process) -> bool:
        return self.asks(process) == (503, "revocations_unavailable")


@pytest.fixture
def person(auth: StandIn) -> Callable[[], Person]:
    return lambda: Person(auth)


@pytest.fixture
def proxy(infrastructure: Infrastructure) -> Iterator[TcpProxy]:
    with TcpProxy("127.0.0.1", infrastructure.rabbitmq.ports["amqp"]) as proxy:
        yield proxy


def through(proxy: TcpProxy, infrastructure: Infrastructure, uri: str) -> str:
    return uri.replace(f":{infrastructure.rabbitmq.ports['amqp']}/", f":{proxy.port}/")


@pytest.fixture
def running(auth: StandIn, process: Start) -> Process:
    """A gateway that is ready."""
    running = process()
    eventually(running.ready)
    return running


# --- events ---


@pytest.mark.parametrize("how", ["session", "account", "disabled"])
def test_an_event_has_tokens_refused_by_every_process_within_a_second(
    auth: StandIn, running: Process, process: Start, person: Callable[[], Person], how: str
) -> None:
    second, ann, ben = process(), person(), person()
    eventually(second.ready)
    both = (running, second)
    assert all(each.is_let_in(here) for each in (ann, ben) for here in both)
    if how == "session":
        auth.tell("session.revoked", session_id=ann.session, user_id=ann.id, reason="logout")
    elif how == "account":
        auth.tell("session.revoked", user_id=ann.id, not_before=rfc3339(utc_now()), reason="logout")
    else:
        auth.tell("user.disabled", id=ann.id, reason="fraud")
    told = time.monotonic()
    for here in both:
        eventually(lambda here=here: ann.is_refused(here), within=WITHIN)
    assert time.monotonic() - told < WITHIN
    assert all(ben.is_let_in(here) for here in both)


def test_junk_in_the_queue_is_passed_over(auth: StandIn, running: Process, person: Callable[[], Person]) -> None:
    ann = person()
    for body in (b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"a":' * 4000, b"x" * 200_000, {"type": "session.revoked"}):
        auth.publish("session.revoked", body)
    auth.publish("user.disabled", b"{}", content_type="application/x-python-serialize", content_encoding="binary")
    auth.publish("session.revoked", b"{}", application_headers={"deep": {"deep": {"deep": 1}}})
    connects = running.revocations._connects
    auth.tell("session.revoked", session_id=ann.session, user_id=ann.id, reason="logout")
    eventually(lambda: ann.is_refused(running), within=WITHIN)
    assert running.revocations._connects == connects


def test_events_about_other_things_do_not_come_here(
    broker: Broker, auth: StandIn, running: Process, person: Callable[[], Person]
) -> None:
    ann = person()
    for type_ in ("user.registered", "user.enabled", "user.logged_in"):
        auth.tell(type_, id=ann.id, session_id=ann.session, user_id=ann.id)
    stays(lambda: ann.is_let_in(running), during=0.3)
    bindings = broker.ask("GET", f"exchanges/{broker.name}/{EVENTS}/bindings/source")
    assert sorted(each["routing_key"] for each in bindings) == ["session.revoked", "user.disabled"]


# --- snapshots ---


def test_a_process_that_starts_knows_what_was_revoked_before(
    auth: StandIn, running: Process, process: Start, person: Callable[[], Person]
) -> None:
    ann, ben, cem = person(), person(), person()
    auth.tell("session.revoked", session_id=ann.session, user_id=ann.id, reason="logout")
    eventually(lambda: ann.is_refused(running), within=WITHIN)
    running.stop()
    auth.revoke(ann.session, **{ben.id: int(time.time() * 1000) + 1000})
    again = process()
    eventually(again.ready)
    assert ann.is_refused(again)
    assert ben.is_refused(again)
    assert cem.is_let_in(again)


def test_a_long_snapshot_comes_in_pages(auth: StandIn, process: Start, person: Callable[[], Person]) -> None:
    people = [person() for _ in range(5)]
    others = [str(new_id()) for _ in range(250)]
    auth.revoke(people[0].session, *others, people[1].session, *others[:120], people[2].session, per_page=50)
    here = process()
    eventually(here.ready)
    assert auth.snapshots_asked == 8
    assert [each.is_refused(here) for each in people] == [True, True, True, False, False]


def test_until_the_snapshot_is_there_tokens_have_to_wait(
    auth: StandIn, process: Start, person: Callable[[], Person]
) -> None:
    ann = person()
    auth.answering.clear()
    here = process()
    eventually(lambda: auth.snapshots_asked)
    stays(lambda: ann.has_to_wait(here), during=0.5)
    assert not here.ready()
    assert here.client.get("/health/ready").json["checks"]["auth_svc:revocations"][0]["status"] == "fail"
    assert here.client.get(ME).status_code == 401
    assert here.client.get("/openapi.json").status_code == 200
    auth.answering.set()
    eventually(here.ready)
    assert ann.is_let_in(here)


def test_an_event_between_the_queue_and_the_snapshot_is_not_lost(
    auth: StandIn, process: Start, person: Callable[[], Person]
) -> None:
    ann, ben = person(), person()
    auth.answering.clear()
    here = process()
    eventually(lambda: auth.snapshots_asked)
    auth.tell("session.revoked", session_id=ann.session, user_id=ann.id, reason="logout")
    eventually(lambda: here.revocations.held == 1)
    # The snapshot was taken before.
    auth.answering.set()
    eventually(here.ready)
    assert ann.is_refused(here)
    assert ben.is_let_in(here)


def test_a_service_that_comes_later_is_waited_for(broker: Broker, process: Start) -> None:
    """Neither its queue nor its exchange is there, and the connection is kept all the time."""
    here = process()
    eventually(lambda: here.cluster.connected)
    connects = here.revocations._connects
    stays(lambda: here.cluster.connected and not here.revocations.ready, during=0.5)
    auth = StandIn(broker.uri, declares=False)
    try:
        ann = Person(auth)
        stays(lambda: not here.revocations.ready, during=1.2)
        auth.declare()
        eventually(here.ready)
        assert here.revocations._connects == connects
        auth.tell("session.revoked", session_id=ann.session, user_id=ann.id, reason="logout")
        eventually(lambda: ann.is_refused(here), within=WITHIN)
        assert len(broker.followers()) == 1
    finally:
        auth.stop()


# --- lost connections ---


def lose_by_reset(proxy: TcpProxy, _: Broker) -> None:
    proxy.refuse()


def lose_by_operator(proxy: TcpProxy, broker: Broker) -> None:
    """The broker closes it, and the way back is barred for a while."""
    broker.close_connection_of_gateway()
    proxy.refuse()


@pytest.mark.parametrize("lose", [lose_by_reset, lose_by_operator])
def test_what_was_revoked_while_the_connection_was_away_is_known_before_any_token_passes(
    infrastructure: Infrastructure,
    broker: Broker,
    auth: StandIn,
    process: Start,
    person: Callable[[], Person],
    proxy: TcpProxy,
    lose: Callable[[TcpProxy, Broker], None],
) -> None:
    here = process(through(proxy, infrastructure, broker.uri))
    ann, ben, cem = person(), person(), person()
    eventually(here.ready)
    auth.tell("session.revoked", session_id=cem.session, user_id=cem.id, reason="logout")
    eventually(lambda: cem.is_refused(here))
    assert ann.is_let_in(here)
    lose(proxy, broker)
    eventually(lambda: ann.has_to_wait(here))
    # Nobody is there to take this event; the queue went with its connection.
    eventually(lambda: not broker.followers())
    auth.tell("session.revoked", session_id=ann.session, user_id=ann.id, reason="logout")
    auth.revoke(ann.session)
    auth.answering.clear()
    asked = auth.snapshots_asked
    proxy.heal()
    eventually(lambda: auth.snapshots_asked > asked)
    stays(lambda: ann.has_to_wait(here) and ben.has_to_wait(here), during=0.5)
    auth.answering.set()
    eventually(here.ready)
    assert ann.is_refused(here)
    assert ben.is_let_in(here)
    # What it knew before is not forgotten for the snapshot.
    assert cem.is_refused(here)
    auth.tell("session.revoked", session_id=ben.session, user_id=ben.id, reason="logout")
    eventually(lambda: ben.is_refused(here), within=WITHIN)


def test_a_queue_that_an_operator_deletes_is_made_anew_with_a_snapshot(
    infrastructure: Infrastructure, broker: Broker, auth: StandIn, running: Process, person: Callable[[], Person]
) -> None:
    ann = person()
    assert ann.is_let_in(running)
    (queue,) = broker.followers()
    asked = auth.snapshots_asked
    auth.revoke(ann.session)
    found = f'rabbit_amqqueue:lookup(rabbit_misc:r(<<"{broker.name}">>, queue, <<"{queue}">>))'
    infrastructure.rabbitmq.ctl("eval", f'rabbit_amqqueue:delete(element(2, {found}), false, false, <<"test">>).')
    eventually(lambda: auth.snapshots_asked > asked)
    eventually(lambda: ann.is_refused(running))
    eventually(running.ready)
    assert broker.followers() not in ([], [queue])


# --- permissions ---


@pytest.fixture
def own_user(broker: Broker) -> Iterator[str]:
    """The address for a user with the rights that the gateway has in production."""
    definitions = json.loads((ROOT / "deploy/docker/rabbitmq/definitions.json").read_text())
    broker.ask("PUT", "users/gateway", {"password": "secret", "tags": ""})
    (rule,) = [each for each in definitions["permissions"] if each["user"] == "gateway"]
    broker.permit("gateway", rule["configure"], rule["write"], rule["read"])
    for topic in definitions["topic_permissions"]:
        if topic["user"] == "gateway":
            body = {name: topic[name] for name in ("exchange", "write", "read")}
            broker.ask("PUT", f"topic-permissions/{broker.name}/gateway", body)
    yield broker.uri.replace("guest:guest@", "gateway:secret@")
    broker.ask("DELETE", "users/gateway")


def test_the_gateways_own_user_of_the_broker_may_follow_what_is_revoked(
    auth: StandIn, own_user: str, process: Start, person: Callable[[], Person]
) -> None:
    assert "gateway:secret@" in own_user
    here, ann = process(own_user), person()
    eventually(here.ready)
    assert ann.is_let_in(here)
    auth.tell("session.revoked", session_id=ann.session, user_id=ann.id, reason="logout")
    eventually(lambda: ann.is_refused(here), within=WITHIN)
