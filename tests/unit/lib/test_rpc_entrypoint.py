"""A request's way in, step by step, and the reply's way out: whatever comes is answered or dropped, never raised."""

import json
import time

import pytest
from kombu.transport.pyamqp import Message as Received
from nameko.exceptions import IncorrectSignature, MalformedRequest, MethodNotFound, RemoteError, deserialize

from lib import caller as caller_module
from lib import context, rpc
from lib.access import anyone, owner, signed_in, system
from lib.caller import Caller, actor_without_keys, caller_of
from lib.confirmation import BrokerUnavailable
from lib.context import ANONYMOUS, SYSTEM, Actor, NotAllowed, NotSignedIn
from lib.errors import Conflict, Limited, OutcomeUnknown
from lib.faults import Fault
from lib.rpc import Expired, Rpc, RpcConsumer
from lib.rpc_bodies import Bodies
from lib.tokens import InvalidToken
from tests.unit.lib.fakes import Clock, FakeLink, message
from tests.unit.lib.test_event_handler import Broker, Settled

ME = Actor("account", id="me")


class Service:
    name = "some_svc"

    def method(self, user_id=None, key=None, *, note=None): ...


class Caller_(Caller):  # noqa: N801  (the real one, with the verifier's answer given)
    def __init__(self):
        super().__init__(jwks=lambda ports: {})

    def actor(self, headers):
        token = headers.get(context.ACCESS_TOKEN)
        if token == "bad":
            raise InvalidToken("no")
        return (ME, token) if token else super().actor(headers)


class Container:
    service_name = "some_svc"
    service_cls = Service
    config = {}  # noqa: RUF012

    def __init__(self, *dependencies):
        self.dependencies = dependencies
        self.workers = []

    def spawn_worker(self, entrypoint, args, kwargs, **options):
        self.workers.append((args, kwargs, options))


def entrypoint(*, dependencies=None, service=Service, **options):
    made = Rpc(**options)
    made.container = Container(*(dependencies if dependencies is not None else (Caller_(),)))
    made.container.service_cls = service
    made.method_name = "method"
    made.rpc_consumer = Settled()
    made.setup()
    return made


def request(body=None, *, headers=None, redelivered=False, key="some_svc.method", **properties):
    raw = message({"args": [], "kwargs": {}} if body is None else body, headers=headers or {}, **properties)
    raw.delivery_info = {"delivery_tag": 1, "routing_key": key, "redelivered": redelivered}
    return Received(raw, channel=None)


def handle(made, args=(), kwargs=None, **options):
    body = {"args": list(args), "kwargs": kwargs or {}}
    made.handle_message(body, request(body, **options))
    return made.container.workers


# --- in -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [None, [], "text", 5, {}, {"args": []}, {"kwargs": {}}, {"args": {}, "kwargs": {}}, {"args": "ab", "kwargs": {}},
     {"args": [], "kwargs": []}, {"args": None, "kwargs": None}],
)  # fmt: skip
def test_a_body_that_is_no_request(body):
    with pytest.raises(MalformedRequest):
        entrypoint().handle_message(body, request())


class Strict:
    """Has one argument that nobody may leave out."""

    name = "some_svc"

    def method(self, user_id, *, note=None): ...


class Loose:
    """Takes whatever comes."""

    name = "some_svc"

    def method(self, user_id, *more, **others): ...


CALLS = [
    ((), {}),
    ((1,), {}),
    ((1, 2), {}),
    ((1, 2, 3), {}),
    ((), {"user_id": 1}),
    ((), {"user_id": None, "note": 2}),
    ((), {"note": 2}),
    ((), {"user_id": 1, "other": 2}),
    ((1,), {"user_id": 1}),
    ((1,), {"note": 2}),
    ((1,), {"other": 2}),
    ((), {"self": 1, "user_id": 2}),
]


@pytest.mark.parametrize("service", [Service, Strict, Loose])
@pytest.mark.parametrize(("args", "kwargs"), CALLS)
def test_arguments_are_taken_exactly_if_the_method_would_take_them(service, args, kwargs):
    made = entrypoint(allow=anyone, service=service)
    try:
        service().method(*args, **kwargs)
    except TypeError:
        with pytest.raises(IncorrectSignature):
            handle(made, args, kwargs)
        assert made.container.workers == []
    else:
        assert handle(made, args, kwargs)[0][:2] == (list(args), kwargs)


