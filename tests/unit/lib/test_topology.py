"""Queues and exchanges: everything that a handler needs is there before anything is published."""

import pytest
from nameko.events import BROADCAST, SINGLETON
from nameko.events import event_handler as stock_event_handler

from lib import topology
from lib.events import event_handler
from lib.rpc import rpc
from lib.topology import HandlerQueue
from tests.unit.lib.fakes import Channel, Connection

SERVICE = "users_svc"
HANDLERS = [
    HandlerQueue(SERVICE, "auth_svc", "user.registered", "on_registered"),
    HandlerQueue(SERVICE, "auth_svc", "user.deleted", "on_deleted"),
    HandlerQueue(SERVICE, "payments_svc", "payment.created", "on_payment"),
]
CONFIG = {"EVENT_QUEUE_TYPE": "quorum", "EVENT_RETRY_DELAYS": "1,5,0.5", "EVENT_DELIVERY_LIMIT": 7}


class SomeService:
    name = SERVICE

    @event_handler("auth_svc", "user.registered")
    def on_registered(self, event): ...

    @event_handler("auth_svc", "user.deleted")
    @event_handler("payments_svc", "payment.created")
    def on_two(self, event): ...

    @stock_event_handler("auth_svc", "stock")
    def on_stock(self, event): ...

    @stock_event_handler("auth_svc", "everywhere", handler_type=BROADCAST, reliable_delivery=False)
    def on_broadcast(self, event): ...

    @stock_event_handler("auth_svc", "once", handler_type=SINGLETON)
    def on_singleton(self, event): ...

    @rpc
    def no_handler(self): ...

    def nothing(self): ...


@pytest.fixture
def declared():
    connection = Connection()
    names = topology.declare(Channel(connection), SERVICE, HANDLERS, CONFIG)
    return names, connection


def arguments_of(connection):
    return {args[0]: kwargs.get("arguments") or {} for args, kwargs in connection.named("queue_declare")}


def bindings(connection):
    return {(args[0], args[1], args[2] if len(args) > 2 else "") for args, _ in connection.named("queue_bind")}


def test_a_handlers_queue_has_namekos_name():
    assert HANDLERS[0].name == "evt-auth_svc-user.registered--users_svc.on_registered"


def test_every_durable_handler_of_a_class_is_found():
    assert {each.name for each in topology.handlers_of(SomeService)} == {
        "evt-auth_svc-user.registered--users_svc.on_registered",
        "evt-auth_svc-user.deleted--users_svc.on_two",
        "evt-payments_svc-payment.created--users_svc.on_two",
        "evt-auth_svc-stock--users_svc.on_stock",
    }


def test_all_queues_are_declared_and_named(declared):
    names, connection = declared
    assert set(names) == set(arguments_of(connection))
    assert len(names) == len(set(names))
    assert set(names) == {
        "rpc-users_svc",
        "retry-users_svc-1s",
        "retry-users_svc-5s",
        "retry-users_svc-0.5s",
        "dead-users_svc",
        *(each.name for each in HANDLERS),
    }


def test_everything_survives_a_restart_of_the_broker(declared):
    _, connection = declared
    for method in ("exchange_declare", "queue_declare"):
        for args, kwargs in connection.named(method):
            assert kwargs["durable"] is True, args
            assert kwargs["auto_delete"] is False, args


def test_every_exchange_that_is_bound_or_dead_lettered_to_is_declared(declared):
    _, connection = declared
    exchanges = {args[0]: args[1] for args, _ in connection.named("exchange_declare")}
    assert {exchange for _, exchange, _ in bindings(connection)} <= set(exchanges)
    for arguments in arguments_of(connection).values():
        assert arguments.get("x-dead-letter-exchange", "nameko-rpc") in exchanges
    assert exchanges["users_svc.events"] == exchanges["auth_svc.events"] == exchanges["nameko-rpc"] == "topic"


