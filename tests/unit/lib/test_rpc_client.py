"""Calls: each ends exactly once, in time, and leaves nothing behind."""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu import serialization
from kombu.exceptions import EncodeError
from nameko.exceptions import MalformedRequest, MethodNotFound, RemoteError, RpcTimeout, serialize

from lib import context, rpc_client
from lib.cluster import ClusterView
from lib.confirmation import BrokerUnavailable
from lib.context import ANONYMOUS, SYSTEM, Actor, CallContext
from lib.errors import OutcomeUnknown, Unavailable
from lib.faults import Fault
from lib.rpc_client import CallInterrupted, RpcClient, ServiceUnavailable, ServiceView
from tests.unit.lib.fakes import Clock, Connection, FakeLink, message

CALL = CallContext("corr", ANONYMOUS)


class Wire:
    """A client on a fake link, and the service at the other end."""

    def __init__(self):
        self.link = FakeLink()
        self.client = RpcClient({}, self.link, name="test", services=["users_svc"])
        self.connection = Connection(users_svc=1)
        self.client.link_up(self.connection)

    def call(self, timeout=5.0, service="users_svc", **arguments):
        return self.client.call(service, "get", (), arguments, context=CALL, timeout=timeout)

    def sent(self, index=-1):
        return self.link.sent[index]["properties"]

    def answer(self, index=-1, *, body=None, correlation_id=None, **properties):
        """Deliver a reply to the request with that index."""
        key = self.sent(index)["correlation_id"] if correlation_id is None else correlation_id
        body = {"result": "ok", "error": None} if body is None else body
        self.connection.deliver(message(body, correlation_id=key, **properties))


@pytest.fixture
def wire():
    return Wire()


# --- the request ----------------------------------------------------------------------------------------------------


def test_a_request_on_the_wire(wire):
    wire.call(timeout=2.5, user_id="u1")
    request, properties = wire.link.sent[0], wire.sent()
    assert (request["exchange"], request["routing_key"], request["mandatory"]) == ("nameko-rpc", "users_svc.get", True)
    assert properties["delivery_mode"] == 1
    assert properties["expiration"] == "2500"
    (bound,) = [args for args, _ in wire.connection.named("queue_bind")]
    assert properties["reply_to"] == bound[2]
    body = serialization.loads(request["body"], properties["content_type"], properties["content_encoding"])
    assert body == {"args": [], "kwargs": {"user_id": "u1"}}


def test_the_context_travels_in_namekos_headers(wire):
    before = time.time()
    wire.call(timeout=2.5)
    headers = wire.sent()["application_headers"]
    assert headers.pop("nameko.deadline") == pytest.approx((before + 2.5) * 1000, abs=100)
    assert headers == {"nameko.correlation_id": "corr", "nameko.actor": "anonymous"}


def test_the_reply_queue_goes_with_its_connection(wire):
    ((args, kwargs),) = [each for each in wire.connection.named("queue_declare") if not each[1]["passive"]]
    assert args[0].startswith("rpc.reply-test-")
    assert (kwargs["exclusive"], kwargs["auto_delete"], kwargs["durable"]) == (True, True, False)
    # A vhost's default type may be quorum, which cannot be exclusive.
    assert kwargs["arguments"] == {"x-queue-type": "classic"}


def test_a_new_connection_has_a_new_reply_queue(wire):
    wire.call()
    wire.client.link_down()
    wire.client.link_up(Connection(users_svc=1))
    wire.call()
    assert wire.sent(0)["reply_to"] != wire.sent(1)["reply_to"]


def test_a_tiny_timeout_still_has_an_expiration_that_the_broker_takes(wire):
    wire.call(timeout=0.0001)
    assert wire.sent()["expiration"] == "1"


