"""Which WSGI server the gateway should stand on: ``python -m benchmarks.wsgi_servers``.

Each server runs the same bare Flask application with two worker processes of 16 threads (gevent: two workers). Measured
in turn, three rounds, medians: requests per second with 16 keep-alive connections for an immediate answer and for one
that waits 3 ms (as for a reply); the median answer while 300 clients dribble their headers; how many of the requests
in flight fail when SIGTERM arrives; what a request with 128 KiB of headers gets.

Needs ``wrk`` (Debian: apt-get install wrk), gunicorn and gevent (``pip install -e .[bench]``).
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from flask import Flask, jsonify

from deploy.local.ports import answers, choose

ROUNDS = 3
SECONDS = 4
SLOW_CLIENTS = 300

application = Flask(__name__)


@application.get("/now")
def now():
    return jsonify(status="pass")


@application.get("/wait/<int:milliseconds>")
def wait(milliseconds: int):
    time.sleep(milliseconds / 1000)
    return jsonify(status="pass")


TARGET = "benchmarks.wsgi_servers:application"
GUNICORN = [sys.executable, "-m", "gunicorn", TARGET, "--workers", "2", "--log-level", "error", "--backlog", "2048"]
SERVERS = {
    "granian": [
        str(Path(sys.executable).parent / "granian"),
        "--interface",
        "wsgi",
        TARGET,
        "--workers",
        "2",
        "--blocking-threads",
        "16",
        "--backpressure",
        "2048",
        "--no-ws",
        "--log-level",
        "error",
        "--port",
    ],
    "gunicorn gthread": [*GUNICORN, "--worker-class", "gthread", "--threads", "16", "--bind"],
    "gunicorn gevent": [*GUNICORN, "--worker-class", "gevent", "--bind"],
}


class Server:
    def __init__(self, name: str) -> None:
        self.port = choose([])
        last = str(self.port) if name == "granian" else f"127.0.0.1:{self.port}"
        self.process = subprocess.Popen([*SERVERS[name], last], start_new_session=True)
        deadline = time.monotonic() + 20
        while not answers(self.port):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start")
            time.sleep(0.1)
        time.sleep(0.5)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)

    def rate(self, path: str) -> float:
        output = subprocess.run(
            ["wrk", "-t1", "-c16", f"-d{SECONDS}s", f"http://127.0.0.1:{self.port}{path}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])

    def beside_slow_clients(self) -> float:
        """Return the median answer in ms while others take their time with their headers; infinity: none came."""
        slow = []
        for _ in range(SLOW_CLIENTS):
            client = socket.create_connection(("127.0.0.1", self.port), timeout=5)
            client.sendall(b"GET /now HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            slow.append(client)
        taken = []
        try:
            for _ in range(50):
                started = time.perf_counter()
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=3)
                try:
                    connection.request("GET", "/now")
                    connection.getresponse().read()
                    taken.append((time.perf_counter() - started) * 1000)
                except OSError:
                    taken.append(float("inf"))
                    if taken.count(float("inf")) > 2:
                        break
                finally:
                    connection.close()
        finally:
            for client in slow:
                client.close()
        return statistics.median(taken)

    def big_headers(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/now", headers={f"X-{i}": "a" * 7000 for i in range(18)})
            return str(connection.getresponse().status)
        except (OSError, http.client.HTTPException) as exc:
            return type(exc).__name__
        finally:
            connection.close()

    def drain(self) -> tuple[int, int]:
        """SIGTERM while 16 requests of 500 ms run: return (answered, failed)."""
        results: list[bool] = []

        def ask() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.request("GET", "/wait/500")
                results.append(connection.getresponse().status == 200)
            except (OSError, http.client.HTTPException):
                results.append(False)

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        self.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        return results.count(True), results.count(False)


def main() -> None:
    found: dict[str, dict[str, list[float]]] = {name: {"now": [], "wait": [], "slow": []} for name in SERVERS}
    drained, headers = {}, {}
    for number in range(ROUNDS):
        for name in SERVERS:
            server = Server(name)
            try:
                found[name]["now"].append(server.rate("/now"))
                found[name]["wait"].append(server.rate("/wait/3"))
                found[name]["slow"].append(server.beside_slow_clients())
                if number == 0:
                    headers[name] = server.big_headers()
                    drained[name] = server.drain()
            finally:
                server.stop()
    base = statistics.median(found["gunicorn gthread"]["now"])
    print(f"{'server':18} {'now/s':>8} {'ratio':>6} {'3 ms/s':>8} {'slow, ms':>9} {'128 KiB':>20} {'drain':>9}")
    for name, values in found.items():
        median = {key: statistics.median(each) for key, each in values.items()}
        ok, failed = drained[name]
        print(
            f"{name:18} {median['now']:8.0f} {median['now'] / base:6.2f} {median['wait']:8.0f} {median['slow']:9.1f} "
            f"{headers[name]:>20} {ok:3d}/{ok + failed:d}"
        )


if __name__ == "__main__":
    main()