def test_an_event_reaches_its_handler_and_comes_back_to_it_alone_after_a_wait(declared):
    _, connection = declared
    bound = bindings(connection)
    for handler in HANDLERS:
        assert (handler.name, f"{handler.source}.events", handler.event_type) in bound
        assert (handler.name, "redeliver-users_svc", handler.name) in bound
    assert ("rpc-users_svc", "nameko-rpc", "users_svc.*") in bound


@pytest.mark.parametrize(("queue", "milliseconds"), [("1s", 1000), ("5s", 5000), ("0.5s", 500)])
def test_a_retry_queue_waits_and_then_hands_back(declared, queue, milliseconds):
    _, connection = declared
    name = f"retry-users_svc-{queue}"
    arguments = arguments_of(connection)[name]
    assert arguments["x-message-ttl"] == milliseconds
    assert arguments["x-dead-letter-exchange"] == "redeliver-users_svc"
    # The message keeps the handler's queue as its key on the way there and back.
    assert "x-dead-letter-routing-key" not in arguments
    assert (name, name, "") in bindings(connection)


def test_a_handlers_queue_gives_up_what_takes_its_process_down_again_and_again(declared):
    _, connection = declared
    arguments = arguments_of(connection)[HANDLERS[0].name]
    assert arguments == topology.handler_arguments(SERVICE, CONFIG)
    assert arguments["x-delivery-limit"] == 7
    assert arguments["x-dead-letter-exchange"] == "dead-users_svc"
    assert ("dead-users_svc", "dead-users_svc", "") in bindings(connection)


def test_what_moves_on_by_dead_lettering_is_not_lost_on_the_way(declared):
    _, connection = declared
    for name, arguments in arguments_of(connection).items():
        if "x-dead-letter-exchange" in arguments:
            assert arguments["x-dead-letter-strategy"] == "at-least-once", name
            assert arguments["x-overflow"] == "reject-publish", name  # the strategy needs it


def test_classic_queues_get_only_arguments_that_they_know():
    connection = Connection()
    topology.declare(Channel(connection), SERVICE, HANDLERS, {**CONFIG, "EVENT_QUEUE_TYPE": "classic"})
    known = {"x-queue-type", "x-message-ttl", "x-dead-letter-exchange"}
    for arguments in arguments_of(connection).values():
        assert set(arguments) <= known
        assert arguments.get("x-queue-type", "classic") == "classic"


def test_the_dead_letter_queue_keeps_a_message_however_often_it_is_looked_at(declared):
    _, connection = declared
    assert arguments_of(connection)["dead-users_svc"].get("x-delivery-limit") >= 1_000_000


def test_requests_are_never_dead_lettered(declared):
    _, connection = declared
    assert arguments_of(connection)["rpc-users_svc"] == {}


def test_no_handlers_no_queues_for_events():
    connection = Connection()
    assert topology.declare(Channel(connection), SERVICE, [], CONFIG) == ["rpc-users_svc"]
    assert {args[0] for args, _ in connection.named("exchange_declare")} == {"nameko-rpc", "users_svc.events"}


def test_declaring_again_declares_the_same():
    first, second = Connection(), Connection()
    for connection in (first, second):
        topology.declare(Channel(connection), SERVICE, iter(HANDLERS), CONFIG)
    assert first.calls == second.calls


def test_the_exchange_of_requests_can_be_another():
    connection = Connection()
    topology.declare(Channel(connection), SERVICE, [], {**CONFIG, "rpc_exchange": "other"})
    assert ("rpc-users_svc", "other", "users_svc.*") in bindings(connection)


def test_retry_delays_have_a_default():
    assert topology.retry_delays({}) == (1, 5, 30)


def test_the_migration_step_declares_over_a_connection_of_its_own(monkeypatch):
    connection = Connection()
    asked = []

    def connect(uri, **options):
        asked.append(uri)
        return connection

    monkeypatch.setattr(topology, "connect", connect)
    names = topology.declare_service(SomeService, {**CONFIG, "AMQP_URI": "amqp://h/"})
    assert asked == ["amqp://h/"]
    assert "evt-auth_svc-stock--users_svc.on_stock" in names