# --- the answer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", [None, 0, "", [], {"a": [1, None]}])
def test_the_result_is_the_methods_result(wire, result):
    call = wire.call()
    wire.answer(body={"result": result, "error": None})
    assert call.result() == result
    assert call.result() == result
    assert wire.client.in_flight == 0


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (Fault("conflict", "taken", "m", {"field": "name"}), Fault),
        (MethodNotFound("x"), MethodNotFound),
        (MalformedRequest("x"), MalformedRequest),
        (ValueError("x"), RemoteError),
    ],
)
def test_an_error_is_raised_at_the_caller_each_time_it_asks(wire, error, raised):
    call = wire.call()
    wire.answer(body={"result": None, "error": serialize(error)})
    for _ in range(2):
        with pytest.raises(raised):
            call.result()


def test_answers_find_their_calls_in_any_order(wire):
    calls = [wire.call(n=number) for number in range(5)]
    for index in (3, 0, 4, 1, 2):
        wire.answer(index, body={"result": index, "error": None})
    assert [call.result() for call in calls] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("body", "properties"),
    [
        ([1, 2], {}),
        ("text", {}),
        ({"result": 1}, {"content_type": "application/x-python-serialize", "content_encoding": "binary"}),
        ({"result": 1}, {"content_type": "nonsense"}),
    ],
)
def test_an_answer_that_cannot_be_read_says_so_at_once(wire, body, properties):
    call = wire.call()
    wire.answer(body=body, **properties)
    with pytest.raises(OutcomeUnknown, match="cannot be read"):
        call.result()


@pytest.mark.parametrize("correlation_id", ["somebody else's", ""])
def test_an_answer_to_nobody_is_dropped(wire, correlation_id):
    call = wire.call()
    wire.answer(correlation_id=correlation_id)
    assert wire.client.in_flight == 1
    wire.answer()
    assert call.result() == "ok"


def test_an_answer_without_a_correlation_id_is_dropped(wire):
    wire.call()
    wire.connection.deliver(message({"result": 1}))
    assert wire.client.in_flight == 1


def test_an_answer_from_another_thread_ends_the_wait_at_once(wire):
    call = wire.call(timeout=10)
    threading.Timer(0.02, wire.answer).start()
    started = time.monotonic()
    assert call.result() == "ok"
    assert time.monotonic() - started < 2


# --- the deadline ---------------------------------------------------------------------------------------------------


def test_no_answer_until_the_deadline_is_a_timeout_each_time_it_is_asked(wire):
    call = wire.call(timeout=0.01)
    for _ in range(2):
        with pytest.raises(RpcTimeout):
            call.result()


def test_a_thousand_calls_that_time_out_leave_nothing_behind_and_late_answers_find_nobody(wire):
    calls = [wire.call(timeout=0.001) for _ in range(1000)]
    for call in calls:
        with pytest.raises(RpcTimeout):
            call.result()
    assert wire.client.in_flight == 0
    for index in range(1000):
        wire.answer(index)
    assert wire.client.in_flight == 0
    for call in calls[:3]:
        with pytest.raises(RpcTimeout):
            call.result()


