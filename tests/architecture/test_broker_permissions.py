"""Each process has an AMQP user of its own in the compose file: it can do its work, and not another's.

`Broker` decides as RabbitMQ does (its page "Access Control"); what the services and the gateway declare is recorded
from their own code, so a new handler or queue that the permissions do not cover fails here.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lib import topology
from lib.rpc_client import RpcClient
from lib.services import service_class

ROOT = Path(__file__).resolve().parents[2]
DEFINITIONS = json.loads((ROOT / "deploy/docker/rabbitmq/definitions.json").read_text(encoding="utf-8"))
SERVICES = ("auth_svc", "users_svc", "payments_svc")
CONFIG = {"EVENT_RETRY_DELAYS": "0.5,1,30", "EVENT_QUEUE_TYPE": "quorum"}


class Refused(Exception):
    """What RabbitMQ answers with 403."""


class Broker:
    """An AMQP channel of one user that only looks at permissions."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.names: set[str] = set()

    def need(self, right: str, name: str) -> None:
        # The nameless default exchange has a name for this purpose.
        name = name or "amq.default"
        rules = [each[right] for each in DEFINITIONS["permissions"] if each["user"] == self.user]
        if not any(re.search(rule, name) for rule in rules):
            raise Refused(f"{self.user} has no {right} on {name}")
        self.names.add(name)

    def need_topic(self, right: str, exchange: str, key: str) -> None:
        for rule in DEFINITIONS["topic_permissions"]:
            if (rule["user"], rule["exchange"]) == (self.user, exchange) and not re.search(rule[right], key):
                raise Refused(f"{self.user} has no {right} on topic {key} of {exchange}")

    # --- as amqp.Channel ---

    def exchange_declare(self, exchange: str, *_arguments: Any, **_options: Any) -> None:
        self.need("configure", exchange)

    def queue_declare(self, queue: str, passive: bool = False, arguments: Any = None, **_options: Any) -> Any:
        if not passive:
            self.need("configure", queue)
            if arguments and "x-dead-letter-exchange" in arguments:
                self.need("read", queue)
                self.need("write", arguments["x-dead-letter-exchange"])
        return type("Declared", (), {"consumer_count": 1})

    def queue_bind(self, queue: str, exchange: str, routing_key: str = "") -> None:
        self.need("write", queue)
        self.need("read", exchange)
        self.need_topic("read", exchange, routing_key)

    def basic_consume(self, queue: str, **_options: Any) -> None:
        self.need("read", queue)

    def basic_publish(self, exchange: str, routing_key: str) -> None:
        self.need("write", exchange)
        self.need_topic("write", exchange, routing_key)

    def queue_delete(self, queue: str) -> None:
        self.need("configure", queue)

    # --- as amqp.Connection ---

    def channel(self) -> Broker:
        return self


class Link:
    """As much of a link as an RPC client needs to declare its queue."""

    def add(self, listener: Any) -> None:
        self.listener = listener


def splits(rule: str) -> bool:
    """Tell whether a rule has alternatives outside parentheses, whose anchors then hold for one of them each."""
    depth = 0
    for character in rule:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and not depth:
            return True
    return False


def test_there_is_one_user_per_process():
    users = {each["name"]: each for each in DEFINITIONS["users"]}

    assert set(users) == {"${BROKER_OPERATOR}", "gateway", *SERVICES}
    assert {each["user"] for each in DEFINITIONS["permissions"]} == set(users)
    assert {name for name, user in users.items() if user["tags"]} == {"${BROKER_OPERATOR}"}


def test_the_operator_may_do_everything():
    (rule,) = [each for each in DEFINITIONS["permissions"] if each["user"] == "${BROKER_OPERATOR}"]

    assert {rule[right] for right in ("configure", "write", "read")} == {".*"}


def test_every_rule_covers_whole_names():
    rules = [
        each[right]
        for kind in ("permissions", "topic_permissions")
        for each in DEFINITIONS[kind]
        for right in ("configure", "write", "read")
        if each.get(right) and each["user"] != "${BROKER_OPERATOR}"
    ]

    assert [rule for rule in rules if not (rule.startswith("^") and rule.endswith("$")) or splits(rule)] == []


@pytest.mark.parametrize(
    "rule, expected", [("^a|b$", True), ("^(a|b)$", False), ("^(a|b)c$", False), ("^(a)|b$", True)]
)
def test_a_rule_of_two_halves_is_found(rule, expected):
    assert splits(rule) is expected


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_can_declare_and_use_its_queues(service):
    broker = Broker(service)
    handlers = topology.handlers_of(service_class(service))

    queues = topology.declare(broker, service, handlers, CONFIG)

    for queue in queues:
        broker.basic_consume(queue)
    for handler in handlers:
        for exchange in (topology.retry_queue(service, 30), topology.dead_queue(service)):
            broker.basic_publish(exchange, handler.name)
        broker.basic_publish(topology.redeliver_exchange(service), handler.name)
    broker.basic_publish(topology.event_exchange(service), "something.happened")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_can_handle_events_of_every_service(service):
    handlers = [topology.HandlerQueue(service, source, "thing.past_due", "on_thing_2") for source in SERVICES]

    topology.declare(Broker(service), service, handlers, CONFIG)


