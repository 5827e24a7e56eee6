"""Load on HTTP with wrk, load on RPC with our own client process; each returns its figures."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
IN_FLIGHT = 32
CONNECTIONS = 16

#: ``requests`` answered, ``rate`` per second, ``p50`` and ``p99`` in ms; how many were ``unanswered`` when the time was
#: over; an RPC client's own CPU seconds as ``client``
Figures = dict[str, float]


def missing() -> str | None:
    """Return the one line that says what this machine lacks."""
    return None if shutil.which("wrk") else "needs wrk: apt-get install wrk"


def wrk(
    url: str,
    seconds: float,
    *,
    token: str | None = None,
    script: str | None = None,
    lines: Sequence[str] = (),
    connections: int = CONNECTIONS,
) -> Figures:
    """Ask for a URL; raises if anything but success came back.

    :param script: of `benchmarks.scripts`, to send a new body with each request
    :param lines: what the script reads from its file
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "10s", "--latency"]
    command += ["-H", f"Authorization: Bearer {token}"] if token else []
    with tempfile.TemporaryDirectory(prefix="wrk-") as folder:
        if script is not None:
            Path(folder, "script.lua").write_text(script)
            Path(folder, "lines").write_text("".join(f"{line}\n" for line in lines))
            command += ["-s", str(Path(folder, "script.lua"))]
        told = {"BENCH_TAG": f"b{time.time_ns():x}", "BENCH_FILE": str(Path(folder, "lines"))}
        output = subprocess.run(
            [*command, url], capture_output=True, text=True, check=True, env={**os.environ, **told}
        ).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(output)

    def milliseconds(label: str) -> float:
        value, unit = re.search(rf"{label}\s+([\d.]+)(us|ms|s)", output).groups()
        return float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]

    return {
        "requests": int(re.search(r"(\d+) requests in", output)[1]),
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]),
        "p50": milliseconds("50%"),
        "p99": milliseconds("99%"),
        # It asks again on each connection as soon as there is an answer.
        "unanswered": connections,
    }


def argon2(seconds: float, **environment: str) -> Figures:
    """Check a password hash again and again on all cores."""
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.argon2_alone", str(seconds)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    figures: Figures = json.loads(output)
    return figures


def rpc(kind: str, seconds: float, environment: Mapping[str, str]) -> Figures:
    """Call echo from one process: ``stock`` or ``ours``."""
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.rpc_client", kind, str(IN_FLIGHT), str(seconds)],
        cwd=ROOT,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return json.loads(output.splitlines()[-1])
