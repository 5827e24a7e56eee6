"""Stock Nameko on the other side: clients, shell, services and events, in both directions, none of them modified.

There is nothing to be red with stock here: stock is what these tests talk to.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from nameko.exceptions import MethodNotFound, RemoteError, RpcTimeout, UnknownService
from nameko.standalone.events import event_dispatcher
from nameko.standalone.rpc import ClusterRpcProxy, ServiceRpcProxy

from lib import outbox
from lib.aggregate import Aggregate
from lib.cluster import Cluster
from lib.faults import Fault
from lib.ids import new_id
from tests.conftest import ROOT
from tests.integration.lib.conftest import Probe
from tests.services import probe as probe_module
from tests.support.nameko_run import NAMEKO, NamekoRun, shell
from tests.support.waiting import eventually

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def stock(shared_probe: Probe, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamekoRun]:
    process = NamekoRun(
        "tests.services.stock",
        amqp_uri=shared_probe.config["AMQP_URI"],
        environment=shared_probe.stack.environment,
        folder=tmp_path_factory.mktemp("stock"),
    )
    process.start()
    eventually(lambda: cluster.consumers("stock_svc"), within=20)
    yield process
    process.kill()


@pytest.fixture
def stock_proxy(probe: Probe) -> Iterator[Any]:
    """What ``with ClusterRpcProxy(config)`` gives, with nothing but the broker's address."""
    with ClusterRpcProxy({"AMQP_URI": probe.config["AMQP_URI"]}, timeout=5) as rpc:
        yield rpc


# --- stock Nameko starting ours ---


def test_nameko_run_starts_our_service(idle_probe: Probe, call: Call, cluster: Cluster, tmp_path: Path) -> None:
    """``nameko run --config config.yaml <module>``, as its documentation says; our runner adds a drain's cap to it."""
    with (tmp_path / "run.log").open("wb") as log:
        process = subprocess.Popen(
            [NAMEKO, "run", "--config", idle_probe.stack.environment["CONFIG_PATH"], "tests.services.probe"],
            cwd=ROOT,
            env={**idle_probe.stack.environment, "HTTP_PORT": "0"},
            stdout=log,
            stderr=log,
        )
    try:
        eventually(lambda: cluster.consumers("probe_svc"), within=20)
        assert call().probe_svc.write("by nameko run") == "by nameko run"
        event_id = idle_probe.emit("thing.happened")
        eventually(lambda: len(idle_probe.effects(f"%{event_id}")) == 2)
    finally:
        process.terminate()
        assert process.wait(20) == 0


# --- stock clients calling ours ---


def test_a_stock_client_gets_results_and_typed_errors(stock_proxy: Any) -> None:
    assert stock_proxy.probe_svc.echo(value={"a": [1, None, "ü"]}) == {"a": [1, None, "ü"]}
    assert stock_proxy["probe_svc"].echo("by position") == "by position"
    replies = [stock_proxy.probe_svc.echo.call_async(number) for number in range(20)]
    assert [each.result() for each in replies] == list(range(20))
    # This process knows our class of refusals; one that does not is shown below.
    with pytest.raises(Fault) as refused:
        stock_proxy.probe_svc.refuse()
    assert (refused.value.code, refused.value.details) == ("taken", {"field": "name"})
    with pytest.raises(Fault, match="internal_error"):
        stock_proxy.probe_svc.crash()
    with pytest.raises(MethodNotFound, match="no_such_method"):
        stock_proxy.probe_svc.no_such_method()
    with pytest.raises(RemoteError, match="UnserializableValueError"):
        stock_proxy.probe_svc.unserializable()
    with pytest.raises(UnknownService):
        stock_proxy.nobody_svc.anything()


def test_a_stock_client_is_the_system_and_carries_its_context(probe: Probe) -> None:
    config = {"AMQP_URI": probe.config["AMQP_URI"]}
    with ServiceRpcProxy("probe_svc", config, timeout=5) as svc:
        assert svc.for_operators() == "ok"
    with (
        ClusterRpcProxy(config, context_data={"access_token": "made.up.token"}, timeout=5) as rpc,
        pytest.raises(Fault, match="invalid_token"),
    ):
        rpc.probe_svc.echo(1)
    with ClusterRpcProxy(config, context_data={"correlation_id": "told-by-stock"}, timeout=5) as rpc:
        rpc.probe_svc.echo(1)
    eventually(lambda: "told-by-stock" in probe.stack.logs())


def test_a_stock_client_that_timed_out_goes_on(probe: Probe) -> None:
    with ClusterRpcProxy({"AMQP_URI": probe.config["AMQP_URI"]}, timeout=0.3) as rpc:
        with pytest.raises(RpcTimeout):
            rpc.probe_svc.sleep(1)
        assert rpc.probe_svc.echo("after") == "after"


