"""Leaked passwords, asked for at a service on this machine that speaks the range API: what leaves, and what happens
when nobody answers."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from auth_svc.application.register_account import register_account
from auth_svc.application.sign_in import sign_in
from auth_svc.domain.password import WeakPassword
from auth_svc.infrastructure.breached_passwords import CHECKS, LONGEST_ANSWER, NoBreachedPasswords, RangeApi
from tests.support.stack import free_port

LEAKED, CLEAN = "umbrella lantern gravel", "quite another pass phrase"
ANN = {"email": "ann@example.com", "name": "Ann"}


def digest(password: str) -> str:
    return hashlib.sha1(password.encode()).hexdigest().upper()  # noqa: S324  (the API's)


class RangeService:
    """What it is asked, and what it says."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.lines = ["0" * 35 + ":7", f"{digest(LEAKED)[5:]}:42", "F" * 35 + ":0"]
        self.body: bytes | None = None
        self.pause = threading.Event()
        self.pauses = self.drips = False
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                service.requests.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
                if service.pauses:
                    service.pause.wait(10)
                body = "\r\n".join(service.lines).encode() if service.body is None else service.body
                self.send_response(service.status)
                for name, value in {"Content-Length": str(len(body)), **service.headers}.items():
                    if value:
                        self.send_header(name, value)
                self.end_headers()
                # Who has read enough, hangs up.
                with contextlib.suppress(OSError):
                    self.wfile.write(body)
                    while service.drips and not service.pause.wait(0.1):
                        self.wfile.write(b"x")

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/range/"

    def close(self) -> None:
        self.pause.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def service() -> Iterator[RangeService]:
    service = RangeService()
    yield service
    service.close()


@pytest.fixture
def counted() -> Callable[[], dict[str, float]]:
    """How often each outcome came since the test began."""

    def now() -> dict[str, float]:
        return {name: CHECKS.labels(name)._value.get() for name in ("breached", "clean", "unavailable")}

    before = now()
    return lambda: {name: value - before[name] for name, value in now().items() if value != before[name]}


def test_only_five_digits_of_a_hash_leave_the_house(service: RangeService) -> None:
    assert RangeApi(service.url).contains(LEAKED)
    ((method, path, headers, body),) = service.requests
    assert (method, path, body) == ("GET", f"/range/{digest(LEAKED)[:5]}", b"")
    assert headers["Add-Padding"] == "true"
    everything = f"{path} {headers}".upper()
    assert digest(LEAKED)[:6] not in everything
    assert not [word for word in LEAKED.split() if word.upper() in everything]
    # And nobody else's business either: neither who asks nor where the answer came from before.
    assert not {"Cookie", "Authorization", "Referer"} & headers.keys()


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_address_may_end_in_a_slash_or_not(service: RangeService, slash: str) -> None:
    assert RangeApi(service.url.rstrip("/") + slash).contains(LEAKED)
    assert service.requests[0][1] == f"/range/{digest(LEAKED)[:5]}"


def test_a_password_of_other_letters_is_asked_for_as_it_is_hashed(service: RangeService) -> None:
    password = "пароль-номер-один"
    service.lines.append(f"{digest(password)[5:]}:1")
    assert RangeApi(service.url).contains(password)


def test_a_password_that_is_not_in_the_answer_has_not_leaked(service: RangeService, counted: Any) -> None:
    assert not RangeApi(service.url).contains(CLEAN)
    assert counted() == {"clean": 1}


@pytest.mark.parametrize("line", ["{}:0", "{}:", "{}", " {}:0 "])
def test_padding_is_no_find(service: RangeService, line: str) -> None:
    """The service adds made-up lines with a count of 0, so that the answer's length tells nothing."""
    service.lines = [line.format(digest(CLEAN)[5:])]
    assert not RangeApi(service.url).contains(CLEAN)


@pytest.mark.parametrize("line", ["{}:1", "{}:1\r", " {} : 99 "])
def test_a_find_is_one_in_any_case(service: RangeService, line: str) -> None:
    service.lines = ["", "junk", line.format(digest(CLEAN)[5:].lower())]
    assert RangeApi(service.url).contains(CLEAN)


