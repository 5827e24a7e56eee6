"""`make up` and `make down` in a stand-in project: the real Makefile and machinery, tiny services, given servers."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.environment import read, scrub
from deploy.local.ports import choose, wait_until
from deploy.local.processes import identity

PROJECT = Path(__file__).parents[3]
NAMES = ["auth_svc", "gateway", "payments_svc", "users_svc"]

CLI = """
import os, sys
with open("events", "a") as file:
    file.write(f"{sys.argv[2]} {sys.argv[1]} as {os.environ['USERS_MIGRATION_DATABASE_URL'].partition('@')[0]}\\n")
print("the reason")
sys.exit(int(os.environ.get("MIGRATION_CODE", "0")))
"""

PROCESS = """
import json, os, signal, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
name = sys.argv[1] if len(sys.argv) > 1 else "gateway"
class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"status": "pass", "leaked": [n for n in os.environ if "MIGRATION" in n]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
port = os.environ["GATEWAY_PORT"] if name == "gateway" else os.environ[name.removesuffix("_svc").upper() + "_HTTP_PORT"]
def note(what):
    with open("events", "a") as file:
        file.write(f"{what} {name}\\n")
def drain(*_):
    time.sleep(float(os.environ["DRAIN"]))
    note("drained")
    sys.exit()
