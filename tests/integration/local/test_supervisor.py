"""The supervisor, with tiny commands in the place of services."""

import sys
import time

import pytest

from deploy.local import supervisor as module
from deploy.local.ports import wait_until
from deploy.local.processes import family, identity
from deploy.local.supervisor import Command, Supervisor

# Writes its name to the file `events` when it starts and when it is asked to stop.
SERVICE = """
import os, signal, sys, time
def note(what):
    with open("events", "a") as file:
        file.write(f"{what} {sys.argv[1]}\\n")
def stop(*_):
    note("stopping")
    time.sleep(float(sys.argv[2]))
    note("stopped")
    print("goodbye")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
note("started")
print("hello from", sys.argv[1], os.environ["GREETING"])
while True:
    time.sleep(0.05)
"""


def service(name, *, stage=0, drain="0", **env):
    return Command(name, [sys.executable, "-c", SERVICE, name, drain], stage=stage, env=env)


def shell(name, script):
    return Command(name, ["sh", "-c", script])


@pytest.fixture
def supervise(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FIRST_DELAY", 0.05)
    running = []

    def start(*commands, **options):
        supervisor = Supervisor(
            commands,
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "GREETING": "to all"},
            run=tmp_path / "run",
            logs=tmp_path / "log",
            colours=False,
            **options,
        )
        running.append(supervisor)
        supervisor.start()
        return supervisor

    yield start
    for supervisor in running:
        supervisor.stop(hurry=lambda: True)


def watched(supervisor, condition, timeout=10):
    """Wait for a condition while the supervisor looks after its processes."""

    def look():
        supervisor.check()
        return condition()

    return wait_until(look, timeout)


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def test_output_is_labelled_on_the_screen_and_plain_in_the_log(supervise, tmp_path, capsys):
    supervisor = supervise(service("auth_svc"), service("gateway", stage=1, GREETING="to one"))

    assert watched(supervisor, lambda: len(lines(tmp_path / "log" / "gateway.log")) == 1)
    assert watched(supervisor, lambda: len(lines(tmp_path / "log" / "auth_svc.log")) == 1)

    assert (tmp_path / "log" / "auth_svc.log").read_text() == "hello from auth_svc to all\n"
    printed = capsys.readouterr().out
    assert "auth_svc | hello from auth_svc to all\n" in printed
    assert "gateway  | hello from gateway to one\n" in printed


def test_the_gateway_stops_before_the_services_that_it_needs(supervise, tmp_path):
    supervisor = supervise(service("auth_svc"), service("users_svc"), service("gateway", stage=1, drain="0.3"))
    assert watched(supervisor, lambda: len(lines(tmp_path / "events")) == 3)

    supervisor.stop()

    events = lines(tmp_path / "events")[3:]
    assert events[:2] == ["stopping gateway", "stopped gateway"]
    assert sorted(events[2:]) == [
        "stopped auth_svc",
        "stopped users_svc",
        "stopping auth_svc",
        "stopping users_svc",
    ]


def test_a_process_that_dies_is_started_again_each_time_later(supervise, tmp_path, capsys):
    supervisor = supervise(shell("auth_svc", "echo run >> runs; sleep 60 & exit 3"))

    assert watched(supervisor, lambda: len(lines(tmp_path / "runs")) == 3)

    printed = capsys.readouterr().out
    assert "died (exit code 3), starting it again in 0.1 s" in printed
    assert supervisor.failing(2).command.name == "auth_svc"
    assert not supervisor.idle


def test_a_process_that_was_killed_is_started_again_without_its_children(supervise):
    supervisor = supervise(shell("auth_svc", "sleep 60 & sleep 60 & wait"))
    child = supervisor.children[0]
    pid = child.daemon.pid
    assert watched(supervisor, lambda: len(family(pid)) == 2)
    children = family(pid)

    child.daemon.process.kill()

    assert watched(supervisor, lambda: child.daemon.pid not in (None, pid))
    assert all(identity(each) is None for each in children)


def test_a_process_that_was_asked_to_end_is_not_started_again(supervise, capsys):
    supervisor = supervise(shell("auth_svc", "exit 0"))

    assert watched(supervisor, lambda: supervisor.idle)

    assert supervisor.failing(1) is None
    assert "is not started again" in capsys.readouterr().out


def test_a_wrong_configuration_is_not_tried_again(supervise, capsys):
    supervisor = supervise(shell("auth_svc", "echo 'error: RPC_TIMEOUT: wrong'; exit 78"))

    assert watched(supervisor, lambda: supervisor.failing(3) is not None)

    assert watched(supervisor, lambda: list(supervisor.failing(3).recent) == ["error: RPC_TIMEOUT: wrong"])
    assert supervisor.idle
    assert "refuses its configuration" in capsys.readouterr().out


def test_a_command_that_does_not_exist_is_reported(supervise, capsys):
    supervisor = supervise(Command("gateway", ["/does/not/exist"]))

    assert supervisor.failing(1).command.name == "gateway"
    assert "could not be started" in capsys.readouterr().out


def test_unfinished_work_is_waited_for(supervise, tmp_path):
    supervisor = supervise(service("auth_svc", drain="0.5"))
    assert watched(supervisor, lambda: lines(tmp_path / "events") == ["started auth_svc"])

    supervisor.stop()

    assert lines(tmp_path / "events")[-1] == "stopped auth_svc"
    # The last words are in the log, too.
    assert lines(tmp_path / "log" / "auth_svc.log")[-1] == "goodbye"


@pytest.mark.parametrize("how", ["a second Ctrl-C", "the time limit"])
def test_waiting_has_an_end(supervise, tmp_path, how):
    supervisor = supervise(service("auth_svc", drain="60"), stop_timeout=0.5 if how == "the time limit" else 60)
    assert watched(supervisor, lambda: lines(tmp_path / "events") == ["started auth_svc"])
    pid = supervisor.children[0].daemon.pid
    begun = time.monotonic()

    supervisor.stop(lambda: how == "a second Ctrl-C")

    assert time.monotonic() - begun < 20
    assert identity(pid) is None
    assert lines(tmp_path / "events")[-1] != "stopped auth_svc"


def test_stopping_twice_is_harmless(supervise, tmp_path):
    supervisor = supervise(service("auth_svc"))
    assert watched(supervisor, lambda: lines(tmp_path / "events") == ["started auth_svc"])

    supervisor.stop()
    supervisor.stop()

    assert not list((tmp_path / "run").glob("*.pid"))