@pytest.mark.parametrize(("offset", "runs"), [(-60, False), (-0.01, False), (60, True)])
def test_a_request_whose_caller_has_gone_is_dropped(offset, runs):
    made = entrypoint(allow=anyone)
    headers = {"nameko.deadline": int((time.time() + offset) * 1000)}
    if runs:
        assert len(handle(made, headers=headers)) == 1
        return
    with pytest.raises(Expired):
        handle(made, headers=headers)
    assert made.container.workers == []


def test_an_expired_request_is_not_even_looked_at():
    with pytest.raises(Expired):
        handle(entrypoint(), ("too", "many", "arguments"), headers={"nameko.deadline": 1, "nameko.access_token": "bad"})


@pytest.mark.parametrize("deadline", ["soon", None, {}])
def test_a_deadline_that_is_no_number_is_none(deadline):
    assert len(handle(entrypoint(allow=anyone), headers={"nameko.deadline": deadline})) == 1


@pytest.mark.parametrize(
    ("headers", "allow", "outcome"),
    [
        ({}, system, SYSTEM),
        ({"nameko.actor": "anonymous"}, anyone, ANONYMOUS),
        ({"nameko.actor": "anonymous"}, signed_in, NotSignedIn),
        ({"nameko.actor": "anonymous"}, system, NotAllowed),
        ({"nameko.access_token": "good"}, signed_in, ME),
        ({"nameko.access_token": "good"}, system, NotAllowed),
        ({"nameko.access_token": "bad"}, anyone, InvalidToken),
        # What a header claims is no proof.
        ({"nameko.access_token": "good", "nameko.actor": "system", "nameko.roles": ["admin"]}, system, NotAllowed),
        ({"nameko.access_token": "", "nameko.actor": "system"}, anyone, InvalidToken),
        ({"nameko.access_token": 5}, anyone, InvalidToken),
        ({"nameko.access_token": ["good"]}, anyone, InvalidToken),
    ],
)
def test_who_acts_and_whether_they_may(headers, allow, outcome):
    # The real `Caller` decides on what is no token at all.
    dependency = Caller_() if headers.get("nameko.access_token") in (None, "good", "bad") else Caller(lambda ports: {})
    made = entrypoint(allow=allow, dependencies=[dependency])
    if isinstance(outcome, type):
        with pytest.raises(outcome):
            handle(made, headers=headers)
        assert made.container.workers == []
    else:
        assert handle(made, headers=headers)[0][2]["call"].actor is outcome


def test_the_default_is_operators_and_services_only():
    with pytest.raises(NotAllowed):
        handle(entrypoint(), headers={"nameko.access_token": "good"})


@pytest.mark.parametrize(("args", "kwargs"), [(("me",), {}), ((), {"user_id": "me"}), (("me",), {"key": "k"})])
def test_an_owner_may_be_named_by_position_or_by_name(args, kwargs):
    headers = {"nameko.access_token": "good"}
    assert len(handle(entrypoint(allow=owner("user_id")), args, kwargs, headers=headers)) == 1
    yours = (tuple("you" for _ in args), dict.fromkeys(kwargs, "you"))
    with pytest.raises(NotAllowed):
        handle(entrypoint(allow=owner("user_id")), *yours, headers=headers)


@pytest.mark.parametrize(
    ("idempotent", "kwargs", "redelivered", "runs"),
    [
        (False, {}, False, True),
        (False, {}, True, False),
        (True, {}, True, True),
        ("key", {"key": "k"}, True, True),
        ("key", {"key": None}, True, False),
        ("key", {}, True, False),
        ("key", {}, False, True),
    ],
)
def test_a_request_that_comes_again_runs_only_if_that_is_harmless(idempotent, kwargs, redelivered, runs):
    made = entrypoint(allow=anyone, idempotent=idempotent)
    if runs:
        assert len(handle(made, kwargs=kwargs, redelivered=redelivered)) == 1
        return
    with pytest.raises(OutcomeUnknown):
        handle(made, kwargs=kwargs, redelivered=redelivered)


