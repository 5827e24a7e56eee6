"""No message can kill a service, whoever sends it: it is answered if that is possible, counted, and the next one runs.

Stock Nameko 2.14.1 (`tests/services/stock.py` under ``nameko run``), seen with the same messages: the process ended
at a request without ``reply_to``, without ``content_type``, with a ``call_id_stack`` that is a number, a text or a list
of both, and with properties that py-amqp cannot read (no UTF-8, a time after the year 9999, headers nested 5000 deep).
The message went back to its queue, so that it ended again at further starts. Requests with bad JSON, pickle, an unknown
content type or compression were dropped without an answer; 15 MiB were run. Nothing was counted anywhere.
"""

from __future__ import annotations

import json
import pickle
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import amqp
import pytest
import requests

from lib import topology
from lib.wire import connect
from tests.integration.lib.conftest import PROBE, Probe
from tests.integration.lib.poison import BROKEN, CALL, DEAD, HUGE, JSON, UNSENDABLE, Trap, Watched, broken
from tests.services.probe import ProbeService
from tests.support.stack import free_port
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def metrics_port(shared_probe: Probe) -> Iterator[int]:
    shared_probe.stop()
    yield free_port()
    shared_probe.stop()


@pytest.fixture
def watched(shared_probe: Probe, metrics_port: int) -> Iterator[Watched]:
    """Running; one that a test has killed is started again for the next test, without what killed it."""
    with connect(shared_probe.config["AMQP_URI"], name="test", heartbeat=60, confirm_publish=True) as connection:
        channel = connection.channel()
        if not shared_probe.stack.running(PROBE):
            for queue in topology.declare_service(ProbeService, shared_probe.config):
                channel.queue_purge(queue)
            shared_probe.stack.start(PROBE, wait=False, HTTP_PORT=str(metrics_port))
            health = f"http://127.0.0.1:{metrics_port}/api/v1/health"
            eventually(lambda: requests.get(health, timeout=5).status_code == 200, within=20)
        channel.queue_purge(DEAD)
        yield Watched(shared_probe, metrics_port, channel)


@dataclass(frozen=True)
class Poison:
    """A request, the error that answers it, and the reason it is counted under."""

    error: str
    reason: str
    method: str = "echo"
    body: Any = field(default_factory=lambda: CALL)
    properties: dict[str, Any] = field(default_factory=dict)


