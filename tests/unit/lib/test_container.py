"""The container: a message has one greenlet and one place, and each worker leaves one line."""

import logging

import eventlet
import pytest
from eventlet.event import Event
from nameko.exceptions import ContainerBeingKilled
from sqlalchemy.exc import OperationalError

from lib import context
from lib.container import Container
from lib.context import CallContext
from lib.errors import Conflict
from lib.offload import offload
from lib.queue_consumer import QueueConsumer
from lib.rpc import rpc
from tests.unit.lib.test_config import real


class Service:
    name = "some_svc"

    @rpc
    def method(self, outcome=None):
        if isinstance(outcome, Exception):
            raise outcome
        return context.current().correlation_id


class Entrypoint:
    method_name = "method"
    expected_exceptions = ()
    sensitive_arguments = ()


class Provider:
    """Writes down what it is handed, and waits until it may go on."""

    def __init__(self):
        self.seen = []
        self.gate = Event()

    def handle_message(self, body, message):
        self.seen.append(body)
        self.gate.wait()


@pytest.fixture
def container():
    return Container(Service, real(MAX_WORKERS="2"))


def turn(times=5):
    for _ in range(times):
        eventlet.sleep(0)


def test_a_message_is_looked_at_when_there_is_a_place_for_it(container):
    provider = Provider()
    for number in range(4):
        container.spawn_message(provider, number, None)
    turn()
    waiting = list(provider.seen)
    provider.gate.send()
    turn()
    assert (waiting, provider.seen) == ([0, 1], [0, 1, 2, 3])


def test_every_message_gets_its_turn_and_nothing_is_left_behind(container):
    provider = Provider()
    for number in range(6):
        container.spawn_message(provider, number, None)
    turn()
    provider.gate.send()
    turn()
    assert sorted(provider.seen) == list(range(6))
    assert not container._message_threads
    assert not container._managed_threads
    assert container._worker_pool.free() == 2


def run(container, outcome=None, call=None):
    """Run one worker to its end and return what its entrypoint was told."""
    told = []

    def handle_result(worker_ctx, result, exc_info):
        told.append((result, exc_info and exc_info[1]))
        return result, exc_info

    container.spawn_worker(Entrypoint(), (outcome,), {}, handle_result=handle_result, call=call)
    container._worker_pool.waitall()
    (only,) = told
    return only


def test_a_worker_runs_in_its_calls_context_and_leaves_ours_alone(container):
    with context.using(CallContext("ours")):
        assert run(container, call=CallContext("theirs")) == ("theirs", None)
        assert context.current().correlation_id == "ours"


def test_a_worker_that_nobody_called_has_a_context_of_its_own(container):
    first, _ = run(container)
    second, _ = run(container)
    assert first != second


@pytest.mark.parametrize(
    ("outcome", "level"),
    [(None, "INFO"), (Conflict("taken"), "INFO"), (ValueError("bug"), "ERROR"), (Conflict("taken", a=1), "INFO")],
)
def test_a_worker_leaves_one_line(container, caplog, outcome, level):
    caplog.set_level(logging.INFO, logger="lib.container")
    _, error = run(container, outcome)
    assert error is outcome
    assert [record.levelname for record in caplog.records if record.name == "lib.container"] == [level]


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (None, "ok"),
        (Conflict("x"), "conflict"),
        (ValueError("x"), "ValueError"),
        pytest.param(OperationalError("x", {}, Exception()), "OperationalError"),
    ],
)
def test_what_is_counted(container, outcome, code):
    run(container, outcome)
    assert list(container._counters) == [("method", code)]


def test_a_service_may_have_a_number_of_workers_of_its_own():
    config = {**real(MAX_WORKERS="2"), "WORKERS": {"some_svc": 5, "other_svc": 9}}
    container = Container(Service, config)
    assert container.max_workers == container.config["max_workers"] == container._worker_pool.size == 5
    assert config["max_workers"] == 2, "the others have theirs"


def test_as_many_messages_are_fetched_as_there_are_workers():
    container = Container(Service, {**real(), "WORKERS": {"some_svc": 5}})
    (consumer,) = {each for each in container.extensions if isinstance(each, QueueConsumer)}
    assert consumer.prefetch_count == 5


@pytest.fixture
def limits():
    """``limits()`` → the limits of work off the hub, as they are set."""
    before = offload._longest_wait, offload._most_jobs
    yield lambda: (offload._longest_wait, offload._most_jobs)
    offload._longest_wait, offload._most_jobs = before


@pytest.mark.parametrize(("workers", "jobs"), [(160, 120), (16, 12), (1, 1)])
def test_work_off_the_hub_leaves_some_workers_to_others(limits, workers, jobs):
    class Idle:
        name = "some_svc"

    container = Container(Idle, {**real(OFFLOAD_WAIT="1.5"), "WORKERS": {"some_svc": workers}})
    container.start()
    container.stop()
    assert limits() == (1.5, jobs)


class Failing:
    """A dependency that fails at one moment of a worker's life."""

    attr_name = "failing"

    def __init__(self, when):
        self.when = when

    def _moment(self, name):
        if name == self.when:
            raise RuntimeError(name)

    def get_dependency(self, worker_ctx):
        self._moment("inject")

    def worker_setup(self, worker_ctx):
        self._moment("setup")

    def worker_result(self, worker_ctx, result=None, exc_info=None):
        self._moment("result")

    def worker_teardown(self, worker_ctx):
        self._moment("teardown")


@pytest.mark.parametrize(("when", "fails"), [("inject", True), ("setup", True), ("result", False), ("teardown", False)])
def test_a_dependency_that_fails_is_told_once_and_only_before_the_answer(container, caplog, when, fails):
    container.dependencies = {Failing(when)}
    result, error = run(container)
    assert (str(error) == when) == fails
    assert (result is None) == fails
    assert when in caplog.text, "the log knows"


def test_a_dying_container_starts_no_worker(container):
    container._being_killed = True
    with pytest.raises(ContainerBeingKilled):
        container.spawn_worker(Entrypoint(), (), {})