def test_the_key_of_a_repeated_request_may_stand_by_position():
    assert len(handle(entrypoint(allow=anyone, idempotent="key"), ("u", "k"), redelivered=True)) == 1


def test_a_stranger_learns_nothing_of_a_request_that_came_again():
    with pytest.raises(NotSignedIn):
        handle(entrypoint(allow=signed_in), headers={"nameko.actor": "anonymous"}, redelivered=True)


@pytest.mark.parametrize("redelivered", [True, False])
def test_a_method_can_see_that_its_request_came_again(redelivered):
    made = entrypoint(allow=anyone, idempotent=True)
    assert handle(made, redelivered=redelivered)[0][2]["call"].redelivered is redelivered


def test_the_worker_runs_in_the_calls_context():
    headers = {"nameko.access_token": "good", "nameko.correlation_id": "c", "nameko.locale": "de"}
    call = handle(entrypoint(allow=anyone), headers=headers)[0][2]["call"]
    assert (call.correlation_id, call.locale, call.access_token, call.actor) == ("c", "de", "good", ME)
    assert not call.background


def test_a_service_without_a_caller_takes_no_tokens():
    assert caller_of(Container()) is None
    assert actor_without_keys({}) == (SYSTEM, None)
    assert actor_without_keys({context.ACTOR: "anonymous"}) == (ANONYMOUS, None)
    for token in ("any", "", 0):
        with pytest.raises(InvalidToken):
            actor_without_keys({context.ACCESS_TOKEN: token})


def test_an_actor_is_what_the_verified_claims_say(monkeypatch):
    claims = {"sub": "a1", "sid": "s1", "roles": ["admin", "user"]}

    class Verifier:
        def __init__(self, source, **options): ...

        def verify(self, token):
            return claims

    monkeypatch.setattr(caller_module, "AccessTokenVerifier", Verifier)
    caller = Caller(lambda ports: {})
    caller.container = Container()
    caller.container.config = {"JWT_ISSUER": "i", "JWT_AUDIENCE": "a"}
    caller.setup()
    actor, token = caller.actor({context.ACCESS_TOKEN: "t", context.ACTOR: "anonymous"})
    assert (actor.kind, actor.id, actor.session_id, actor.roles) == ("account", "a1", "s1", {"admin", "user"})
    assert (actor.claims, token) == (claims, "t")


# --- out ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(rpc, "time", clock)
    return clock


@pytest.fixture
def consumer(clock):
    made = RpcConsumer()
    made.container = Container()
    made.queue_consumer, made.broker = Settled(), Broker(FakeLink())
    made._exchange, made._bodies, made._providers_by_key = "nameko-rpc", Bodies("json"), {}
    return made


def answer(consumer, result=None, error=None, asked=None):
    """Return the reply's body as it went out, or None."""
    asked = asked or request(reply_to="r1", correlation_id="k1")
    consumer.handle_result(asked, result, None if error is None else (type(error), error, None))
    assert consumer.queue_consumer.acknowledged == [asked], "whatever happens, the request is let go"
    return json.loads(consumer.broker.link.sent[-1]["body"]) if consumer.broker.link.sent else None


def test_a_result_goes_to_who_asked(consumer):
    assert answer(consumer, {"a": 1}) == {"result": {"a": 1}, "error": None}
    (reply,) = consumer.broker.link.sent
    assert (reply["exchange"], reply["routing_key"]) == ("nameko-rpc", "r1")
    assert reply["properties"]["correlation_id"] == "k1"
    assert reply["properties"]["delivery_mode"] == 1


def test_a_domain_error_goes_as_a_fault(consumer):
    body = answer(consumer, "no result", Conflict("taken", field="name"))
    fault = deserialize(body["error"])
    assert body["result"] is None
    assert (fault.kind, fault.code, fault.message) == ("conflict", "conflict", "taken")
    assert fault.details == {"field": "name"}


@pytest.mark.parametrize("value", [3, True, None, 1.5, [1, {"limit": 2}]])
def test_a_faults_details_arrive_as_they_were_sent(consumer, value):
    body = answer(consumer, error=Limited("slow down", retry_after=value))
    assert deserialize(body["error"]).details == {"retry_after": value}