POISON = {
    "bad JSON": Poison("MalformedRequest", "undecodable", body='{"args": [1'),
    "JSON that is no UTF-8": Poison("MalformedRequest", "undecodable", body=b'{"args": ["\xff"], "kwargs": {}}'),
    "JSON nested 100,000 deep": Poison("MalformedRequest", "undecodable", body="[" * 100_000),
    "an unknown content type": Poison(
        "MalformedRequest", "undecodable", properties={"content_type": "application/x-nobody-knows"}
    ),
    "no content type": Poison("MalformedRequest", "malformed", properties={"content_type": None}),
    "15 MiB": Poison("MalformedRequest", "undecodable", body=HUGE),
    "a broken compression": Poison(
        "MalformedRequest", "undecodable", properties={"application_headers": {"compression": "gzip"}}
    ),
    "an unknown compression": Poison(
        "MalformedRequest", "undecodable", properties={"application_headers": {"compression": [1]}}
    ),
    "an empty body": Poison("MalformedRequest", "malformed", body=""),
    "a list": Poison("MalformedRequest", "malformed", body=["a", "list"]),
    "no args": Poison("MalformedRequest", "malformed", body={"kwargs": {}}),
    "no kwargs": Poison("MalformedRequest", "malformed", body={"args": []}),
    "args that are a text": Poison("MalformedRequest", "malformed", body={"args": "abc", "kwargs": {}}),
    "kwargs that are a list": Poison("MalformedRequest", "malformed", body={"args": [], "kwargs": [1]}),
    "too many arguments": Poison("IncorrectSignature", "wrong_arguments", body={"args": [1, 2, 3], "kwargs": {}}),
    "an unknown argument": Poison("IncorrectSignature", "wrong_arguments", body={"args": [], "kwargs": {"no": 1}}),
    "an argument missing": Poison("IncorrectSignature", "wrong_arguments", "write", body={"args": [], "kwargs": {}}),
    "an unknown method": Poison("MethodNotFound", "unknown_method", "no_such_method"),
    "a method that is none": Poison("MethodNotFound", "unknown_method", "name"),
    "an unserializable result": Poison(
        "UnserializableValueError", "unserializable", "unserializable", body={"args": [], "kwargs": {}}
    ),
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
def test_a_bad_request_is_answered_counted_and_survived(watched: Watched, poison: Poison) -> None:
    before = watched.rejected().get(poison.reason, 0)
    answer = watched.answer(watched.send(poison.method, poison.body, **poison.properties))
    assert answer["result"] is None
    assert answer["error"]["exc_type"] == poison.error
    assert watched.rejected()[poison.reason] == before + 1
    watched.assert_well()


def test_a_pickle_is_refused_unread(watched: Watched, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    answer = watched.answer(
        watched.send(
            "echo",
            pickle.dumps({"args": [Trap(trap)], "kwargs": {}}),
            content_type="application/x-python-serialize",
            content_encoding="binary",
        )
    )
    assert answer["error"]["exc_type"] == "MalformedRequest"
    assert not trap.exists()
    watched.assert_well()


def test_a_small_body_that_unpacks_to_a_huge_one_is_refused_unread(watched: Watched) -> None:
    packer = zlib.compressobj()
    bomb = b"".join(packer.compress(b" " * 16 * 1024 * 1024) for _ in range(16)) + packer.flush()
    before = _peak_memory(watched)
    answer = watched.answer(watched.send("echo", bomb, application_headers={"compression": "gzip"}))
    assert answer["error"]["exc_type"] == "MalformedRequest"
    assert _peak_memory(watched) - before < 100 * 1024
    watched.assert_well()


def _peak_memory(watched: Watched) -> int:
    """Return the most memory that the process ever had, in KiB."""
    status = Path(f"/proc/{watched.probe.stack.pid(PROBE)}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1])  # type: ignore[index]


def test_a_request_without_reply_to_is_run_and_counted(watched: Watched) -> None:
    before = watched.rejected().get("no_reply_to", 0)
    watched.send("echo", reply_to=None)
    watched.send("no_such_method", reply_to=None)
    watched.send("echo", "{bad", reply_to=None)
    eventually(lambda: watched.rejected().get("no_reply_to", 0) == before + 3)
    watched.assert_well()


def test_a_request_without_correlation_id_is_answered_and_counted(watched: Watched) -> None:
    before = watched.rejected().get("no_correlation_id", 0)
    assert watched.answer(watched.send("echo", correlation_id=None))["result"] == 1
    assert watched.rejected()["no_correlation_id"] == before + 1
    watched.assert_well()


def test_an_answer_of_12_mib_arrives_and_holds_nobody_up(watched: Watched) -> None:
    large = watched.send("large", {"args": [12 * 1024 * 1024], "kwargs": {}})
    assert len(watched.answer(large)["result"]) == 12 * 1024 * 1024
    watched.assert_well()


def test_a_reply_to_nobody_is_lost_quietly(watched: Watched) -> None:
    watched.send("echo", reply_to="gone")
    watched.assert_well()


@pytest.mark.parametrize("value", [12, 1.5, True, None, b"\xff", "text", ["a", 1], {"a": [None]}], ids=repr)
def test_headers_of_any_type_do_no_harm(watched: Watched, value: Any) -> None:
    """What says nothing is as if it was not there; a token that is no text is refused as any bad token is."""
    names = ("correlation_id", "call_id_stack", "traceparent", "locale", "actor", "language", "user_id")
    headers = {f"nameko.{name}": value for name in names}
    if not isinstance(value, bool | int | float):  # A number is a deadline that has long passed.
        headers["nameko.deadline"] = value
    assert watched.answer(watched.send("echo", application_headers=headers))["result"] == 1
    if value is not None:
        answer = watched.answer(watched.send("echo", application_headers={"nameko.access_token": value}))
        assert answer["error"]["exc_args"][:2] == ["unauthenticated", "invalid_token"]
    # What goes on to the next service is made of the same headers.
    request = {"args": ["probe", "echo", "passed on"], "kwargs": {}}
    assert watched.answer(watched.send("ask", request, application_headers=headers))["result"] == "passed on"
    watched.assert_well()


def test_a_trace_that_cannot_be_sent_on_stays_here(watched: Watched) -> None:
    """It would end the connection over which it is sent on, and an event with it could never leave the outbox."""
    answer = watched.answer(watched.send_with_deep_trace("ask", {"args": ["probe", "echo", "on"], "kwargs": {}}))
    assert answer["result"] == "on"
    watched.assert_well()


@pytest.mark.parametrize("properties", BROKEN.values(), ids=BROKEN.keys())
def test_properties_that_cannot_be_read_are_survived(watched: Watched, properties: bytes) -> None:
    """Nobody can be answered: the address is a part of what cannot be read."""
    before = watched.rejected().get("undecodable", 0)
    watched.publish("nameko-rpc", "probe_svc.echo", broken(json.dumps(CALL).encode(), properties))
    eventually(lambda: watched.probe.depth("rpc-probe_svc") == 0)
    watched.assert_well()
    assert watched.rejected().get("undecodable", 0) == before + 1


BAD_EVENTS: dict[str, amqp.Message] = {
    "bad JSON": amqp.Message(b"{bad", **JSON),
    "15 MiB": amqp.Message(HUGE.encode(), **JSON),
    "an unknown content type": amqp.Message(b"?", content_type="application/x-nobody-knows"),
    "a broken compression": amqp.Message(b"{}", **JSON, application_headers={"compression": "gzip"}),
    "120 KiB of headers": amqp.Message(b"{bad", **JSON, application_headers={f"h{n}": "x" * 1000 for n in range(120)}),
    "a header's name that is no UTF-8": amqp.Message(b"{bad", **JSON, application_headers={b"\xff": True}),
    **{name: broken(b"{}", properties) for name, properties in BROKEN.items()},
    **{name: broken(b"{bad", properties) for name, properties in UNSENDABLE.items()},
}


@pytest.mark.parametrize("message", BAD_EVENTS.values(), ids=BAD_EVENTS.keys())
def test_an_event_that_cannot_be_read_is_parked_whole_and_survived(watched: Watched, message: amqp.Message) -> None:
    before = watched.rejected().get("undecodable", 0)
    watched.publish("source_svc.events", "thing.failed", message)
    parked = watched.parked()
    body = parked.body if isinstance(parked.body, bytes) else parked.body.encode()
    assert body == message.body
    headers = parked.properties["application_headers"]
    assert headers["event-queue"] == "evt-source_svc-thing.failed--probe_svc.on_failed"
    assert headers["event-attempt"] == 1
    assert headers["event-error-type"]
    assert watched.rejected()["undecodable"] == before + 1
    watched.assert_well()


def test_a_pickled_event_is_parked_unread(watched: Watched, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    body = pickle.dumps({"id": "1", "data": Trap(trap)})
    message = amqp.Message(body, content_type="application/x-python-serialize", content_encoding="binary")
    watched.publish("source_svc.events", "thing.failed", message)
    assert watched.parked().body == body
    assert not trap.exists()
    watched.assert_well()


@pytest.mark.parametrize("body", [[], "text", None, {}, {"id": 1}], ids=repr)
def test_an_event_of_another_shape_is_tried_and_parked(watched: Watched, body: Any) -> None:
    watched.publish("source_svc.events", "thing.failed", amqp.Message(json.dumps(body).encode(), **JSON))
    assert watched.parked().properties["application_headers"]["event-attempt"] == 4
    watched.assert_well()
