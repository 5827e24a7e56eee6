"""The head of the audit trail goes to the log: often enough, and not too often."""

import logging

import pytest

from auth_svc.application.verify_audit import InvalidHead
from auth_svc.infrastructure.audit_log import POSITION, SqlAuditLog


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def log(clock):
    return SqlAuditLog(sessions=None, keys=None, clock=clock)


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger="auth_svc.infrastructure.audit_log")
    return lambda: [record.getMessage() for record in caplog.records]


def head(position):
    return f"{position}:{position:064x}"


def test_the_first_head_is_told_at_once(log, lines):
    log.announce(None)
    assert lines() == []
    log.announce(head(1))
    assert lines() == [f"audit head {head(1)}"]


def test_heads_are_told_once_a_minute(log, lines, clock):
    for position in range(1, 241):
        log.announce(head(position))
        clock.now += 0.5
    assert lines() == [f"audit head {head(position)}" for position in (1, 121)]


def test_the_last_head_of_a_burst_is_told_when_the_minute_is_over(log, lines, clock):
    log.announce(head(1))
    log.announce(head(2))
    for _ in range(119):
        clock.now += 0.5
        log.announce(None)
    assert lines() == [f"audit head {head(1)}"]
    clock.now += 0.5
    log.announce(None)
    assert lines() == [f"audit head {head(1)}", f"audit head {head(2)}"]
    clock.now += 1000
    log.announce(None)
    assert len(lines()) == 2


def test_the_position_is_a_metric(log):
    log.announce(head(42))
    assert POSITION._value.get() == 42
    log.announce(None)
    assert POSITION._value.get() == 42


@pytest.mark.parametrize(
    "text", ["", "42", ":", "42:", "42:xyz", f"0:{'00' * 32}", f"-1:{'00' * 32}", f"1:{'00' * 31}", f"x:{'00' * 32}"]
)
def test_what_is_no_head_is_refused_before_anything_is_read(log, text):
    with pytest.raises(InvalidHead) as refusal:
        log.verify(text)
    assert refusal.value.code == "invalid_head"
