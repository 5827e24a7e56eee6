"""One client process: ``python -m benchmarks.rpc_client stock|ours <threads> <seconds>``; prints one line of JSON."""

from __future__ import annotations

import json
import sys
import threading
import time
import warnings

warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")

from nameko.standalone.rpc import ClusterRpcProxy  # noqa: E402

from lib import config as configuration  # noqa: E402
from lib.cluster import Cluster  # noqa: E402
from lib.context import ANONYMOUS, CallContext  # noqa: E402


def main(kind: str, threads: int, seconds: float) -> None:
    config = configuration.load()
    cluster = Cluster(config, name="bench", services=["echo_svc"])
    if kind == "ours":
        cluster.start()
        while not cluster.consumers("echo_svc"):
            time.sleep(0.05)
    taken: list[list[float]] = [[] for _ in range(threads)]
    ready = threading.Barrier(threads + 1)

    def work(number: int) -> None:
        if kind == "ours":
            echo = cluster.view(CallContext("bench", actor=ANONYMOUS)).echo_svc.echo
        else:
            proxy = ClusterRpcProxy({"AMQP_URI": config["AMQP_URI"]}, timeout=10)
            echo = proxy.start().stock_svc.echo
        echo(value=number)
        ready.wait()
        end = time.monotonic() + seconds
        while (started := time.monotonic()) < end:
            assert echo(value=number) == number
            taken[number].append(time.monotonic() - started)

    workers = [threading.Thread(target=work, args=(each,), daemon=True) for each in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    started, used = time.monotonic(), time.process_time()
    for worker in workers:
        worker.join()
    elapsed, used = time.monotonic() - started, time.process_time() - used
    times = sorted(each for one in taken for each in one)
    print(
        json.dumps(
            {
                "requests": len(times),
                "client": used,
                "rate": len(times) / elapsed,
                "p50": times[len(times) // 2] * 1000,
                "p99": times[int(len(times) * 0.99)] * 1000,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
