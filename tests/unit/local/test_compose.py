"""Talking to Docker Compose, with a stand-in for the `docker` command that writes down what it was asked."""

import json
import shutil

import pytest

from deploy.local import compose
from deploy.local.console import LocalError

DOCKER = """\
#!/bin/sh
echo "$@ | $RABBITMQ_PORT $RABBITMQ_MANAGEMENT_PORT $POSTGRES_PORT $REDIS_PORT" >> "$CALLS"
case "$1 $2" in "version --format" | "compose version") exit 0 ;; esac
shift 3  # compose -f <file>
case "$1 $2" in
    "ps --services") echo "$RUNNING" ;;
    "port rabbitmq") echo "127.0.0.1:$(($3 + 20000))" ;;
    "port postgres") echo "127.0.0.1:25432" ;;
    "port redis") echo "0.0.0.0:26379" ;;
    "up --detach") [ -z "$BROKEN" ] || { echo "no such image" >&2; exit 1; } ;;
esac
"""


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """Put the stand-in first on the PATH; returns what it was asked."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(DOCKER)
    program.chmod(0o755)
    calls = tmp_path / "calls"
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(calls))
    return lambda: calls.read_text().splitlines()


@pytest.fixture
def environ(docker, tmp_path):
    return {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "CALLS": str(tmp_path / "calls")}


def make(tmp_path, environ, *parts):
    return compose.Compose(tmp_path, tmp_path / ".local", parts=parts, environ=environ, say=lambda line: None)


def test_what_does_not_run_is_started_on_free_ports_and_stopped_again(tmp_path, environ, docker):
    servers = make(tmp_path, {**environ, "RUNNING": "redis", "POSTGRES_PORT": "15432"}, "postgres", "redis")

    servers.start()
    servers.stop()

    up = next(call for call in docker() if " up --detach" in call)
    assert up.endswith("postgres redis |   15432 26379")
    assert docker()[-1].partition(" |")[0].endswith("stop postgres")
    assert json.loads((tmp_path / ".local" / "compose.json").read_text()) == {"started": []}


def test_the_addresses_name_the_published_ports_and_the_passwords_in_force(tmp_path, environ):
    servers = make(tmp_path, {**environ, "USERS_APP_PASSWORD": "another"}, "rabbitmq", "postgres", "redis")
    servers.start()

    values = servers.environment()

    assert values["AMQP_URI"] == "amqp://guest:guest@127.0.0.1:25672/"
    assert values["AMQP_MANAGEMENT_URL"] == "http://guest:guest@127.0.0.1:35672"
    assert values["AUTH_DATABASE_URL"] == "postgresql+psycopg2://auth_app:auth_app@127.0.0.1:25432/auth"
    assert values["USERS_DATABASE_URL"] == "postgresql+psycopg2://users_app:another@127.0.0.1:25432/users"
    assert values["PAYMENTS_MIGRATION_DATABASE_URL"].endswith(
        "//payments_owner:payments_owner@127.0.0.1:25432/payments"
    )
    assert values["REDIS_URL"] == "redis://127.0.0.1:26379/0"


def test_only_wanted_servers_have_addresses(tmp_path, environ):
    servers = make(tmp_path, environ, "redis")
    servers.start()

    assert servers.environment() == {"REDIS_URL": "redis://127.0.0.1:26379/0"}


def test_a_failure_shows_what_docker_said(tmp_path, environ):
    with pytest.raises(LocalError, match=r"could not start the infrastructure:\n    no such image"):
        make(tmp_path, {**environ, "BROKEN": "1"}, "redis").start()


def test_containers_of_a_crashed_session_are_stopped_by_the_next(tmp_path, environ, docker):
    (tmp_path / compose.FILE).touch()
    make(tmp_path, environ, "redis").start()

    compose.stop_leftovers(tmp_path, tmp_path / ".local", lambda line: None)
    compose.stop_leftovers(tmp_path, tmp_path / ".local", lambda line: None)

    assert len([call for call in docker() if " stop redis" in call]) == 1


def test_clean_removes_the_data_of_containers_that_were_used_once(tmp_path, environ, docker):
    (tmp_path / compose.FILE).touch()
    servers = make(tmp_path, environ, "redis")
    servers.start()
    servers.stop()

    compose.stop_leftovers(tmp_path, tmp_path / ".local", lambda line: None, remove=True)

    assert docker()[-1].partition(" |")[0].endswith("down --volumes")
    assert not (tmp_path / ".local" / "compose.json").exists()


def test_without_docker_no_engine_answers(tmp_path, monkeypatch):
    (tmp_path / compose.FILE).touch()
    monkeypatch.setenv("PATH", str(tmp_path))

    assert shutil.which("docker") is None
    assert not compose.engine_answers(tmp_path)


def test_an_engine_without_our_file_is_of_no_use(tmp_path, docker):
    assert not compose.engine_answers(tmp_path)
    (tmp_path / compose.FILE).touch()
    assert compose.engine_answers(tmp_path)
