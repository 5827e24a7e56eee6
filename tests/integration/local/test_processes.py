"""Pid files: our own processes are found and ended, other people's never."""

import json
import subprocess
import sys

import pytest

from deploy.local.ports import wait_until
from deploy.local.processes import Daemon, family, identity, stop_leftovers

SLEEP = ["sleep", "60"]


@pytest.fixture
def run(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def daemons(run):
    started = []

    def start(name="it", argv=SLEEP, **options):
        daemon = Daemon(name, run, **options)
        started.append(daemon)
        daemon.start(argv, env={"PATH": "/usr/bin:/bin"}, cwd=run.parent, output=subprocess.DEVNULL)
        return daemon

    yield start
    for daemon in started:
        daemon.kill()
        if daemon.process:
            daemon.process.kill()
            daemon.process.wait()


def test_a_process_is_remembered_until_it_is_stopped(run, daemons):
    daemon = daemons()
    pid = daemon.pid

    assert Daemon.remembered(daemon.file).pid == pid
    assert daemon.stop(5)
    assert identity(pid) is None
    assert not daemon.file.exists()


def test_a_process_that_does_not_listen_is_killed_in_the_end(daemons):
    daemon = daemons(argv=["sh", "-c", "trap '' TERM; touch ready; while :; do sleep 1; done"])
    assert wait_until((daemon.file.parent.parent / "ready").exists, 5)
    pid = daemon.pid

    assert not daemon.stop(0.2)
    assert identity(pid) is None


def test_children_end_with_their_parent_even_in_a_session_of_their_own(daemons):
    daemon = daemons(argv=["sh", "-c", "setsid sleep 60 & sleep 60 & wait"])
    pid = daemon.pid
    assert wait_until(lambda: len(family(pid)) == 2, 5)
    children = family(pid)

    daemon.kill()

    assert all(identity(child) is None for child in children)


def test_what_a_crashed_process_left_in_its_group_is_cleaned_up(daemons):
    daemon = daemons(argv=["sh", "-c", "sleep 60 & exit 3"])
    pid = daemon.process.pid
    assert wait_until(lambda: daemon.pid is None, 5)
    (orphan,) = family(pid)

    daemon.stop(0)

    assert identity(orphan) is None


def test_another_process_with_the_same_number_is_left_alone(run, daemons):
    daemon = daemons()
    record = json.loads(daemon.file.read_text())
    daemon.file.write_text(json.dumps({**record, "identity": "an earlier boot:1"}))

    assert stop_leftovers(run) == 0
    assert identity(record["pid"]) == record["identity"]


def test_a_copied_folder_does_not_stop_the_original(run, daemons, tmp_path):
    daemon = daemons()
    copy = tmp_path / "copy" / "run"
    copy.mkdir(parents=True)
    (copy / daemon.file.name).write_bytes(daemon.file.read_bytes())

    assert stop_leftovers(copy) == 0
    assert daemon.running


def test_a_damaged_pid_file_is_forgotten(run):
    run.mkdir()
    (run / "it.pid").write_text("{")

    assert stop_leftovers(run) == 0
    assert not list(run.iterdir())


def test_leftovers_are_stopped_from_the_front_to_the_back(run, daemons):
    for name, rank in (("rabbitmq", 1), ("gateway", 11), ("auth_svc", 10)):
        daemons(name, rank=rank)
    said = []

    assert stop_leftovers(run, said.append) == 3
    assert [line.split()[1].rstrip(",") for line in said] == ["gateway", "auth_svc", "rabbitmq"]


def test_a_process_that_is_gone_has_no_identity():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

    assert identity(process.pid) is None
