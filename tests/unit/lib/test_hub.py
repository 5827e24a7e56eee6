"""The hub: at once without a line for the threads, in rounds with one."""

import os
import subprocess
import sys

import pytest

from lib import hub as module
from lib.hub import ROUND, Hub


class Pipes:
    """What a hub looks at."""

    def __init__(self, hub):
        self._ends = [os.pipe() for _ in range(2)]
        for read, _ in self._ends:
            hub.poll.register(read, hub.READ_MASK)

    def write(self, number):
        os.write(self._ends[number][1], b"x")

    def of(self, events):
        return {read for read, _ in events} & {read for read, _ in self._ends}, [read for read, _ in self._ends]

    def close(self):
        for pair in self._ends:
            for each in pair:
                os.close(each)


@pytest.fixture
def hub():
    hub = Hub()
    yield hub
    hub.poll.close()


@pytest.fixture
def pipes(hub):
    pipes = Pipes(hub)
    yield pipes
    pipes.close()


@pytest.fixture
def slept(monkeypatch, pipes):
    """What happens while a round goes by: the second pipe gets something to read."""
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        pipes.write(1)

    monkeypatch.setattr(module, "_sleep", sleep)
    return slept


def have_a_line(monkeypatch, jobs):
    monkeypatch.setattr(module.offload, "_jobs", jobs)
    monkeypatch.setattr(module.offload, "_threads", 2)


def test_with_a_line_what_happens_meanwhile_is_dealt_with_in_the_same_round(hub, pipes, slept, monkeypatch):
    have_a_line(monkeypatch, 3)
    pipes.write(0)
    found, both = pipes.of(hub.do_poll(5))
    assert found == set(both)
    assert slept == [ROUND]


@pytest.mark.parametrize("jobs", [0, 2])
def test_without_a_line_nothing_waits(hub, pipes, slept, monkeypatch, jobs):
    have_a_line(monkeypatch, jobs)
    pipes.write(0)
    found, (first, _) = pipes.of(hub.do_poll(5))
    assert found == {first}
    assert slept == []


def test_who_has_more_to_do_already_lets_no_time_go_by(hub, pipes, slept, monkeypatch):
    have_a_line(monkeypatch, 3)
    pipes.write(0)
    assert len(hub.do_poll(0)) == 1
    assert slept == []


def test_nobody_waits_because_nothing_happened(hub, slept, monkeypatch):
    have_a_line(monkeypatch, 3)
    assert hub.do_poll(0.01) == []
    assert slept == []


def test_a_round_ends_when_a_timer_is_due(hub, pipes, slept, monkeypatch):
    have_a_line(monkeypatch, 3)
    pipes.write(0)
    assert hub.do_poll(0.002)
    (round_,) = slept
    assert 0 < round_ <= 0.002


@pytest.mark.parametrize(("chosen", "found"), [({}, "lib.hub"), ({"EVENTLET_HUB": "epolls"}, "eventlet.hubs.epolls")])
def test_services_run_on_it_unless_another_one_is_asked_for(chosen, found):
    look = "import lib.runner, eventlet.hubs as h; lib.runner.main(['users_svc']); print(type(h.get_hub()).__module__)"
    ended = subprocess.run(
        [sys.executable, "-c", look],
        env={**os.environ, **chosen, "CONFIG_PATH": "nowhere.yaml"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ended.stdout.split() == [found]