@pytest.mark.parametrize("status", [301, 302, 400, 404, 429, 500, 503])
def test_a_service_that_refuses_refuses_nobody(service: RangeService, counted: Any, status: int) -> None:
    """And it is not followed anywhere else."""
    service.status, service.headers = status, {"Location": f"{service.url}elsewhere"}
    assert not RangeApi(service.url).contains(LEAKED)
    assert len(service.requests) == 1
    assert counted() == {"unavailable": 1}


def test_an_answer_that_is_no_text_counts_as_none(service: RangeService, counted: Any) -> None:
    service.body = b"\xff\xfe\x00"
    assert not RangeApi(service.url).contains(LEAKED)
    assert counted() == {"unavailable": 1}


def test_an_answer_without_end_is_not_read_to_its_end(service: RangeService) -> None:
    # What stands behind the limit is not found, and not waited for.
    service.body = b"x" * (2 * LONGEST_ANSWER) + f"\r\n{digest(LEAKED)[5:]}:42".encode()
    assert not RangeApi(service.url).contains(LEAKED)


def test_a_service_that_is_away_refuses_nobody_and_is_counted(counted: Any, caplog: Any) -> None:
    assert not RangeApi(f"http://127.0.0.1:{free_port()}/range/").contains(LEAKED)
    assert counted() == {"unavailable": 1}
    assert "does not answer" in caplog.text
    assert digest(LEAKED)[:5] not in caplog.text


def test_a_service_that_says_nothing_is_given_up_in_time(service: RangeService, counted: Any) -> None:
    service.pauses = True
    began = time.monotonic()
    assert not RangeApi(service.url, timeout=0.3).contains(LEAKED)
    assert time.monotonic() - began < 3
    assert counted() == {"unavailable": 1}


def test_an_answer_that_drips_is_given_up_in_time(service: RangeService, counted: Any) -> None:
    """Each single byte comes in time."""
    service.drips, service.headers = True, {"Content-Length": "100000"}
    began = time.monotonic()
    assert not RangeApi(service.url, timeout=0.5).contains(LEAKED)
    assert time.monotonic() - began < 3
    assert counted() == {"unavailable": 1}


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "100000"},
        {"Content-Encoding": "gzip"},
        {"Content-Length": "", "Transfer-Encoding": "chunked"},
    ],
    ids=str,
)
def test_an_answer_that_breaks_off_refuses_nobody(service: RangeService, counted: Any, headers: dict[str, str]) -> None:
    service.headers = headers
    assert not RangeApi(service.url).contains(LEAKED)
    assert counted() == {"unavailable": 1}


def test_without_a_service_nobody_is_asked() -> None:
    assert not NoBreachedPasswords().contains(LEAKED)


def test_the_setting_switches_it_on_for_new_passwords_and_sign_in_never_asks(
    service: RangeService, instance: Any, counted: Any
) -> None:
    ports = instance(BREACHED_PASSWORDS_URL=service.url)
    with pytest.raises(WeakPassword) as refusal:
        register_account(ports, **ANN, password=LEAKED)
    assert [each["code"] for each in refusal.value.details["errors"]] == ["breached"]
    register_account(ports, **ANN, password=CLEAN)
    assert (len(service.requests), counted()) == (2, {"breached": 1, "clean": 1})
    # What would be refused without asking is not asked for.
    with pytest.raises(WeakPassword):
        register_account(ports, email="bob@example.com", name="Bob", password="short")
    service.status = 503
    register_account(ports, email="eve@example.com", name="Eve", password=LEAKED)
    assert sign_in(ports, email="eve@example.com", password=LEAKED)
    assert (len(service.requests), counted()) == (3, {"breached": 1, "clean": 1, "unavailable": 1})


def test_it_is_off_unless_it_is_set(instance: Any) -> None:
    assert isinstance(instance().breached_passwords, NoBreachedPasswords)
