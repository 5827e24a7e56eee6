"""The gateway's proxy: one per process, shared by all its threads, each of which gets its own answer or its own error.

Stock Nameko 2.14.1, seen in the same situations: of 320 echo calls by 32 threads on one `ClusterRpcProxy` 44 came back,
then an `UnexpectedFrame`, and no thread had ended after 30 s. Of four processes forked after it was started none had
made 50 calls after 30 s. Without an instance a call waited its whole timeout, 5.05 s of 5, for an `RpcTimeout`.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from nameko.exceptions import IncorrectSignature, MethodNotFound, RpcTimeout

from deploy.local.infra import Infrastructure
from lib.cluster import Cluster
from lib.confirmation import BrokerUnavailable
from lib.faults import Fault
from lib.rpc_client import ServiceUnavailable
from tests.conftest import ROOT
from tests.integration.lib.conftest import PROBE, Probe
from tests.support.forked_calls import CALLS
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults

Call = Callable[..., Any]

THREADS, CALLS_OF_ALL = 32, 10_000
SECOND = f"{PROBE}#2"


def test_no_instance_means_unavailable_at_once_although_the_queue_is_there(
    probe: Probe, call: Call, cluster: Cluster
) -> None:
    assert call().probe_svc.echo(1) == 1
    probe.stack.kill(PROBE)
    killed = time.monotonic()
    eventually(lambda: cluster.consumers("probe_svc") == 0, within=2)
    started = time.monotonic()
    assert started - killed < 1.5
    with pytest.raises(ServiceUnavailable):
        call(wait=False).probe_svc.echo(1)
    assert time.monotonic() - started < 0.2
    with pytest.raises(ServiceUnavailable):
        call(wait=False).nobody_svc.anything()


@pytest.mark.parametrize("children", [4])
def test_each_process_after_a_fork_has_a_proxy_of_its_own(
    probe: Probe, infrastructure: Infrastructure, children: int
) -> None:
    forking = subprocess.Popen(
        [sys.executable, "-m", "tests.support.forked_calls", str(children)],
        cwd=ROOT,
        env=dict(probe.stack.environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    # One that hangs says nothing more, and reading ends when all of them have ended.
    watchdog = threading.Timer(40, os.killpg, (forking.pid, signal.SIGKILL))
    watchdog.start()
    try:
        assert forking.stdout is not None
        told = [json.loads(forking.stdout.readline()) for _ in range(children + 1)]
        assert sorted(each["process"] for each in told) == list(range(children + 1))
        for each in told:
            assert each["answers"] == [f"{each['process']}-{number}" for number in range(CALLS)]
        queues = infrastructure.rabbitmq.ctl("-q", "list_queues", "name").split()
        for number in range(children + 1):
            mine = [queue for queue in queues if queue.startswith(f"rpc.reply-forked{number}-")]
            assert len(mine) == 1, queues
        # The children have ended; the parent's connection is none of theirs.
        rest, _ = forking.communicate("", timeout=30)
        assert json.loads(rest) == {"process": 0, "answers": [f"0-{number}" for number in range(CALLS)]}
        assert forking.returncode == 0
    finally:
        watchdog.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(forking.pid, signal.SIGKILL)
        forking.communicate()


@pytest.fixture
def two_probes(probe: Probe) -> Iterator[Probe]:
    probe.start(SECOND)
    yield probe
    if probe.stack.running(SECOND):
        probe.stack.stop([SECOND])


class Outcomes:
    """What came of each call; a wrong answer is kept, with what it should have been."""

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self.error_ids: list[str] = []
        self._lock = threading.Lock()

    def note(self, kind: str, outcome: str, *, right: bool, error_id: str | None = None) -> None:
        with self._lock:
            self.counts[f"{kind}: {outcome}"] += 1
            if not right:
                self.wrong.append(f"{kind}: {outcome}")
            if error_id is not None:
                self.error_ids.append(error_id)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def _make_one(call: Call, number: int, outcomes: Outcomes) -> None:
    """Make the call that belongs to the number, and note whether its outcome is one that this call may have.

    A request that the killed instance had begun comes to the other one as redelivered: what is not declared
    idempotent is refused there.
    """
    svc = call(timeout=20, wait=False).probe_svc
    kind = ("echo", "echo", "echo", "echo", "echo", "refuse", "crash", "unknown", "wrong", "impatient")[number % 10]
    interrupted = {"outcome_unknown"}
    try:
        if kind == "echo":
            answer = svc.echo({"number": number, "of": [number] * 3})
            outcomes.note(kind, "answer", right=answer == {"number": number, "of": [number] * 3})
        elif kind == "refuse":
            svc.refuse()
        elif kind == "crash":
            svc.crash()
        elif kind == "unknown":
            getattr(svc, f"no_method_{number}")()
        elif kind == "wrong":
            svc.echo(number, number)
        else:
            # On a busy machine it may be this thread that is late, and the answer is there when it asks.
            outcomes.note(kind, "answer", right=call(timeout=0.05, wait=False).probe_svc.sleep(0.1) == 0.1)
        if kind not in ("echo", "impatient"):
            outcomes.note(kind, "answer", right=False)
    except Fault as exc:
        allowed = {"refuse": {"taken"}, "crash": {"internal_error"}}.get(kind, set()) | interrupted
        right = exc.code in allowed and kind != "echo"
        outcomes.note(kind, exc.code, right=right, error_id=exc.details.get("error_id"))
    except MethodNotFound as exc:
        outcomes.note(kind, "MethodNotFound", right=kind == "unknown" and str(exc) == f"no_method_{number}")
    except IncorrectSignature:
        outcomes.note(kind, "IncorrectSignature", right=kind == "wrong")
    except BrokerUnavailable:
        # Many threads wait for the one connection; whose time is up before its turn has sent nothing.
        outcomes.note(kind, "BrokerUnavailable", right=kind == "impatient")
    except RpcTimeout:
        outcomes.note(kind, "RpcTimeout", right=kind == "impatient")
    except Exception as exc:
        outcomes.note(kind, f"{type(exc).__name__} {exc}", right=False)


def test_of_ten_thousand_mixed_calls_by_32_threads_each_gets_its_own_outcome(
    two_probes: Probe, call: Call, cluster: Cluster
) -> None:
    eventually(lambda: cluster.consumers("probe_svc") == 2)
    outcomes = Outcomes()

    def work(thread: int) -> None:
        for number in range(thread, CALLS_OF_ALL, THREADS):
            _make_one(call, number, outcomes)

    with ThreadPoolExecutor(THREADS) as pool:
        threads = [pool.submit(work, thread) for thread in range(THREADS)]
        eventually(lambda: outcomes.total > CALLS_OF_ALL / 2, within=60)
        two_probes.stack.kill(SECOND)
        for thread in threads:
            thread.result()
    assert not outcomes.wrong, outcomes.counts
    assert outcomes.total == CALLS_OF_ALL
    assert outcomes.counts["echo: answer"] == CALLS_OF_ALL / 2
    # Each crash has an id of its own, so nobody got another one's answer.
    assert len(set(outcomes.error_ids)) == len(outcomes.error_ids) == outcomes.counts["crash: internal_error"]
    for kind in ("refuse: taken", "crash: internal_error", "unknown: MethodNotFound", "impatient: RpcTimeout"):
        assert outcomes.counts[kind] > CALLS_OF_ALL / 20, outcomes.counts
    assert cluster.in_flight == 0
    print(f"\n  {dict(sorted(outcomes.counts.items()))}")
