"""The gateway as a process: its start, its end, and what its HTTP server makes of rough clients.

There is neither a broker nor a Redis here: it has to be there without them.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import ROOT

pytestmark = pytest.mark.slow

HEADERS = b"Host: localhost\r\nContent-Type: application/json\r\n"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(port: int, **changes: str) -> dict[str, str]:
    nowhere = _free_port()
    return {
        "PATH": os.environ["PATH"],
        **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE")},
        "GATEWAY_PORT": str(port),
        "GATEWAY_WORKERS": "1",
        "GATEWAY_THREADS": "2",
        "AMQP_URI": f"amqp://guest:guest@127.0.0.1:{nowhere}/",
        "REDIS_URL": f"redis://127.0.0.1:{nowhere}/0",
        "RATE_LIMITS": "off",
        "LOG_FORMAT": "json",
        "DRAIN_TIMEOUT": "3",
        **changes,
    }


class Gateway:
    """A running gateway."""

    def __init__(self, log: Path, **changes: str) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway"],
                cwd=ROOT,
                env=_environment(self.port, **changes),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.wait_live()

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_live(self) -> None:
        deadline = time.monotonic() + 20
        while not self._live():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(each) for each in children.split()]

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.settimeout(10)
        return connection

    def send(self, data: bytes) -> bytes:
        """Send bytes and return what comes back until the connection is closed, or nothing comes for a moment."""
        answer = b""
        with self.connect() as connection:
            connection.sendall(data)
            while part := connection.recv(65536):
                answer += part
                connection.settimeout(0.3)
                try:
                    connection.recv(1, socket.MSG_PEEK)
                except TimeoutError:
                    break
        return answer

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(15)

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(5)

    def _live(self) -> bool:
        assert self.process.poll() is None, self.log
        try:
            return requests.get(f"{self.url}/health/live", timeout=2).status_code == 200
        except requests.ConnectionError:
            return False


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("gateway") / "log")
    yield gateway
    gateway.end()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that the test may end."""
    gateway = Gateway(tmp_path / "log", TMPDIR=str(tmp_path))
    yield gateway
    gateway.end()


def test_without_a_broker_it_lives_and_says_what_is_missing(running: Gateway) -> None:
    health = requests.get(f"{running.url}/health", timeout=5)
    assert health.status_code == 503
    assert health.json()["checks"]["redis:ping"][0]["status"] == "warn"
    assert requests.get(f"{running.url}/health/ready", timeout=5).status_code == 503


def test_without_a_broker_calls_fail_at_once(running: Gateway) -> None:
    started = time.monotonic()
    response = requests.get(f"{running.url}/users/x", timeout=5)
    assert response.status_code == 503
    assert response.json()["code"] == "broker_unavailable"
    assert time.monotonic() - started < 1.0


