"""What an operator is told: alive, well or not, and the counts for who knows the token."""

import errno
import json
from types import SimpleNamespace

import pytest
from nameko.exceptions import ConfigurationError

from lib import operations
from lib.caller import Caller
from lib.operations import Operations
from tests.unit.lib.fakes import Clock

TOKEN = "metrics-token"


class Keys(Caller):
    """A caller whose keys are there, or not."""

    def __init__(self, ready):
        super().__init__(jwks=lambda ports: {})
        self._ready = ready

    @property
    def ready(self):
        return self._ready


def made(*, consuming=True, connected=True, blocked=False, dependencies=(), **config):
    made = Operations()
    made.container = SimpleNamespace(service_name="some_svc", config=config, dependencies=list(dependencies))
    made.queue_consumer = SimpleNamespace(consuming=consuming)
    made.broker = SimpleNamespace(link=SimpleNamespace(connected=connected, blocked=blocked))
    return made


def ask(served, path, method="GET", **environ):
    """Return the answer's code, headers and body."""
    answered = {}

    def start_response(status, headers):
        answered.update(code=int(status.split()[0]), headers=dict(headers))

    body = b"".join(served._app({"REQUEST_METHOD": method, "PATH_INFO": path, **environ}, start_response))
    return answered["code"], answered["headers"], body


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(operations, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("state", "failing"),
    [
        ({}, None),
        ({"consuming": False}, "rabbitmq:consuming"),
        ({"connected": False}, "rabbitmq:publishing"),
        ({"blocked": True}, "rabbitmq:publishing"),
        ({"dependencies": [Keys(True)]}, None),
        ({"dependencies": [Keys(False)]}, "tokens:keys"),
    ],
)
def test_one_thing_that_fails_is_enough_to_be_unwell_and_is_named(state, failing):
    code, headers, body = ask(made(**state), "/api/v1/health")
    document = json.loads(body)
    assert (code, document["status"]) == ((200, "pass") if failing is None else (503, "fail"))
    assert [name for name, (entry,) in document["checks"].items() if entry["status"] == "fail"] == (
        [] if failing is None else [failing]
    )
    assert headers["Content-Type"] == "application/health+json"
    assert headers["Cache-Control"] == "no-store"


def test_alive_is_not_well():
    assert ask(made(connected=False, consuming=False), "/api/v1/health/live")[0] == 200


def test_health_is_looked_at_once_a_second_whoever_asks(clock):
    served = made()
    first = served.health()
    served.queue_consumer.consuming = False
    clock.advance(operations.CACHE_SECONDS)
    assert served.health() is first
    clock.advance(0.1)
    assert served.health()["status"] == "fail"


@pytest.mark.parametrize(
    ("authorization", "code"),
    [(f"Bearer {TOKEN}", 200), ("", 401), (f"Bearer {TOKEN}x", 401), (TOKEN, 401), ("Bearer ", 401), ("Bearer é", 401)],
)
def test_counts_are_for_who_knows_the_token(authorization, code):
    environ = {"HTTP_AUTHORIZATION": authorization} if authorization else {}
    answered, _, body = ask(made(METRICS_TOKEN=TOKEN), "/metrics", **environ)
    assert answered == code
    assert (b"service_calls_total" in body) is (code == 200)


def test_without_a_token_in_the_configuration_counts_are_open():
    assert ask(made(METRICS_TOKEN=""), "/metrics")[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", "/api/v1/health", 405),
        ("DELETE", "/metrics", 405),
        ("GET", "/", 404),
        ("GET", "/api/v1/health/", 404),
        ("HEAD", "/api/v1/health", 200),
    ],
)
def test_nothing_else_is_served(method, path, code):
    assert ask(made(), path, method)[0] == code


# --- the port -------------------------------------------------------------------------------------------------------


@pytest.fixture
def listening(monkeypatch):
    """Where somebody wanted to listen."""
    wanted = []

    def listen(address, **options):
        wanted.append((address, options))
        return "a socket"

    monkeypatch.setattr(operations.eventlet, "listen", listen)
    monkeypatch.delenv("HTTP_PORT", raising=False)
    return wanted


@pytest.mark.parametrize(
    ("ports", "environ", "address"),
    [
        ({"some_svc": 3001}, None, ("127.0.0.1", 3001)),
        ({"some_svc": 3001}, "4001", ("127.0.0.1", 4001)),
        ({"some_svc": 3001}, "0", None),
        ({"some_svc": 0}, None, None),
        ({"other_svc": 3001}, None, None),
    ],
)
def test_the_port_is_the_services_or_the_environments(listening, monkeypatch, ports, environ, address):
    if environ is not None:
        monkeypatch.setenv("HTTP_PORT", environ)
    made(HTTP_PORTS=ports).setup()
    assert [where for where, _ in listening] == ([] if address is None else [address])


def test_two_services_do_not_share_a_port_in_silence(listening):
    made(HTTP_PORTS={"some_svc": 3001}).setup()
    assert listening[0][1].get("reuse_port") is False


@pytest.mark.parametrize(
    ("number", "said"), [(errno.EADDRINUSE, "port 3001 is taken"), (errno.EACCES, "cannot listen on 127.0.0.1:3001")]
)
def test_a_port_that_cannot_be_had_is_one_line(monkeypatch, listening, number, said):
    def refuse(address, **options):
        raise OSError(number, "no")

    monkeypatch.setattr(operations.eventlet, "listen", refuse)
    with pytest.raises(ConfigurationError, match=said):
        made(HTTP_PORTS={"some_svc": 3001}).setup()
