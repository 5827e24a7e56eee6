"""Events when things go wrong: a handler that kills its process, order lost, queues that are not as they should be.

Stock Nameko 2.14.1, seen once with a stock service for each: an event whose handler raised was acknowledged and gone; a
message that killed its process killed the next one too, 12 starts of 12, and would have for ever; a queue with other
arguments left the service alive but deaf, with a traceback "Connection to broker lost" each second for as long as
anybody watched (25 s).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import amqp
import pytest
import sqlalchemy as sa

from deploy.local.infra import Infrastructure
from lib.ids import new_id, rfc3339, utc_now
from lib.wire import connect
from tests.integration.lib.conftest import PROBE, Probe
from tests.integration.lib.test_events import cli
from tests.services.probe import standings
from tests.support.stack import Stack
from tests.support.vhosts import Vhost
from tests.support.waiting import eventually, stays

pytestmark = pytest.mark.faults

ON_THING = "evt-source_svc-thing.happened--probe_svc.on_thing"
ON_LETHAL = "evt-source_svc-thing.lethal--probe_svc.on_lethal"
DEAD = "dead-probe_svc"
DELIVERIES = 1 + 5  # the first one, and EVENT_DELIVERY_LIMIT more
BAD_CONFIG = 78


def test_an_event_that_kills_its_process_is_parked_and_the_service_lives(idle_probe: Probe) -> None:
    """Nobody can count in the headers of a message that nobody survives: the broker counts, and parks it."""
    probe = idle_probe
    probe.start()
    purge(probe, DEAD)
    try:
        lethal = probe.emit("thing.lethal")
        harmless = probe.emit("thing.happened")
        deaths = 0
        while deaths <= DELIVERIES:
            eventually(lambda: not probe.stack.running(PROBE) or probe.depth(DEAD) == 1, within=20)
            if probe.stack.running(PROBE):
                break
            assert probe.stack.wait_end(PROBE) == -9
            deaths += 1
            probe.stack.start(PROBE, wait=False, HTTP_PORT="0")  # as a supervisor would
        assert deaths == DELIVERIES == len(probe.effects(f"attempt {lethal}"))
        assert probe.depth(ON_LETHAL) == 0

        listed = cli(probe, "dead-letters", "list")
        parked: dict[str, Any] = json.loads(listed.stdout)
        assert (parked["id"], parked["queue"], parked["error_type"]) == (lethal, ON_LETHAL, "delivery_limit")

        # What came with it has happened, once, and what comes after it does.
        after = probe.emit("thing.happened")
        for event_id in (harmless, after):
            eventually(lambda event_id=event_id: len(probe.effects(f"%on_thing {event_id}")) == 2)
        stays(lambda: probe.stack.running(PROBE), during=1.0)
    finally:
        purge(probe, ON_LETHAL)
        purge(probe, DEAD)


def test_a_late_event_of_an_older_state_changes_nothing(probe: Probe) -> None:
    """Our own retries lose the order: ``user.disabled`` fails, ``user.enabled`` overtakes it.

    Stock Nameko has no retry and no ``sequence``; its handler of the late event had the last word: disabled.
    """
    subject = str(new_id())
    disabled = publish(probe, "user.disabled", subject, 2, late=True)
    eventually(lambda: probe.effects(f"early {disabled}"))
    enabled = publish(probe, "user.enabled", subject, 3)
    eventually(lambda: probe.effects(f"followed {disabled}"))
    assert probe.effects("followed %") == [f"followed {enabled}", f"followed {disabled}"]
    assert standing_of(probe, subject) == (True, 3)
    assert probe.depth(DEAD) == 0


def test_duplicates_in_any_order_end_in_the_newest_state(probe: Probe) -> None:
    subject = str(new_id())
    for type_, sequence in (("user.enabled", 3), ("user.disabled", 2), ("user.enabled", 3), ("user.disabled", 2)):
        event_id = publish(probe, type_, subject, sequence)
        eventually(lambda event_id=event_id: probe.effects(f"followed {event_id}"))
        assert standing_of(probe, subject) == (True, 3)
    publish(probe, "user.disabled", subject, 4, copies=3)
    eventually(lambda: standing_of(probe, subject) == (False, 4))


def publish(probe: Probe, type_: str, subject: str, sequence: int, *, copies: int = 1, **data: Any) -> str:
    event_id = str(new_id())
    envelope = {
        "id": event_id,
        "type": type_,
        "schema_version": 1,
        "occurred_at": rfc3339(utc_now()),
        "subject": subject,
        "sequence": sequence,
        "correlation_id": f"corr-{event_id}",
        "data": data,
    }
    probe.publish("source_svc.events", type_, envelope, copies=copies)
    return event_id


def standing_of(probe: Probe, subject: str) -> tuple[bool, int] | None:
    with probe.engine.connect() as connection:
        query = sa.select(standings.c.enabled, standings.c.sequence).where(standings.c.subject == subject)
        row = connection.execute(query).one_or_none()
        return None if row is None else (row.enabled, row.sequence)


# --- queues with other arguments, each in a broker of its own -------------------------------------------------------


@pytest.fixture(scope="module")
def elsewhere(
    infrastructure: Infrastructure, shared_probe: Probe, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Probe]:
    """The probe on a virtual host of its own, where queues may be spoilt."""
    vhost = Vhost(infrastructure, "elsewhere")
    vhost.make()
    stack = Stack({**shared_probe.stack.environment, "AMQP_URI": vhost.uri}, tmp_path_factory.mktemp("elsewhere"))
    yield Probe(stack, {**shared_probe.config, "AMQP_URI": vhost.uri}, shared_probe.engine)
    stack.stop()
    vhost.remove()


@pytest.fixture
def process(elsewhere: Probe) -> Iterator[Probe]:
    """Not running; the queues that a test has spoilt are gone after it."""
    elsewhere.stack.log_file(PROBE).write_text("")
    yield elsewhere
    elsewhere.stop()
    with connect(elsewhere.config["AMQP_URI"], name="test", heartbeat=10) as connection:
        for queue in ("rpc-probe_svc", ON_THING, DEAD, "retry-probe_svc-0.2s"):
            connection.channel().queue_delete(queue)


def declare_otherwise(probe: Probe, queue: str, *, instead: bool = False) -> None:
    """Make the queue with arguments that no version of ours has declared."""
    with connect(probe.config["AMQP_URI"], name="test", heartbeat=10) as connection:
        channel: amqp.Channel = connection.channel()
        if instead:
            channel.queue_delete(queue)
        channel.queue_declare(queue, durable=True, auto_delete=False, arguments={"x-max-length": 7})


def check_it_ended_clearly(probe: Probe, queue: str) -> None:
    """One line for the operator, which names the queue and what to do, and an exit code for the supervisor."""
    assert probe.stack.wait_end(PROBE, within=15) == BAD_CONFIG
    lines = [line for line in probe.stack.log(PROBE).splitlines() if line.startswith("error:")]
    assert len(lines) == 1, probe.stack.log(PROBE)
    assert f"'{queue}'" in lines[0]
    assert "inequivalent arg" in lines[0]
    assert "delete or rename" in lines[0]


@pytest.mark.parametrize("queue", [ON_THING, DEAD, "rpc-probe_svc"])
def test_a_queue_with_other_arguments_is_one_clear_error(process: Probe, queue: str) -> None:
    declare_otherwise(process, queue)
    process.stack.start(PROBE, wait=False, HTTP_PORT="0")
    check_it_ended_clearly(process, queue)
    assert "Traceback" not in process.stack.log(PROBE)
    asked = cli(process, "declare-topology")
    assert asked.returncode != 0
    assert (asked.stderr.count("error:"), asked.stderr.count("\n")) == (1, 1), asked.stderr
    assert queue in asked.stderr


@pytest.mark.parametrize("queue", [ON_THING, "rpc-probe_svc"])
def test_a_queue_that_is_replaced_under_a_running_service_is_one_clear_error(process: Probe, queue: str) -> None:
    process.start()
    declare_otherwise(process, queue, instead=True)
    check_it_ended_clearly(process, queue)


@pytest.mark.parametrize("queue", [DEAD, "retry-probe_svc-0.2s"])
def test_a_queue_behind_the_handlers_that_is_replaced_ends_the_service_at_its_next_connection(
    process: Probe, infrastructure: Infrastructure, queue: str
) -> None:
    """Or it would run calls over one connection, and try for ever to get another one for the answers."""
    process.start()
    declare_otherwise(process, queue, instead=True)
    infrastructure.rabbitmq.ctl("close_all_connections", "-p", "elsewhere", "test")
    check_it_ended_clearly(process, queue)


def test_a_failing_event_survives_that_the_queues_behind_its_handler_were_deleted(process: Probe) -> None:
    process.start()
    with connect(process.config["AMQP_URI"], name="test", heartbeat=10) as connection:
        for queue in (DEAD, "retry-probe_svc-0.2s"):
            connection.channel().queue_delete(queue)
    recovers, parked = process.emit("thing.failed", fails=1), process.emit("thing.failed", fails=9)
    eventually(lambda: process.effects(f"on_failed {recovers}"))
    eventually(lambda: process.depth(DEAD) == 1, within=20)
    assert len(process.effects(f"attempt {parked}")) == 4


def test_a_queue_that_is_deleted_under_a_running_service_is_made_again(process: Probe) -> None:
    process.start()
    # The sending connection declares the queues when it comes up, and that should not fall into the deletion: RabbitMQ
    # 3.10 may then tell the consumer nothing, and the messages that it is sent are lost on the way.
    eventually(lambda: ": connected" in process.stack.log(PROBE))
    with connect(process.config["AMQP_URI"], name="test", heartbeat=10) as connection:
        connection.channel().queue_delete(ON_THING)
    check_it_hears(process)


def check_it_hears(probe: Probe) -> None:
    sent: list[str] = []

    def handled() -> bool:
        # Published again and again, because what comes before the queue is there finds nobody.
        sent.append(f"on_thing {probe.emit('thing.happened')}")
        return not set(sent).isdisjoint(probe.effects("on_thing %"))

    eventually(handled, every=0.3)


def purge(probe: Probe, queue: str) -> None:
    with connect(probe.config["AMQP_URI"], name="test", heartbeat=10) as connection:
        connection.channel().queue_purge(queue)