@pytest.mark.parametrize("user", [*SERVICES, "gateway"])
def test_a_caller_can_declare_its_reply_queue_and_call(user):
    link = Link()
    RpcClient({}, link, name=user, services=SERVICES)
    broker = Broker(user)

    link.listener.link_up(broker)

    for service in SERVICES:
        broker.basic_publish("nameko-rpc", f"{service}.some_method")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("reply_to", ["0a1b2c3d", "2f1c3f0e-6a1b-4a51-9a52-0c8a3f9f4d11"])
def test_a_service_can_answer(service, reply_to):
    """Reply keys of our callers, and of Nameko's own."""
    Broker(service).basic_publish("nameko-rpc", reply_to)


@pytest.mark.parametrize("service", SERVICES)
def test_stock_reply_queues_are_allowed(service):
    queue = f"rpc.reply-{service}-2f1c3f0e-6a1b-4a51-9a52-0c8a3f9f4d11"
    broker = Broker(service)

    broker.queue_declare(queue)
    broker.queue_bind(queue, "nameko-rpc", "2f1c3f0e-6a1b-4a51-9a52-0c8a3f9f4d11")


@pytest.mark.parametrize(
    "source, key",
    [("auth_svc", "session.revoked"), ("auth_svc", "user.disabled"), ("users_svc", "notification.created")],
)
def test_the_gateway_can_listen_to_what_it_follows(source, key):
    broker = Broker("gateway")
    queue = f"evt-{source}-{key}--gateway-host-1a2b"

    broker.queue_declare(queue)
    broker.queue_bind(queue, f"{source}.events", key)
    broker.basic_consume(queue)


OTHERS = [(service, other) for service in SERVICES for other in SERVICES if other != service]


@pytest.mark.parametrize("service, other", OTHERS)
def test_a_service_cannot_touch_the_queues_of_another(service, other):
    broker = Broker(service)
    source = "auth_svc"
    for name in (
        f"rpc-{other}",
        f"rpc.reply-{other}-host-0a1b2c3d",
        f"evt-{source}-user.registered--{other}.on_user_registered",
        f"retry-{other}-5s",
        f"redeliver-{other}",
        f"dead-{other}",
    ):
        for right in ("configure", "write", "read"):
            with pytest.raises(Refused):
                broker.need(right, name)


@pytest.mark.parametrize("service, other", OTHERS)
def test_a_service_cannot_publish_events_of_another(service, other):
    with pytest.raises(Refused):
        Broker(service).basic_publish(f"{other}.events", "user.registered")


@pytest.mark.parametrize("service, other", OTHERS)
@pytest.mark.parametrize("key", ["#", "*.*", "*", "{other}.*", "{other}.login"])
def test_a_service_cannot_read_the_requests_of_another(service, other, key):
    """With a queue of its own, bound to the exchange that all requests go through."""
    with pytest.raises(Refused):
        Broker(service).queue_bind(f"rpc-{service}", "nameko-rpc", key.format(other=other))


@pytest.mark.parametrize("user", [*SERVICES, "gateway"])
def test_nobody_can_reach_queues_past_their_exchange(user):
    with pytest.raises(Refused):
        Broker(user).basic_publish("", "rpc-auth_svc")


@pytest.mark.parametrize(
    "attempt",
    [
        lambda broker: broker.basic_publish("auth_svc.events", "user.registered"),
        lambda broker: broker.basic_publish("nameko-rpc", "0a1b2c3d"),
        lambda broker: broker.basic_publish("dead-users_svc", "x"),
        lambda broker: broker.basic_consume("rpc-auth_svc"),
        lambda broker: broker.queue_declare("rpc-auth_svc"),
        lambda broker: broker.queue_delete("dead-payments_svc"),
        lambda broker: broker.queue_bind("rpc.reply-gateway-host-0a1b2c3d", "nameko-rpc", "#"),
        lambda broker: broker.queue_bind("rpc.reply-gateway-host-0a1b2c3d", "nameko-rpc", "auth_svc.*"),
        lambda broker: broker.queue_bind("rpc.reply-gateway-host-0a1b2c3d", "users_svc.events", "#"),
        lambda broker: broker.queue_bind(
            "evt-users_svc-notification.created--gateway-host-1a2b", "users_svc.events", "user.profile.updated"
        ),
        lambda broker: broker.basic_publish("users_svc.events", "notification.created"),
        lambda broker: broker.queue_declare("rpc.reply-users_svc-host-0a1b2c3d"),
    ],
    ids=[
        "forge an event", "forge a reply", "fill a dead-letter queue", "take requests", "own a request queue",
        "delete a dead-letter queue", "copy all messages", "copy requests", "read profiles",
        "read what profiles become", "wake its own streams", "take a service's replies",
    ],
)  # fmt: skip
def test_the_gateway_cannot(attempt):
    with pytest.raises(Refused):
        attempt(Broker("gateway"))


@pytest.mark.parametrize("name", ["xrpc-auth_svc", "rpc-auth_svc2", "rpc-auth_svc.x", "amq.topic", "some-queue"])
def test_names_that_only_resemble_are_refused(name):
    with pytest.raises(Refused):
        Broker("auth_svc").need("configure", name)