def test_nameko_shell_calls_our_service(probe: Probe) -> None:
    said = shell(
        probe.stack.environment["CONFIG_PATH"],
        probe.stack.environment,
        "print(n.rpc.probe_svc.echo('typed by hand'))",
        "n.rpc.probe_svc.refuse()",
    )
    assert "typed by hand" in said
    assert "taken" in said


# --- services ---


def test_a_stock_service_calls_ours(stock: NamekoRun, probe: Probe, stock_proxy: Any) -> None:
    ask = stock_proxy.stock_svc.ask_probe
    assert ask("echo", {"deep": [1, {"er": None}]}) == {"result": {"deep": [1, {"er": None}]}}
    assert ask("echo", value="by name") == {"result": "by name"}
    # A process that has never imported `lib` sees our refusals as Nameko's RemoteError.
    refused = ask("refuse")
    assert refused["error"] == "Fault"
    assert "somebody has it" in refused["value"]
    assert ask("no_such_method")["error"] == "MethodNotFound"
    assert ask("echo", 1, 2, 3)["error"] == "IncorrectSignature"
    assert ask("unserializable")["error"] == "UnserializableValueError"
    crashed = ask("crash")
    assert "internal_error" in crashed["value"]
    assert "hunter2" not in crashed["value"]


def test_ours_calls_a_stock_service(stock: NamekoRun, probe: Probe, call: Call, cluster: Cluster) -> None:
    # From the gateway's proxy …
    svc = call().stock_svc
    assert svc.echo({"a": [1]}) == {"a": [1]}
    with pytest.raises(RemoteError, match="ValueError stock says no"):
        svc.fail()
    with pytest.raises(MethodNotFound):
        svc.no_such_method()
    with pytest.raises(RemoteError, match="UnserializableValueError"):
        svc.unserializable()
    with pytest.raises(RpcTimeout):
        call(timeout=0.2).stock_svc.sleep(0.5)
    replies = [svc.echo.call_async(number) for number in range(100)]
    assert [each.result() for each in replies] == list(range(100))
    assert cluster.in_flight == 0
    # … and from one of our services, which tells nobody what went wrong in another house.
    assert call().probe_svc.ask("stock", "echo", "through ours") == "through ours"
    with pytest.raises(Fault, match="internal_error") as caught:
        call().probe_svc.ask("stock", "fail")
    assert "stock says no" not in str(caught.value.args)


def test_calls_go_round_in_both_kinds(stock: NamekoRun, probe: Probe, call: Call) -> None:
    """Gateway → ours → stock → ours."""
    assert call().probe_svc.ask("stock", "ask_probe", "echo", "all the way") == {"result": "all the way"}


# --- events ---


def _envelope(**data: Any) -> dict[str, Any]:
    return {"id": str(new_id()), "type": "thing.happened", "schema_version": 1, "subject": "s", "sequence": 1, **data}


def test_a_stock_dispatchers_event_reaches_our_handlers(probe: Probe) -> None:
    event = _envelope()
    event_dispatcher({"AMQP_URI": probe.config["AMQP_URI"]})("source_svc", "thing.happened", event)
    eventually(
        lambda: sorted(probe.effects(f"%{event['id']}")) == [f"also_on_thing {event['id']}", f"on_thing {event['id']}"]
    )


@dataclass(frozen=True)
class ThingWritten:
    type: ClassVar[str] = "thing.written"
    schema_version: ClassVar[int] = 1
    text: str


class Thing(Aggregate):
    def __init__(self) -> None:
        self.id = new_id()
        self.sequence = 0


def test_an_event_from_our_outbox_reaches_a_stock_handler(stock: NamekoRun, probe: Probe, stock_proxy: Any) -> None:
    thing = Thing()
    thing.record(ThingWritten("one"))
    thing.record(ThingWritten("two"))
    rows = outbox.rows_of(thing)
    with probe.engine.begin() as connection:
        connection.execute(sa.insert(probe_module.outbox_table), rows)

    def seen() -> list[SimpleNamespace]:
        events = [SimpleNamespace(**each) for each in stock_proxy.stock_svc.seen()]
        return [each for each in events if each.subject == str(thing.id)]

    eventually(lambda: len(seen()) == 2)
    assert sorted((each.sequence, each.type, each.data["text"]) for each in seen()) == [
        (1, "thing.written", "one"),
        (2, "thing.written", "two"),
    ]
    eventually(lambda: not _unsent(probe))


def _unsent(probe: Probe) -> bool:
    table = probe_module.outbox_table
    with probe.engine.connect() as connection:
        return bool(connection.scalar(sa.select(sa.func.count()).where(table.c.sent_at.is_(None))))
