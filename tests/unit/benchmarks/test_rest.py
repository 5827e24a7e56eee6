"""Waiting until the machine is at rest."""

import pytest

from benchmarks.rest import BUSY, LOOK, PATIENCE, Rest


class Machine:
    """:param load: how many cores are busy in each interval of `LOOK` seconds; the last one goes on"""

    def __init__(self, *load):
        self.load, self.now, self.spent, self.looks = list(load), 0.0, 0.0, 0

    def sleep(self, seconds):
        self.now += seconds
        self.spent += seconds * (self.load.pop(0) if len(self.load) > 1 else self.load[0])

    def look(self):
        self.looks += 1
        return self.spent

    def rest(self):
        return Rest(self.look, clock=lambda: self.now, sleep=self.sleep)


@pytest.mark.parametrize(
    ("load", "looks"),
    [
        ([0.0], 2),
        ([2.0, 2.0, 1.0, 0.05], 5),
        # A pause is no rest.
        ([2.0, 0.0, 2.0, 0.0], 5),
        ([BUSY * 0.99], 2),
    ],
)
def test_it_waits_for_two_quiet_looks_in_a_row(load, looks):
    machine = Machine(*load)
    machine.rest()()
    assert machine.now == pytest.approx(looks * LOOK)


def test_a_machine_that_is_never_at_rest_is_waited_for_once(capsys):
    machine = Machine(BUSY * 1.01)
    rest = machine.rest()
    rest()
    assert PATIENCE < machine.now < PATIENCE + 2 * LOOK
    assert "does not come to rest" in capsys.readouterr().err
    waited = machine.now
    rest()
    assert machine.now == waited


def test_a_system_that_tells_nothing_is_not_waited_for():
    machine = Machine(0.0)
    Rest(lambda: None, clock=lambda: machine.now, sleep=machine.sleep)()
    assert machine.now == 0
