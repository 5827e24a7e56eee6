"""Work that comes again and again: when it runs, what a wrong pause is, and which line it leaves."""

import logging
from typing import ClassVar

import eventlet
import pytest
from eventlet.event import Event
from sqlalchemy.exc import OperationalError

from lib.container import Container
from lib.errors import Conflict, Unavailable
from lib.every import Every, every
from tests.unit.lib.test_config import real

SHORT = 0.02


@pytest.fixture
def service():
    """A service class whose method does what a test puts into ``outcomes``, one each run, and waits at ``gate``."""

    class Service:
        name = "some_svc"
        outcomes: ClassVar[list[Exception | None]] = []
        runs: ClassVar[list[float]] = []
        gate = None

        @every(seconds=SHORT)
        def work(self):
            self.runs.append(eventlet.hubs.get_hub().clock())
            if self.gate is not None:
                self.gate.wait()
            outcome = self.outcomes.pop(0) if self.outcomes else None
            if outcome is not None:
                raise outcome

    return Service


@pytest.fixture
def container(service):
    container = Container(service, real(MAX_WORKERS="4"))
    yield container
    with eventlet.Timeout(5):
        container.kill()


def until(condition):
    with eventlet.Timeout(5):
        while not condition():
            eventlet.sleep(0.005)


def test_it_begins_at_once_and_pauses_after_each_end(container, service):
    container.start()
    until(lambda: len(service.runs) >= 4)
    pauses = [later - earlier for earlier, later in zip(service.runs, service.runs[1:], strict=False)]
    assert min(pauses) >= SHORT * 0.9


def test_a_run_that_takes_long_is_waited_for(container, service):
    service.gate = Event()
    container.start()
    until(lambda: service.runs)
    eventlet.sleep(SHORT * 5)
    assert len(service.runs) == 1
    service.gate.send()
    until(lambda: len(service.runs) >= 3)


def test_stopping_waits_for_the_running_one_and_begins_no_other(container, service):
    service.gate = Event()
    container.start()
    until(lambda: service.runs)
    stopping = eventlet.spawn(container.stop)
    eventlet.sleep(SHORT * 3)
    assert not stopping.dead
    service.gate.send()
    with eventlet.Timeout(5):
        stopping.wait()
    eventlet.sleep(SHORT * 3)
    assert len(service.runs) == 1


def test_an_entrypoint_has_stopped_when_its_run_has_ended(container, service):
    service.gate = Event()
    container.start()
    until(lambda: service.runs)
    (entrypoint,) = container.entrypoints
    stopping = eventlet.spawn(entrypoint.stop)
    eventlet.sleep(SHORT * 3)
    assert not stopping.dead
    service.gate.send()
    with eventlet.Timeout(5):
        stopping.wait()


def test_the_pause_is_a_little_different_each_time():
    pauses = [Every(seconds=10)._pause() for _ in range(50)]
    assert len(set(pauses)) > 1
    assert min(pauses) >= 9
    assert max(pauses) <= 11


def test_stopping_in_the_pause_does_not_wait_for_its_end():
    class Service:
        name = "some_svc"
        runs: ClassVar[list[int]] = []

        @every(seconds=3600)
        def work(self):
            self.runs.append(1)

    container = Container(Service, real())
    container.start()
    until(lambda: Service.runs)
    with eventlet.Timeout(5):
        container.stop()


def test_killing_ends_it_in_the_middle(container, service):
    service.gate = Event()
    container.start()
    until(lambda: service.runs)
    with eventlet.Timeout(5):
        container.kill()
    assert container._managed_threads == {}
    eventlet.sleep(SHORT * 3)
    assert len(service.runs) == 1


def test_what_was_never_started_can_be_stopped_and_killed_more_than_once(container):
    (entrypoint,) = container.entrypoints
    entrypoint.stop()
    entrypoint.stop()
    entrypoint.kill()


@pytest.mark.parametrize(
    ("outcome", "levels"),
    [
        (None, ["DEBUG"]),
        (Unavailable("away"), ["WARNING"]),
        (Conflict("taken"), ["WARNING"]),
        (OperationalError("select 1", {}, Exception("no\nserver")), ["WARNING"]),
        (ValueError("bug"), ["ERROR"]),
    ],
)
def test_each_run_leaves_one_line_that_says_how_bad_it_is(container, service, caplog, outcome, levels):
    caplog.set_level(logging.DEBUG, logger="lib.container")
    service.outcomes.append(outcome)
    container.start()
    until(lambda: len(service.runs) >= 2)
    records = [record for record in caplog.records if record.name == "lib.container"][:1]
    assert [record.levelname for record in records] == levels
    assert "\n" not in records[0].getMessage()
    assert bool(records[0].exc_info) == (levels == ["ERROR"])


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_pause_that_is_none_is_refused(seconds):
    with pytest.raises(ValueError, match="more than 0 seconds"):
        Every(seconds=seconds)