def test_a_bug_goes_as_an_id_that_the_log_knows(consumer, caplog):
    body = answer(consumer, error=ValueError("postgresql://u:hunter2@h/"))
    fault = deserialize(body["error"])
    assert (fault.kind, fault.code) == ("internal", "internal_error")
    assert "hunter2" not in json.dumps(body)
    assert fault.details["error_id"] in caplog.text


@pytest.mark.parametrize("error", [MethodNotFound("x"), MalformedRequest("x"), IncorrectSignature("x")])
def test_namekos_own_refusals_go_as_stock_clients_know_them(consumer, error):
    assert type(deserialize(answer(consumer, error=error)["error"])) is type(error)


def test_a_result_that_json_cannot_say_is_an_error_for_the_caller(consumer):
    body = answer(consumer, object())
    assert body["result"] is None
    assert isinstance(deserialize(body["error"]), RemoteError)
    assert body["error"]["exc_type"] == "UnserializableValueError"


@pytest.mark.parametrize("reply_to", [None, ""])
def test_nobody_to_answer(consumer, reply_to):
    assert answer(consumer, 1, asked=request(**({} if reply_to is None else {"reply_to": reply_to}))) is None


def test_a_request_without_a_correlation_id_is_answered(consumer):
    assert answer(consumer, 1, asked=request(reply_to="r")) == {"result": 1, "error": None}


def test_a_reply_waits_a_moment_for_a_link_that_is_just_coming_back(consumer, clock):
    link = consumer.broker.link
    link.failure = BrokerUnavailable("away")
    sleep = clock.sleep

    def back_after_a_second(seconds):
        sleep(seconds)
        if sum(clock.slept) > 1:
            link.failure = None

    clock.sleep = back_after_a_second
    assert answer(consumer, 1) == {"result": 1, "error": None}


def test_a_reply_that_cannot_be_sent_is_given_up_and_the_process_lives(consumer, clock):
    consumer.broker.link.failure = BrokerUnavailable("away")
    assert answer(consumer, 1) is None
    assert sum(clock.slept) == pytest.approx(rpc.REPLY_WITHIN, abs=0.2)


def test_a_reply_that_fails_for_a_reason_of_its_own_kills_nobody(consumer, caplog):
    consumer.broker.link.failure = RuntimeError("bug")
    assert answer(consumer, 1) is None
    assert "a reply could not be made" in caplog.text


@pytest.mark.parametrize(
    ("raised", "told"),
    [(MalformedRequest("x"), MalformedRequest), (Conflict("x"), Fault), (KeyError("x"), Fault)],
)
def test_whatever_is_raised_on_the_way_in_is_answered(consumer, raised, told):
    class Provider:
        def handle_message(self, body, message):
            raise raised

    consumer._providers_by_key["some_svc.method"] = Provider()
    asked = request(reply_to="r")
    consumer.handle_message({}, asked)
    assert isinstance(deserialize(json.loads(consumer.broker.link.sent[0]["body"])["error"]), told)
    assert consumer.queue_consumer.acknowledged == [asked]


def test_an_unknown_method_is_answered(consumer):
    consumer.handle_message({}, request(key="some_svc.nothing", reply_to="r"))
    assert isinstance(deserialize(json.loads(consumer.broker.link.sent[0]["body"])["error"]), MethodNotFound)


def test_an_expired_request_is_let_go_without_an_answer(consumer):
    class Provider:
        def handle_message(self, body, message):
            raise Expired

    consumer._providers_by_key["some_svc.method"] = Provider()
    consumer.handle_message({}, request(reply_to="r"))
    assert consumer.broker.link.sent == []
    assert len(consumer.queue_consumer.acknowledged) == 1


def test_what_cannot_be_decoded_is_answered(consumer):
    consumer.handle_undecodable(request(reply_to="r"), ValueError("no JSON: hunter2"))
    body = consumer.broker.link.sent[0]["body"]
    assert isinstance(deserialize(json.loads(body)["error"]), MalformedRequest)
    assert "hunter2" not in body