def test_calls_whose_result_nobody_asks_for_leave_nothing_behind(wire, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(rpc_client, "time", clock)
    for _ in range(10):
        wire.call(timeout=1)
    clock.advance(60)
    wire.client.link_tick(wire.connection)
    assert wire.client.in_flight == 0


def test_the_time_that_sending_took_counts(wire, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(rpc_client, "time", clock)
    send = wire.link.publish
    wire.link.publish = lambda **request: (send(**request), clock.advance(3))
    call = wire.call(timeout=2)
    with pytest.raises(RpcTimeout):
        call.result()


@pytest.mark.parametrize(
    ("timeout", "left", "expiration"), [(5, None, 5000), (5, 2, 2000), (5, 60, 5000), (0.5, 2, 500)]
)
def test_a_call_ends_with_its_view_or_with_the_running_call_whatever_comes_first(
    wire, monkeypatch, timeout, left, expiration
):
    clock = Clock()
    monkeypatch.setattr(context, "time", clock)
    call = CallContext("c", deadline=None if left is None else clock.now + left)
    ServiceView(wire.client, "users_svc", call, timeout).get.call_async()
    assert int(wire.sent()["expiration"]) == pytest.approx(expiration, abs=1)


@pytest.mark.parametrize("left", [0, -1])
def test_after_the_deadline_nothing_is_sent(wire, monkeypatch, left):
    clock = Clock()
    monkeypatch.setattr(context, "time", clock)
    view = ServiceView(wire.client, "users_svc", CallContext("c", deadline=clock.now + left), 5)
    with pytest.raises(RpcTimeout):
        view.get()
    assert wire.link.sent == []


# --- nobody there ---------------------------------------------------------------------------------------------------


def test_a_returned_request_means_that_nobody_serves_it_and_the_next_call_knows(wire):
    call = wire.call()
    wire.client.link_returned(message({}, correlation_id=wire.sent()["correlation_id"]))
    with pytest.raises(ServiceUnavailable) as caught:
        call.result()
    assert caught.value.details["retry_after"] >= 1
    assert not isinstance(caught.value, OutcomeUnknown), "nothing was done, and the caller may know"
    with pytest.raises(ServiceUnavailable):
        wire.call()
    assert len(wire.link.sent) == 1
    assert wire.client.in_flight == 0


def test_a_returned_message_of_nobody_is_dropped(wire):
    wire.client.link_returned(message({}, correlation_id="x"))
    wire.client.link_returned(message({}))
    assert wire.client.consumers("users_svc") == 1


def test_no_consumer_no_request(wire):
    wire.connection.consumers["rpc-users_svc"] = 0
    wire.client.link_tick(wire.connection)  # Too early: nothing is asked.
    assert wire.client.consumers("users_svc") == 1
    wire.client._next_poll = 0
    wire.client.link_tick(wire.connection)
    with pytest.raises(ServiceUnavailable):
        wire.call()
    assert wire.link.sent == []


def test_a_service_that_nobody_has_asked_about_is_tried_and_counted_from_then_on(wire):
    assert wire.client.consumers("other_svc") is None
    wire.call(service="third_svc")
    wire.connection.consumers |= {"rpc-other_svc": 2, "rpc-third_svc": 0}
    wire.client._next_poll = 0
    wire.client.link_tick(wire.connection)
    assert [wire.client.consumers(name) for name in ("users_svc", "other_svc", "third_svc")] == [1, 2, 0]


def test_a_queue_that_is_not_there_has_no_consumers_and_the_others_are_still_counted(wire):
    del wire.connection.consumers["rpc-users_svc"]
    wire.connection.consumers["rpc-other_svc"] = 3
    wire.client.consumers("other_svc")
    wire.client._next_poll = 0
    wire.client.link_tick(wire.connection)
    assert (wire.client.consumers("users_svc"), wire.client.consumers("other_svc")) == (0, 3)


def test_asking_for_a_queue_that_is_not_there_leaves_no_channels_behind(wire):
    del wire.connection.consumers["rpc-users_svc"]
    for _ in range(20):
        wire.client._next_poll = 0
        wire.client.link_tick(wire.connection)
    assert sum(channel.open for channel in wire.connection.channels) <= 3


def test_while_the_broker_takes_nothing_it_is_not_asked_anything(wire):
    wire.link.blocked = True
    asked = len(wire.connection.calls)
    wire.client._next_poll = 0
    wire.client.link_tick(wire.connection)
    assert len(wire.connection.calls) == asked


# --- the link -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["link_down", "link_blocked"])
def test_the_links_trouble_fails_every_call_in_flight_at_once(wire, end):
    calls = [wire.call(timeout=60) for _ in range(3)]
    getattr(wire.client, end)()
    for call in calls:
        with pytest.raises(CallInterrupted):
            call.result()
    assert wire.client.in_flight == 0


def test_each_call_that_the_link_fails_has_an_error_of_its_own(wire):
    first, second = wire.call(), wire.call()
    wire.client.link_down()
    assert first.error is not second.error


def test_without_a_connection_nothing_is_known_of_services(wire):
    wire.client.link_down()
    wire.link.connected = False
    assert wire.client.consumers("users_svc") is None
    wire.link.connected = True
    assert wire.client.consumers("users_svc") is None


@pytest.mark.parametrize("failure", [BrokerUnavailable("away"), RuntimeError("bug"), KeyboardInterrupt()])
def test_a_request_that_could_not_be_sent_leaves_nothing_behind(wire, failure):
    wire.link.failure = failure
    with pytest.raises(type(failure)):
        wire.call()
    assert wire.client.in_flight == 0


def test_arguments_that_cannot_be_sent_leave_nothing_behind(wire):
    with pytest.raises(EncodeError):
        wire.call(value=object())
    assert (wire.client.in_flight, wire.link.sent) == (0, [])


def test_lost_is_unavailable_and_unknown_for_those_who_must_decide():
    assert issubclass(CallInterrupted, OutcomeUnknown)
    assert issubclass(CallInterrupted, Unavailable)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(["answer", "returned", "timeout", "twice", "late"]), max_size=12), st.booleans())
