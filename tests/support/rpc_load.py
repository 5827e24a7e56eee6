"""A process that keeps one RPC method busy: ``rpc_load <clients> <seconds>``.

Reads ``{"service", "method", "arguments": [{…}, …]}`` from standard input. All clients begin at once, and each calls
again and again, the next call when the last one is answered, until the time is over; one that is refused waits as long
as it is told. Says ``begun`` when all clients are at it, and at the end
one line of JSON: how often each outcome was seen, and what the longest call took. A process of its own, so that whoever
measures another call meanwhile does not measure these threads.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")

from nameko.exceptions import RpcTimeout  # noqa: E402

from lib.cluster import Cluster  # noqa: E402
from lib.context import ANONYMOUS, CallContext, new_correlation_id  # noqa: E402
from lib.errors import Unavailable  # noqa: E402
from lib.faults import Fault  # noqa: E402


def outcome(call: Any, arguments: dict[str, Any]) -> tuple[str, float]:
    """Return what came of a call, and how long to wait before the next one."""
    try:
        call(**arguments)
    except (Fault, Unavailable) as exc:
        pause = exc.details.get("retry_after")
        return f"{exc.code}:{pause}", pause or 0
    except RpcTimeout:
        return "timeout", 0
    return "ok", 0


def main(clients: int, seconds: float) -> None:
    wanted = json.loads(sys.stdin.readline())
    cluster = Cluster({"AMQP_URI": os.environ["AMQP_URI"]}, name="load", services=[wanted["service"]])
    cluster.start()
    if not cluster.wait_up(10):
        raise SystemExit("no broker")
    started, until = threading.Barrier(clients + 1), time.monotonic() + seconds
    outcomes: Counter[str] = Counter()
    longest = 0.0

    def client(number: int) -> None:
        nonlocal longest
        started.wait()
        while time.monotonic() < until:
            view = cluster.view(CallContext(new_correlation_id(), actor=ANONYMOUS))
            begun = time.monotonic()
            arguments = wanted["arguments"][number % len(wanted["arguments"])]
            what, pause = outcome(getattr(getattr(view, wanted["service"]), wanted["method"]), arguments)
            longest = max(longest, time.monotonic() - begun)
            outcomes[what] += 1
            time.sleep(max(0, min(pause, until - time.monotonic())))

    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(client, number) for number in range(clients)]
        started.wait()
        print("begun", flush=True)
        for each in running:
            each.result()
    cluster.stop()
    print(json.dumps({"outcomes": outcomes, "longest": longest}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
