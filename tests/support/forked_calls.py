"""A process that forks, as a gateway's server does, and calls a service from each child: ``forked_calls <children>``.

Each process makes its own proxy after the fork; the parent's exists before, and goes on working after. Every child
prints one line of JSON, its answers; then all wait, connected, until standard input ends.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")

from lib.cluster import Cluster  # noqa: E402

CALLS = 50


def proxy(number: int) -> Any:
    cluster = Cluster({"AMQP_URI": os.environ["AMQP_URI"]}, name=f"forked{number}", services=["probe_svc"], timeout=20)
    view = cluster.start()
    if not cluster.wait_up(10):
        raise SystemExit(f"{number}: no broker")
    return view


def answers(number: int, view: Any) -> None:
    """Call from four threads at once, and print what comes back."""
    with ThreadPoolExecutor(4) as pool:
        values = list(pool.map(lambda n: view.probe_svc.echo(f"{number}-{n}"), range(CALLS)))
    # One write, so that lines of several processes do not mix.
    os.write(1, (json.dumps({"process": number, "answers": values}) + "\n").encode())


def main(children: int) -> None:
    parent = proxy(0)
    parent.probe_svc.echo("before the forks")
    pids = []
    for number in range(1, children + 1):
        pid = os.fork()
        if pid == 0:
            answers(number, proxy(number))
            sys.stdin.read()
            os._exit(0)
        pids.append(pid)
    answers(0, parent)
    sys.stdin.read()
    for pid in pids:
        os.waitpid(pid, 0)
    answers(0, parent)


if __name__ == "__main__":
    main(int(sys.argv[1]))