def test_all_workers_count_together(running: Gateway) -> None:
    requests.get(f"{running.url}/nowhere", timeout=5)
    metrics = requests.get(f"{running.url}/metrics", timeout=5).text
    assert 'http_server_request_duration_seconds_count{method="GET",route="unmatched",status="404"}' in metrics


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"POST /users HTTP/1.1\r\n" + HEADERS + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", b"400"),
        (b"POST /users HTTP/1.1\r\n" + HEADERS + b"Content-Length: -1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: b\r\n" * 1000 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"b" * 70_000 + b"\r\n\r\n", b"431"),
        (b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (b"GET /%2e%2e/health HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (b"GET //health HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (b"BREW /users HTTP/1.1\r\nHost: a\r\n\r\n", b"405"),
        (b"TRACE /users HTTP/1.1\r\nHost: a\r\n\r\n", b"405"),
        (b"GET /health/live HTTP/1.1\r\nHost: a b/[\r\n\r\n", b"200"),
        (b"POST /users HTTP/1.1\r\n" + HEADERS + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b"422"),
        (b"POST /users HTTP/1.1\r\n" + HEADERS + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n", b"400"),
    ],
)
def test_rough_requests(running: Gateway, request_head: bytes, status: bytes) -> None:
    assert running.send(request_head).split(b" ")[1] == status


@pytest.mark.parametrize("path", [b"/health/live", b"/nowhere"])
def test_head_gives_the_length_and_no_body(running: Gateway, path: bytes) -> None:
    got, head = (running.send(method + b" " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n") for method in (b"GET", b"HEAD"))
    headers, _, body = got.partition(b"\r\n\r\n")
    length = b"\r\ncontent-length: %d\r\n" % len(body)
    assert body
    assert length in headers.lower() + b"\r\n"
    assert length in head.lower()
    assert head.count(b"\r\n\r\n") == 1
    assert head.endswith(b"\r\n\r\n")


def test_length_and_chunks_together_are_one_request_and_the_end_of_the_connection(running: Gateway) -> None:
    smuggled = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
    body = b"2\r\n{}\r\n0\r\n\r\n" + smuggled
    length = b"Content-Length: %d\r\n" % len(body)
    answers = running.send(
        b"POST /users HTTP/1.1\r\n" + HEADERS + length + b"Transfer-Encoding: chunked\r\n\r\n" + body
    )
    assert answers.count(b"HTTP/1.1 ") == 1
    assert answers.startswith(b"HTTP/1.1 422")


def test_a_header_with_a_line_end_in_it_is_no_log_line(running: Gateway) -> None:
    answer = running.send(b"GET /users/x HTTP/1.1\r\nHost: a\r\nX-Request-ID: a\nforged: b\r\n\r\n")
    assert b"forged" not in answer
    assert "forged" not in running.log


@pytest.mark.parametrize("size", [1_100_000, 5_000_000, 40_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_who_sends_too_much_can_read_why_it_was_refused(running: Gateway, size: int, chunked: bool) -> None:
    body = (b"x" * 65536 for _ in range(size // 65536 + 1)) if chunked else b"x" * size
    response = requests.post(
        f"{running.url}/users", data=body, headers={"Content-Type": "application/json"}, timeout=10
    )
    assert response.status_code == 413
    assert response.json()["code"] == "content_too_large"


def test_a_gigabyte_that_is_only_announced_is_not_waited_for(running: Gateway) -> None:
    with running.connect() as connection:
        connection.sendall(
            b"POST /users HTTP/1.1\r\n" + HEADERS + b"Expect: 100-continue\r\nContent-Length: 1073741824\r\n\r\n"
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_bodies_that_do_not_come_keep_nobody_else_waiting(running: Gateway) -> None:
    slow = [running.connect() for _ in range(20)]
    try:
        for connection in slow:
            connection.sendall(b"POST /users HTTP/1.1\r\n" + HEADERS + b"Content-Length: 100\r\n\r\n{")
        started = time.monotonic()
        assert requests.get(f"{running.url}/users/x", timeout=5).status_code == 503
        assert requests.post(f"{running.url}/users", json={}, timeout=5).status_code == 422
        assert requests.get(f"{running.url}/health/live", timeout=5).status_code == 200
        assert time.monotonic() - started < 1.0
    finally:
        for connection in slow:
            connection.close()


def test_a_port_that_is_taken_ends_the_start(running: Gateway) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "gateway"],
        cwd=ROOT,
        env=_environment(running.port),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert second.returncode == 78
    assert second.stdout == ""
    assert second.stderr == f"error: GATEWAY_PORT: cannot listen on 127.0.0.1:{running.port}: Address already in use\n"


@pytest.mark.parametrize(("number", "group"), [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGINT, True)])
def test_a_request_that_is_running_is_answered_before_the_end(own: Gateway, number: int, group: bool) -> None:
    with own.connect() as connection:
        connection.sendall(b"POST /users HTTP/1.1\r\n" + HEADERS + b"Content-Length: 2\r\n\r\n{")
        requests.get(f"{own.url}/health/live", timeout=5)
        if group:
            os.killpg(own.process.pid, number)
        else:
            own.process.send_signal(number)
        deadline = time.monotonic() + 5
        while "Stopping worker" not in own.log:
            assert time.monotonic() < deadline, own.log
            time.sleep(0.02)
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{own.url}/health/live", timeout=5)
        connection.sendall(b"}")
        assert connection.recv(65536).startswith(b"HTTP/1.1 422")
    assert own.process.wait(10) == 0
    assert "Traceback" not in own.log


def test_a_request_that_does_not_end_does_not_keep_the_process(own: Gateway) -> None:
    with own.connect() as connection:
        connection.sendall(b"POST /users HTTP/1.1\r\n" + HEADERS + b"Content-Length: 2\r\n\r\n{")
        requests.get(f"{own.url}/health/live", timeout=5)
        started = time.monotonic()
        assert own.stop() == 0
        assert time.monotonic() - started < 8


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_more_signals_change_nothing(own: Gateway, number: int) -> None:
    for _ in range(20):
        os.killpg(own.process.pid, number)
    assert own.stop() == 0
    assert "refused to gracefully stop" not in own.log


def test_nothing_is_left_behind(own: Gateway, tmp_path: Path) -> None:
    (tmp_path / "leveret-metrics-999999999-abc").mkdir()
    assert len(list(tmp_path.glob("leveret-metrics-*"))) == 2
    assert own.stop() == 0
    # The other one is removed by the next start, as its process is gone.
    second = Gateway(tmp_path / "log2", TMPDIR=str(tmp_path))
    try:
        assert [each.name.split("-")[2] for each in tmp_path.glob("leveret-metrics-*")] == [str(second.process.pid)]
    finally:
        second.end()


def test_a_worker_that_dies_is_replaced(own: Gateway) -> None:
    (worker,) = own.workers()
    os.kill(worker, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while worker in own.workers() or not own.workers():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    own.wait_live()
    assert own.stop() == 0
