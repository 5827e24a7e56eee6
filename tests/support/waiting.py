"""Wait for something with a deadline, instead of sleeping and hoping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(probe: Callable[[], T], *, within: float = 10.0, every: float = 0.02) -> T:
    """Return the first truthy result of `probe`; raise AssertionError with the last one after `within` seconds.

    An AssertionError or a lookup that fails inside the probe counts as "not yet".
    """
    deadline = time.monotonic() + within
    while True:
        last: object
        try:
            result = probe()
            if result:
                return result
            last = result
        except (AssertionError, LookupError, OSError) as exc:
            last = exc
        if time.monotonic() > deadline:
            raise AssertionError(f"not so after {within} s; last seen: {last!r}")
        time.sleep(every)


def stays(probe: Callable[[], object], *, during: float, every: float = 0.05) -> None:
    """Assert that `probe` is truthy all the time for `during` seconds."""
    deadline = time.monotonic() + during
    while time.monotonic() < deadline:
        result = probe()
        assert result, f"did not stay so: {result!r}"
        time.sleep(every)
