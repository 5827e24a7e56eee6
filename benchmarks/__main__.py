"""``make bench``: ours and the peers in turn, in one run, on private servers.

A B A B: each round measures every contender once, so that a machine that gets slower gets slower for all. Ratios of
the medians are what counts.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import requests
import sqlalchemy as sa

from benchmarks.peers.stock_service import Base
from deploy.local.environment import names_in, scrub
from deploy.local.infra import Infrastructure
from deploy.local.ports import answers, choose
from tests.support import databases
from tests.support.stack import SERVICES, Stack
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[1]
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "5"))
IN_FLIGHT = 32
CONNECTIONS = 16
LUA = """
local n = 0
request = function()
  n = n + 1
  local body = string.format('{"email": "%s%d@example.com", "name": "Load"}', os.getenv("BENCH_TAG"), n)
  return wrk.format("POST", nil, {["Content-Type"] = "application/json"}, body)
end
"""

Figures = dict[str, float]


def wrk(url: str, *, token: str | None = None, post: Path | None = None) -> Figures:
    """Return rate, p50 and p99 (ms); raises if anything but success came back."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency"]
    command += ["-H", f"Authorization: Bearer {token}"] if token else []
    command += ["-s", str(post)] if post else []
    tag = f"b{time.time_ns():x}"
    output = subprocess.run(
        [*command, url], capture_output=True, text=True, check=True, env={**os.environ, "BENCH_TAG": tag}
    ).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(output)

    def milliseconds(label: str) -> float:
        value, unit = re.search(rf"{label}\s+([\d.]+)(us|ms|s)", output).groups()
        return float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]

    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
    return {"rate": rate, "p50": milliseconds("50%"), "p99": milliseconds("99%")}


class Bench:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.servers = Infrastructure(root / "infrastructure", preferred=False, durable=False, say=print)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.results: dict[str, dict[str, list[Figures]]] = defaultdict(lambda: defaultdict(list))

    def start(self) -> None:
        self.servers.start()
        self.environment = {
            **scrub(os.environ, names_in(ROOT / "config.yaml")),
            **self.servers.environment(),
            "RATE_LIMITS": "off",
            "LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
            "GATEWAY_WORKERS": "2",
            "GATEWAY_THREADS": "16",
        }
        databases.migrate(self.environment)
        self.stack = Stack(self.environment, self.root / "logs")
        self.stack.start(*SERVICES, "gateway", wait=False)
        for name in (*SERVICES, "gateway"):
            self.stack.wait_healthy(name)
        self._start_peers()

    def _start_peers(self) -> None:
        superuser = self.environment["POSTGRES_SUPERUSER_URL"]
        engine = databases.admin(superuser)
        with engine.connect() as connection:
            connection.execute(sa.text("CREATE DATABASE peers"))
        url = databases.on_database(superuser, "peers")
        Base.metadata.create_all(sa.create_engine(url))
        config = self.root / "stock.yaml"
        config.write_text(
            json.dumps(
                {"AMQP_URI": self.environment["AMQP_URI"], "max_workers": 16, "DB_URIS": {"stock_svc:Base": url}}
            )
        )
        binaries = Path(sys.executable).parent
        self._spawn(str(binaries / "nameko"), "run", "--config", str(config), "benchmarks.peers.stock_service")
        self._spawn(sys.executable, "-m", "lib.runner", "benchmarks.peers.echo_service")
        self.peer_port = choose([])
        self._spawn(
            str(binaries / "granian"),
            "--interface",
            "wsgi",
            "benchmarks.peers.stock_gateway:application",
            "--workers",
            "2",
            "--blocking-threads",
            "16",
            "--backpressure",
            "512",
            "--no-ws",
            "--log-level",
            "error",
            "--port",
            str(self.peer_port),
        )
        eventually(lambda: answers(self.peer_port), within=20)
        eventually(self._peer_user, within=20)

    def _peer_user(self) -> str | None:
        answer = requests.post(
            f"http://127.0.0.1:{self.peer_port}/users", json={"email": f"{time.time_ns()}@x", "name": "x"}, timeout=10
        )
        return answer.json()["id"] if answer.status_code == 201 else None

    def _spawn(self, *command: str) -> None:
        log = (self.root / "peers.log").open("ab")
        self.processes.append(
            subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True)
        )

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
        if hasattr(self, "stack"):
            self.stack.stop()
        self.servers.destroy()

    def rpc(self, kind: str) -> Figures:
        output = subprocess.run(
            [sys.executable, "-m", "benchmarks.rpc_client", kind, str(IN_FLIGHT), str(SECONDS)],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return json.loads(output.splitlines()[-1])

    def run(self) -> None:
        registered = requests.post(
            f"{self.stack.url}/auth/register",
            json={"email": "bench@example.com", "password": "SecurePass123!", "name": "Bench"},
            timeout=20,
        ).json()
        token, user_id = registered["access_token"], registered["user"]["id"]
        eventually(lambda: requests.get(f"{self.stack.url}/users/{user_id}", timeout=5).status_code == 200)
        peer_user = self._peer_user()
        post = self.root / "post.lua"
        post.write_text(LUA)
        peer = f"http://127.0.0.1:{self.peer_port}"
        contenders: dict[str, dict[str, Callable[[], Figures]]] = {
            f"RPC echo, {IN_FLIGHT} in flight": {
                "stock Nameko": lambda: self.rpc("stock"),
                "Leveret": lambda: self.rpc("ours"),
            },
            "HTTP read": {
                "proxy per request": lambda: wrk(f"{peer}/users/{peer_user}"),
                "proxy per thread": lambda: wrk(f"{peer}/kept/users/{peer_user}"),
                "Leveret, with JWT": lambda: wrk(f"{self.stack.url}/api/v1/users/profile", token=token),
            },
            "HTTP create": {
                "proxy per request": lambda: wrk(f"{peer}/users", post=post),
                "proxy per thread": lambda: wrk(f"{peer}/kept/users", post=post),
                "Leveret, two services": lambda: wrk(f"{self.stack.url}/api/v1/users", post=post),
            },
        }
        for number in range(ROUNDS):
            for area, each in contenders.items():
                for name, measure in each.items():
                    print(f"round {number + 1}/{ROUNDS}: {area}: {name}", file=sys.stderr, flush=True)
                    self.results[area][name].append(measure())

    def report(self) -> str:
        lines = ["| | contender | per second | p50 ms | p99 ms | ratio |", "|---|---|---|---|---|---|"]
        for area, contenders in self.results.items():
            base = None
            for name, figures in contenders.items():
                median = {key: statistics.median(each[key] for each in figures) for key in ("rate", "p50", "p99")}
                base = base or median["rate"]
                lines.append(
                    f"| {area} | {name} | {median['rate']:,.0f} | {median['p50']:.1f} | {median['p99']:.1f} "
                    f"| {median['rate'] / base:.2f}× |"
                )
        return "\n".join(lines)


def main() -> int:
    if shutil.which("wrk") is None:
        print("error: needs wrk: apt-get install wrk", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Bench(Path(folder))
        try:
            bench.start()
            bench.run()
        finally:
            bench.stop()
        print(bench.report())
    return 0


if __name__ == "__main__":
    sys.exit(main())
