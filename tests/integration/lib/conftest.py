"""A probe service on the private broker: what `lib` promises is tested on it, free of any business."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import amqp
import pytest
import sqlalchemy as sa

from lib import config as configuration
from lib import topology
from lib.cluster import Cluster
from lib.context import ANONYMOUS, CallContext
from lib.ids import new_id, rfc3339, utc_now
from lib.wire import connect
from tests.conftest import ROOT
from tests.services import probe as probe_module
from tests.support import databases
from tests.support.stack import Stack
from tests.support.waiting import eventually

PROBE = "tests.services.probe"


class Probe:
    """The probe service's processes, and every way to talk to it."""

    def __init__(self, stack: Stack, config: dict[str, Any], engine: sa.Engine) -> None:
        self.stack = stack
        self.config = config
        self.engine = engine

    def start(self, name: str = PROBE, **environment: str) -> None:
        """Start an instance, unless it is running; return when it takes calls."""
        if self.stack.running(name):
            return
        already = self.stack.log(name).count(" is ready")
        self.stack.start(name, wait=False, HTTP_PORT="0", **environment)
        eventually(lambda: self._ready(name, already), within=20)

    def stop(self) -> None:
        self.stack.stop()

    def _ready(self, name: str, already: int) -> bool:
        log = self.stack.log(name)
        if not self.stack.running(name):
            raise RuntimeError(f"{name} ended: {log[-3000:]}")
        return log.count(" is ready") > already

    def effects(self, like: str = "%") -> list[str]:
        with self.engine.connect() as connection:
            return list(
                connection.scalars(
                    sa.select(probe_module.effects.c.name)
                    .where(probe_module.effects.c.name.like(like))
                    .order_by(probe_module.effects.c.id)
                )
            )

    def effect(self, name: str) -> None:
        """Write an effect as the service does, for those who wait for one."""
        with self.engine.begin() as connection:
            connection.execute(probe_module.effects.insert().values(name=name))

    def publish(
        self, exchange: str, routing_key: str, body: Any, *, raw: bool = False, copies: int = 1, **properties: Any
    ) -> None:
        """Put a message into the broker as anybody could."""
        payload = body if raw else json.dumps(body)
        properties = {"content_type": "application/json", "content_encoding": "utf-8", **properties}
        with connect(self.config["AMQP_URI"], name="test", heartbeat=10, confirm_publish=True) as connection:
            channel = connection.channel()
            for _ in range(copies):
                channel.basic_publish_confirm(
                    amqp.Message(payload, delivery_mode=2, **properties), exchange=exchange, routing_key=routing_key
                )

    def emit(self, type_: str, *, copies: int = 1, **data: Any) -> str:
        """Publish an event of ``source_svc`` and return its id."""
        event_id = str(new_id())
        self.publish(
            "source_svc.events",
            type_,
            {
                "id": event_id,
                "type": type_,
                "schema_version": 1,
                "occurred_at": rfc3339(utc_now()),
                "subject": "s",
                "sequence": 1,
                "correlation_id": f"corr-{event_id}",
                "data": data,
            },
            copies=copies,
        )
        return event_id

    def depth(self, queue: str) -> int:
        with connect(self.config["AMQP_URI"], name="test", heartbeat=10) as connection:
            return int(connection.channel().queue_declare(queue, passive=True).message_count)


@pytest.fixture(scope="session")
def probe_environment(
    migrated: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dict[str, str], sa.Engine]]:
    superuser = migrated["POSTGRES_SUPERUSER_URL"]
    url = databases.on_database(superuser, "probe")
    engine = databases.admin(superuser)
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE probe"))
    probe_engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    # The only place without migrations: these tables are nobody's product.
    probe_module.metadata.create_all(probe_engine)
    path: Path = tmp_path_factory.mktemp("probe") / "config.yaml"
    text = (ROOT / "config.yaml").read_text()
    path.write_text(text.replace("DB_URIS:\n", f'DB_URIS:\n  "probe_svc:Base": "{url}"\n', 1))
    yield {**migrated, "CONFIG_PATH": str(path)}, probe_engine
    engine.dispose()


@pytest.fixture(scope="session")
def shared_probe(
    probe_environment: tuple[dict[str, str], sa.Engine], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Probe]:
    environment, engine = probe_environment
    stack = Stack(environment, tmp_path_factory.mktemp("probe-logs"))
    yield Probe(stack, configuration.load(environment["CONFIG_PATH"], environ=dict(environment)), engine)
    stack.stop()


@pytest.fixture
def idle_probe(shared_probe: Probe) -> Iterator[Probe]:
    """Not running, no effect: whoever takes this one starts it as it likes."""
    shared_probe.stop()
    _clean(shared_probe)
    yield shared_probe
    shared_probe.stop()


@pytest.fixture
def probe(shared_probe: Probe) -> Probe:
    """Running, with no effect and nothing parked."""
    shared_probe.start()
    _clean(shared_probe)
    with connect(shared_probe.config["AMQP_URI"], name="test", heartbeat=10) as connection:
        connection.channel().queue_purge("dead-probe_svc")
    return shared_probe


def _clean(probe: Probe) -> None:
    with probe.engine.begin() as connection:
        connection.execute(probe_module.effects.delete())
        connection.execute(probe_module.shelves.delete())
        connection.execute(probe_module.shelves.insert(), [{"name": each} for each in "abcd"])


def delete_queues(config: dict[str, Any]) -> None:
    """Make the broker forget the probe.

    Not right after a restart of the broker: RabbitMQ 3.10 then loses the supervisor of its dead-letter workers.
    """
    with connect(config["AMQP_URI"], name="test", heartbeat=10) as connection:
        names = topology.declare(
            connection.channel(), "probe_svc", topology.handlers_of(probe_module.ProbeService), config
        )
        for name in names:
            connection.channel().queue_delete(name)


@pytest.fixture(scope="session")
def cluster(shared_probe: Probe) -> Iterator[Cluster]:
    cluster = Cluster(shared_probe.config, name="test", services=["probe_svc"])
    cluster.start()
    assert cluster.wait_up(10)
    yield cluster
    cluster.stop()


@pytest.fixture
def call(cluster: Cluster) -> Callable[..., Any]:
    """The services, as a fresh anonymous request sees them: ``call(timeout=…).probe_svc.echo(1)``.

    Instances are counted twice a second; a test that has just started one waits here until it is seen.
    """

    def view(*, timeout: float = 5.0, wait: bool = True, **context: Any) -> Any:
        if wait:
            eventually(lambda: cluster.consumers("probe_svc"))
        values = {"actor": ANONYMOUS, **context}
        return cluster.view(CallContext(values.pop("correlation_id", secrets.token_hex(4)), **values), timeout=timeout)

    return view