signal.signal(signal.SIGTERM, drain)
note("start")
HTTPServer(("127.0.0.1", int(port)), Health).serve_forever()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A checkout whose processes are stand-ins and whose lock file lists nothing."""
    folder = tmp_path_factory.mktemp("check out")
    shutil.copytree(PROJECT / "deploy" / "local", folder / "deploy" / "local")
    for name in ("Makefile", "config.yaml"):
        shutil.copy(PROJECT / name, folder / name)
    for name, text in {"lib/cli.py": CLI, "lib/runner.py": PROCESS, "gateway/__main__.py": PROCESS}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / "requirements.lock").write_text("# nothing\n")
    return folder


@pytest.fixture
def environ(project, request):
    """The environment of a person who has servers of their own: sockets that listen are enough for the stand-ins.

    As a parameter: how many seconds the stand-ins need to finish their work.
    """
    (project / "events").unlink(missing_ok=True)
    (project / ".env").write_text("LOG_LEVEL='DEBUG' # from the file\nUSERS_HTTP_PORT=1\n")
    given = {
        name: str(choose([])) for name in ("GATEWAY_PORT", "AUTH_HTTP_PORT", "USERS_HTTP_PORT", "PAYMENTS_HTTP_PORT")
    }
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        given |= {"AMQP_URI": f"amqp://me:secret@{address}/", "REDIS_URL": f"redis://{address}/0"}
        for name in ("AUTH", "USERS", "PAYMENTS"):
            given[f"{name}_DATABASE_URL"] = f"postgresql+psycopg2://app:secret@{address}/x"
            given[f"{name}_MIGRATION_DATABASE_URL"] = f"postgresql+psycopg2://owner:secret@{address}/x"
        # Not what a `make` around this test was told.
        clean = {name: value for name, value in scrub(os.environ).items() if not name.startswith("MAKE")}
        yield {**clean, **given, "PYTHON": sys.executable, "DRAIN": getattr(request, "param", "0")}


@pytest.fixture
def make(project, environ):
    """Run a target to its end; returns code and output."""

    def run(target, *arguments, **changes):
        done = subprocess.run(
            ["make", target, *arguments],
            cwd=project,
            env={**environ, **changes},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture
def running(project, environ, tmp_path):
    """`make up` in its own session, as in another terminal; returns the process and its output so far."""
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            ["make", "up"], cwd=project, env=environ, stdout=file, stderr=file, stdin=subprocess.DEVNULL
        )
    try:
        assert wait_until(lambda: "A first request" in output.read_text() or process.poll() is not None, 90)
        assert process.poll() is None, output.read_text()
        yield process, output.read_text
    finally:
        process.terminate()
        process.wait(60)


def events(project):
    return (project / "events").read_text().splitlines()


def supervisor_of(project):
    return json.loads((project / ".local" / "up.json").read_text())["pid"]


def processes(project):
    return [json.loads(file.read_text()) for file in (project / ".local" / "run").glob("*.pid")]


def test_up_prepares_starts_and_tells(project, environ, running, make):
    _, output = running

    # All three migrations, as the owner role, come before any process.
    assert sorted(events(project)[:3]) == [
        f"migrate {name}_svc as postgresql+psycopg2://owner:secret" for name in ("auth", "payments", "users")
    ]
    assert sorted(events(project)[3:]) == [f"start {each}" for each in NAMES]
    assert f"http://localhost:{environ['GATEWAY_PORT']}/docs" in output()
    assert "secret" not in output()
    # The environment wins over .env, and what is in force is remembered for `make shell`.
    settings = read(project / ".local" / "env")
    assert settings["LOG_LEVEL"] == "DEBUG"
    assert settings["USERS_HTTP_PORT"] == environ["USERS_HTTP_PORT"]
    assert settings["PUBLIC_URL"] == f"http://localhost:{environ['GATEWAY_PORT']}"
    connection = http.client.HTTPConnection("127.0.0.1", int(environ["AUTH_HTTP_PORT"]), timeout=5)
    connection.request("GET", "/")
    assert json.load(connection.getresponse())["leaked"] == []
    connection.close()

    code, said = make("up")

    assert code != 0
    assert "error: it runs already in this checkout" in said


def test_down_from_another_terminal_stops_everything(project, running, make):
    process, output = running
    found = processes(project)
    assert len(found) == 4

    code, said = make("down")

    assert (code, process.wait(30)) == (0, 0)
    assert "stopping the running `make up`" in said
    assert output().endswith("Stopped\n")
    assert [each for each in found if identity(each["pid"]) == each["identity"]] == []
    assert not (project / ".local" / "env").exists()
    assert not (project / ".local" / "up.json").exists()


@pytest.mark.parametrize("environ", ["60"], indirect=True)
def test_ctrl_c_again_and_again_waits_no_longer(project, running):
    process, output = running
    found = processes(project)
    supervisor = supervisor_of(project)

    def again():
        os.kill(supervisor, signal.SIGINT)
        return wait_until(lambda: "was killed" in output(), 0.3, 0.02)

    assert wait_until(again, 15, 0.01)  # well before the time limit

    assert process.wait(30) == 0
    assert output().endswith("Stopped\n")
    assert not [line for line in events(project) if line.startswith("drained")]
    assert [each for each in found if identity(each["pid"]) == each["identity"]] == []


@pytest.mark.parametrize("environ", ["0.4"], indirect=True)
def test_one_stop_that_arrives_twice_waits_for_unfinished_work(project, running):
    """`timeout` signals make and all that it runs, and make passes on what it gets."""
    process, output = running
    supervisor = supervisor_of(project)

    os.kill(supervisor, signal.SIGTERM)
    assert wait_until(lambda: "Stopping" in output(), 10, 0.01)
    os.kill(supervisor, signal.SIGTERM)

    assert process.wait(30) == 0
    assert "did not end in time" not in output()
    assert sorted(events(project)[-4:]) == [f"drained {each}" for each in NAMES]


def test_a_killed_supervisor_leaves_nothing_running(project, running, make):
    process, _ = running
    found = processes(project)

    os.kill(supervisor_of(project), signal.SIGKILL)

    assert process.wait(10) != 0
    assert wait_until(lambda: not any(identity(each["pid"]) == each["identity"] for each in found), 30)
    assert make("down")[0] == 0


def test_a_failed_migration_starts_no_process(project, make):
    code, said = make("up", MIGRATION_CODE="3")

    assert code != 0
    assert "failed (exit code 3)\n    the reason" in said
    assert not [line for line in events(project) if line.startswith("start")]


def test_a_taken_port_is_named_with_its_variable(make):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, said = make("up", AUTH_HTTP_PORT=port)

    assert code != 0
    assert f"error: port {port} (auth_svc) is taken" in said
    assert "make up AUTH_HTTP_PORT=" in said


def test_a_given_address_that_is_none_is_named_without_its_password(make):
    code, said = make("up", REDIS_URL="redis://:secret@127.0.0.1:x/0")

    assert code != 0
    assert "error: REDIS_URL is not an address" in said
    assert "secret" not in said


def test_without_a_running_system_there_is_no_shell(make):
    code, said = make("migrate")

    assert code != 0
    assert "start it in another terminal: make up" in said


def test_clean_removes_local_state(project, make):
    (project / ".local" / "mail").mkdir(parents=True, exist_ok=True)
    (project / "lib" / "__pycache__").mkdir(exist_ok=True)

    assert make("clean")[0] == 0

    assert not (project / ".local").exists()
    assert not (project / "lib" / "__pycache__").exists()
    assert (project / ".venv").exists()


def test_help_lists_the_targets(make):
    code, said = make("help")

    assert code == 0
    listed = [line.split()[1] for line in said.splitlines()]
    assert {"up", "down", "clean", "test", "unit", "integration", "contract", "e2e", "fmt", "check"} <= set(listed)
    assert {"bench", "faults", "logs", "shell", "migrate", "mail"} <= set(listed)
