"""A configuration that cannot be used ends every program at once, with one line on standard error and a code.

Stock Nameko 2.14.1, seen with `nameko run`: a missing or broken file gives a traceback of 14 to 57 lines; a variable
without a value, and an AMQP_URI that is no URL, let it try to connect for ever; an unknown service ends it with 0.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from deploy.local.environment import names_in, scrub
from tests.conftest import ROOT

EX_CONFIG = 78
REAL = ROOT / "config.yaml"
SERVERS = (("lib.runner", "users_svc"), ("gateway",))
PROGRAMS = (*SERVERS, ("lib.cli", "users_svc", "check-config"))
# Nothing answers on port 1: who starts in spite of a mistake harms nobody.
NOWHERE = {
    "AMQP_URI": "amqp://guest:guest@127.0.0.1:1/",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    **{f"{name}_DATABASE_URL": "postgresql+psycopg2://u:p@127.0.0.1:1/none" for name in ("AUTH", "USERS", "PAYMENTS")},
}
PRODUCTION = {"APP_ENV": "production", "SECRET_KEY": "k" * 40, "METRICS_TOKEN": "m" * 32}


def refusal(program: tuple[str, ...], **environ: str) -> str:
    """Start a program that must not start, and return the one line that it says."""
    process = subprocess.Popen(
        [sys.executable, "-m", *program],
        cwd=ROOT,
        env={**scrub(os.environ, names_in(REAL)), **NOWHERE, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise AssertionError(f"{program} started: {process.communicate()[0][-1000:]}") from None
    assert "Traceback" not in output
    lines = errors.splitlines()
    assert len(lines) == 1, errors
    assert process.returncode == EX_CONFIG
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """``written(b"a: [")`` → the environment with that configuration file; a pair changes the real one."""

    def write(content: bytes | None = None, change: tuple[str, str] = ("", "")) -> dict[str, str]:
        path = tmp_path / "config.yaml"
        old, new = change
        assert old in REAL.read_text()
        path.write_bytes(REAL.read_text().replace(old, new).encode() if content is None else content)
        return {"CONFIG_PATH": str(path)}

    return write


@pytest.fixture
def taken() -> Iterator[str]:
    """A port on which somebody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield str(listener.getsockname()[1])


def said_by(programs: Sequence[tuple[str, ...]], **environ: str) -> set[str]:
    with ThreadPoolExecutor(len(programs)) as pool:
        return set(pool.map(lambda program: refusal(program, **environ), programs))


@pytest.mark.parametrize(
    "environ, said",
    [
        ({"CONFIG_PATH": "/nowhere/config.yaml"}, "/nowhere/config.yaml: No such file or directory"),
        ({"CONFIG_PATH": "/"}, "/: Is a directory"),
        ({"MAX_WORKERS": "abc"}, "max_workers: expected a whole number from 1 to 1000, got 'abc'"),
        ({"MAX_WORKERS": "-1"}, "max_workers: expected a whole number from 1 to 1000, got -1"),
        ({"MAX_WORKERS": "0"}, "max_workers: expected a whole number from 1 to 1000, got 0"),
        ({"APP_ENV": "production"}, "SECRET_KEY: the development default is refused in production"),
        ({**PRODUCTION, "FAULT_POINT": "rpc.before_reply"}, "FAULT_POINT: for tests only, refused in production"),
        (
            {"AMQP_URI": "rabbitmq.example.com"},
            "AMQP_URI: expected a URL that starts with amqp:// or amqps:// or pyamqp://",
        ),
        ({"SECRET_KEY_FILE": "/nowhere/key"}, "SECRET_KEY_FILE: cannot read /nowhere/key: No such file or directory"),
    ],
)
def test_every_program_says_the_same(environ: dict[str, str], said: str):
    assert said_by(PROGRAMS, **environ) == {said}


@pytest.mark.parametrize(
    "content, change, said",
    [
        (b"a: [", ("", ""), "while parsing a flow node"),
        (b"a: \xff\xfe", ("", ""), "not UTF-8 text"),
        (b"- a\n- b\n", ("", ""), "not a mapping"),
        (None, ("RPC_TIMEOUT: ${RPC_TIMEOUT:5}\n", ""), "RPC_TIMEOUT: missing"),
        (None, ("${RPC_TIMEOUT:5}", "${RPC_TIMEOUT}"), "environment variable RPC_TIMEOUT is not set"),
    ],
)
def test_a_file_that_cannot_be_used(written: Callable[..., dict[str, str]], content: Any, change: Any, said: str):
    (line,) = said_by(SERVERS, **written(content, change))
    assert said in line


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\x00b"])
def test_a_secret_file_that_holds_no_text(tmp_path: Path, content: bytes):
    (tmp_path / "key").write_bytes(content)
    (line,) = said_by(SERVERS, SECRET_KEY_FILE=str(tmp_path / "key"))
    assert line.startswith("SECRET_KEY_FILE: ")


