"""RPC: typed refusals, deadlines, policies, and nothing that a message can do to a service."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from nameko.exceptions import IncorrectSignature, MethodNotFound, RemoteError, RpcTimeout
from nameko.standalone.rpc import ClusterRpcProxy

from lib.cluster import Cluster
from lib.context import SYSTEM
from lib.faults import Fault
from lib.rpc_client import ServiceUnavailable
from tests.integration.lib.conftest import PROBE, Probe
from tests.support.waiting import eventually, stays

Call = Callable[..., Any]


def test_a_domain_error_arrives_with_kind_code_and_details(probe: Probe, call: Call) -> None:
    with pytest.raises(Fault) as caught:
        call().probe_svc.refuse()
    assert (caught.value.kind, caught.value.code, caught.value.details) == ("conflict", "taken", {"field": "name"})


def test_an_unexpected_error_tells_the_caller_an_id_and_the_log_the_rest(probe: Probe, call: Call) -> None:
    with pytest.raises(Fault) as caught:
        call().probe_svc.crash()
    assert caught.value.code == "internal_error"
    assert "hunter2" not in str(caught.value.args)
    log = probe.stack.log(PROBE)
    assert caught.value.details["error_id"] in log
    assert "hunter2" not in log


@pytest.mark.parametrize(
    ("invoke", "error"),
    [
        (lambda svc: svc.no_such_method(), MethodNotFound),
        (lambda svc: svc.echo(1, 2, 3), IncorrectSignature),
        (lambda svc: svc.unserializable(), RemoteError),
    ],
    ids=["unknown method", "wrong arguments", "unserializable result"],
)
def test_a_bad_call_is_answered_and_the_service_goes_on(
    probe: Probe, call: Call, invoke: Callable[[Any], Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        invoke(call().probe_svc)
    assert call().probe_svc.echo("still here") == "still here"


def test_the_default_policy_lets_operators_in_and_nobody_else(probe: Probe, call: Call) -> None:
    with pytest.raises(Fault, match="forbidden"):
        call().probe_svc.for_operators()
    assert call(actor=SYSTEM).probe_svc.for_operators() == "ok"


def test_a_token_that_cannot_be_checked_is_refused(probe: Probe, call: Call) -> None:
    with pytest.raises(Fault, match="invalid_token"):
        call(access_token="made.up.token").probe_svc.mine("u")
    with pytest.raises(Fault, match="unauthenticated"):
        call().probe_svc.mine("u")


def test_the_deadline_is_a_wall_of_real_time(probe: Probe, call: Call, cluster: Cluster) -> None:
    with ThreadPoolExecutor(1) as pool:
        # Replies to others on the same connection do not extend it.
        chatter = pool.submit(lambda: [call().probe_svc.echo(i) for i in range(300)])
        started = time.monotonic()
        with pytest.raises(RpcTimeout):
            call(timeout=0.4).probe_svc.write("slow", seconds=1.5)
        assert 0.3 < time.monotonic() - started < 0.9
        chatter.result()
    assert cluster.in_flight == 0


def test_a_call_whose_caller_has_gone_is_not_executed_later(probe: Probe, call: Call) -> None:
    late = call(timeout=0.3)
    probe.stop()
    with pytest.raises((ServiceUnavailable, RpcTimeout)):
        late.probe_svc.write("too late")
    probe.start()
    assert call().probe_svc.echo(1) == 1
    stays(lambda: probe.effects("too late") == [], during=0.5)


def test_no_instance_means_unavailable_at_once_although_the_queue_is_there(
    probe: Probe, call: Call, cluster: Cluster
) -> None:
    assert call().probe_svc.echo(1) == 1
    probe.stack.kill(PROBE)
    eventually(lambda: cluster.consumers("probe_svc") == 0, within=2)
    started = time.monotonic()
    with pytest.raises(ServiceUnavailable):
        call(wait=False).probe_svc.echo(1)
    assert time.monotonic() - started < 0.2
    with pytest.raises(ServiceUnavailable):
        call(wait=False).nobody_svc.anything()


def test_a_message_without_reply_to_leaves_the_service_alive(probe: Probe, call: Call) -> None:
    probe.publish("nameko-rpc", "probe_svc.echo", {"args": [1], "kwargs": {}})
    probe.publish("nameko-rpc", "probe_svc.echo", "{bad", raw=True)
    probe.publish("nameko-rpc", "probe_svc.echo", ["a", "list"])
    eventually(lambda: probe.depth("rpc-probe_svc") == 0)
    assert call().probe_svc.echo("alive") == "alive"


def test_each_of_many_threads_gets_its_own_answer(probe: Probe, call: Call) -> None:
    def work(thread: int) -> list[int]:
        view = call()
        return [view.probe_svc.echo(thread * 1000 + i) for i in range(50)]

    with ThreadPoolExecutor(16) as pool:
        for thread, answers in enumerate(pool.map(work, range(16))):
            assert answers == [thread * 1000 + i for i in range(50)]


def test_an_unmodified_stock_client_can_call(probe: Probe, call: Call) -> None:
    probe.start()
    with ClusterRpcProxy({"AMQP_URI": probe.config["AMQP_URI"]}, timeout=5) as stock:
        assert stock.probe_svc.echo(value={"a": [1]}) == {"a": [1]}
        with pytest.raises(Fault, match="taken"):
            stock.probe_svc.refuse()
