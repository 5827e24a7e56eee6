"""More CPU-bound work than threads, in a process with greenlets: some waits, the rest is refused, the hub goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from deploy.local.environment import scrub
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def found() -> Any:
    """What came of 100 jobs of 0.3 s for two threads, of which one second's worth may wait."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.offloading", "100", "0.3"],
        cwd=ROOT,
        env={**scrub(os.environ), "EVENTLET_THREADPOOL_SIZE": "2"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_would_wait_too_long_is_refused_and_nothing_else(found: Any) -> None:
    outcomes = found["outcomes"]
    assert outcomes.keys() == {"done", "overloaded:2"}
    assert sum(outcomes.values()) == 100
    # Two at once, and one second's worth of 0.15 s each.
    assert 5 <= outcomes["done"] <= 8
    assert found["longest"] < 2


def test_no_more_threads_work_than_there_are(found: Any) -> None:
    assert found["most_running"] == 2


def test_the_hub_is_never_stopped(found: Any) -> None:
    assert found["longest_gap"] < 0.25


def test_meanwhile_it_works_in_rounds(found: Any) -> None:
    assert found["rounds"] > 0


def test_whatever_a_function_raises_or_returns_comes_back(found: Any) -> None:
    assert found["strange"] == ["ValueError", "SystemExit", "Timeout", "tuple"]


def test_the_gauge_knows_what_runs_and_waits(found: Any) -> None:
    assert found["at_work"] == found["outcomes"]["done"]
    assert found["left"] == 0


def test_afterwards_there_is_room_again(found: Any) -> None:
    assert found["again"] == "done"