def test_every_call_ends_exactly_once_whatever_happens(fates, lost):
    wire = Wire()
    calls = []
    for fate in fates:
        wire.client._consumers["users_svc"] = 1
        calls.append(wire.call(timeout=0.001 if fate in ("timeout", "late") else 60))
    for index, fate in enumerate(fates):
        if fate in ("answer", "twice"):
            wire.answer(index)
        if fate in ("twice",):
            wire.answer(index)
        if fate == "returned":
            wire.client.link_returned(message({}, correlation_id=wire.sent(index)["correlation_id"]))
        if fate in ("timeout", "late"):
            with pytest.raises(RpcTimeout):
                calls[index].result()
        if fate == "late":
            wire.answer(index)
    if lost:
        wire.client.link_down()
    for fate, call in zip(fates, calls, strict=True):
        if fate in ("answer", "twice"):
            assert call.result() == "ok"
        else:
            with pytest.raises(ServiceUnavailable if fate == "returned" else RpcTimeout):
                call.result()
    assert wire.client.in_flight == 0


# --- views ----------------------------------------------------------------------------------------------------------


def test_a_view_calls_as_the_running_call(wire):
    view = ServiceView(wire.client, "users_svc", None, 5)
    with context.using(CallContext("running", Actor("account", id="a"), access_token="t")):
        view.get.call_async(1, a=2)
    headers = wire.sent()["application_headers"]
    assert (headers["nameko.correlation_id"], headers["nameko.access_token"]) == ("running", "t")


def test_a_view_may_call_as_the_system(wire):
    view = ServiceView(wire.client, "users_svc", None, 5, as_system=True)
    account = CallContext("c", Actor("account"), access_token="t")
    for call in (account, CallContext("c", ANONYMOUS), CallContext("c", SYSTEM)):
        with context.using(call):
            view.get.call_async()
        assert set(wire.sent()["application_headers"]) == {"nameko.correlation_id", "nameko.deadline"}


def test_calls_can_be_made_side_by_side(wire):
    view = ServiceView(wire.client, "users_svc", CALL, 5)
    first, second = view.get.call_async(), view.list.call_async()
    assert [each["routing_key"] for each in wire.link.sent] == ["users_svc.get", "users_svc.list"]
    wire.answer(1, body={"result": 2, "error": None})
    wire.answer(0, body={"result": 1, "error": None})
    assert (first.result(), second.result()) == (1, 2)


def test_services_are_attributes_or_items_of_a_cluster(wire):
    cluster = ClusterView(wire.client, CALL, 5)
    cluster.users_svc.get.call_async()
    cluster["users_svc"].get.call_async()
    assert [each["routing_key"] for each in wire.link.sent] == ["users_svc.get"] * 2


@pytest.mark.parametrize("name", ["__deepcopy__", "__fspath__", "__len__"])
def test_what_python_asks_of_every_object_is_no_call(wire, name):
    with pytest.raises(AttributeError):
        getattr(ClusterView(wire.client, CALL, 5), name)()
    with pytest.raises(AttributeError):
        getattr(ServiceView(wire.client, "users_svc", CALL, 5), name)()
    assert wire.link.sent == []