@pytest.mark.parametrize(
    "uri", ["amqp://u:hunter2@127.0.0.1:port/", "amqp://u:hunter2@127.0.0.1:99999/", "amqp://u:hunter2@[::1/"]
)
def test_a_url_that_cannot_be_taken_apart_is_refused_without_its_password(uri: str):
    (line,) = said_by(SERVERS, AMQP_URI=uri)
    assert line.startswith("AMQP_URI: ")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "program",
    [("lib.runner", name) for name in ("nobody_svc", "json", "gateway", "lib.config", "tests.services.probe:Nobody")]
    + [("lib.cli", name, "migrate") for name in ("nobody_svc", "json", "gateway", "a..b")],
)
def test_an_unknown_service(program: tuple[str, ...]):
    assert refusal(program)


@pytest.mark.parametrize(
    "program", [("lib.runner",), ("lib.runner", "users_svc", "auth_svc"), ("lib.runner", "--help")]
)
def test_anything_but_one_service(program: tuple[str, ...]):
    assert refusal(program)


@pytest.mark.parametrize("program", [("lib.runner", "users_svc"), ("lib.cli", "users_svc", "migrate")])
def test_a_service_without_its_database(written: Callable[..., dict[str, str]], program: tuple[str, ...]):
    environ = written(change=('"users_svc:Base"', '"other_svc:Base"'))
    assert "DB_URIS" in refusal(program, **environ)


def test_the_command_line_without_the_owners_database(written: Callable[..., dict[str, str]]):
    environ = written(change=("  users_svc: !raw_env_var", "  other_svc: !raw_env_var"))
    assert "MIGRATION_DB_URIS" in refusal(("lib.cli", "users_svc", "migrate"), **environ)


@pytest.mark.parametrize(
    "environ, said",
    [
        ({"USERS_DATABASE_URL": "postgresql+psycopg2://u:hunter2@127.0.0.1:port/users"}, "DB_URIS[users_svc:Base]: "),
        ({"USERS_HTTP_PORT": "70000"}, "HTTP_PORTS[users_svc]: "),
        ({"HTTP_PORT": "abc"}, "HTTP_PORT: "),
        ({"HTTP_PORT": "70000"}, "HTTP_PORT: "),
        ({"SERVICE_HTTP_HOST": ""}, "SERVICE_HTTP_HOST: "),
        ({"SERVICE_HTTP_HOST": "300.300.300.300"}, "HTTP_PORTS[users_svc]: cannot listen on "),
    ],
)
def test_a_service_that_could_not_be_reached(environ: dict[str, str], said: str):
    line = refusal(("lib.runner", "users_svc"), **environ)
    assert line.startswith(said)
    assert "hunter2" not in line


def test_a_container_class_that_is_not_there(written: Callable[..., dict[str, str]]):
    environ = written(change=("lib.container.Container", "lib.container.Nothing"))
    assert "lib.container.Nothing" in refusal(("lib.runner", "users_svc"), **environ)


@pytest.mark.parametrize(
    "environ, said",
    [
        ({"GATEWAY_PORT": "70000"}, "GATEWAY_PORT: "),
        ({"GATEWAY_HOST": "300.300.300.300"}, "GATEWAY_PORT: cannot listen on "),
        ({"PUBLIC_URL": "http://[broken"}, "PUBLIC_URL: "),
        ({"REDIS_URL": "redis://:hunter2@127.0.0.1:port/0"}, "REDIS_URL: "),
        ({"CORS_ORIGINS": "http://[broken"}, "CORS_ORIGINS: "),
        ({"TRUSTED_PROXIES": "everybody"}, "TRUSTED_PROXIES: "),
    ],
)
def test_a_gateway_that_could_not_be_reached(taken: str, environ: dict[str, str], said: str):
    # The port of the last resort is taken, so that a mistake that passes does not start a gateway.
    line = refusal(("gateway",), **{"GATEWAY_PORT": taken, **environ})
    assert line.startswith(said)
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "program, setting, said",
    [
        (("lib.runner", "users_svc"), "USERS_HTTP_PORT", "HTTP_PORTS[users_svc]: port {} is taken"),
        (("gateway",), "GATEWAY_PORT", "GATEWAY_PORT: cannot listen on 127.0.0.1:{}: Address already in use"),
    ],
)
def test_a_port_that_is_taken(taken: str, program: tuple[str, ...], setting: str, said: str):
    assert refusal(program, **{setting: taken}) == said.format(taken)
