"""Asking the processes whether they are well."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """What one health check said; `problem` is empty when it passed."""

    problem: str

    @property
    def passed(self) -> bool:
        return not self.problem


def ask(url: str, timeout: float = 3) -> Answer:
    """Ask one health check. `warn` counts as passed, as it does for load balancers."""
    address = urlsplit(url)
    # http.client and not urllib: a proxy from the environment has no business between us and this machine.
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout)
    try:
        connection.request("GET", address.path)
        response = connection.getresponse()
        body = response.read(65_536).decode(errors="replace")
    except ConnectionRefusedError:
        return Answer("not listening yet")
    except (OSError, http.client.HTTPException) as exc:
        return Answer(f"no answer ({exc.__class__.__name__})")
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        return Answer(f"{response.status} {' '.join(body.split())[:300]}")
    try:
        status = json.loads(body)["status"]
    except (ValueError, KeyError, TypeError):
        return Answer(f"an answer that is no health document: {' '.join(body.split())[:100]}")
    return Answer("" if status in ("pass", "warn") else f"status {status}: {' '.join(body.split())[:300]}")


def wait(
    checks: Mapping[str, str],
    timeout: float,
    *,
    passed: Callable[[str], None],
    interrupted: Callable[[], bool],
    check: Callable[[str], Answer] = ask,
    interval: float = 0.2,
) -> dict[str, str]:
    """Wait until every check has passed; return the problems of those that have not, by name.

    :param checks: name -> URL
    :param passed: called once for each check that passes
    :param interrupted: ends the waiting early when true
    """
    open_checks = dict(checks)
    problems: dict[str, str] = {}
    deadline = time.monotonic() + timeout
    while True:
        for name, url in list(open_checks.items()):
            answer = check(url)
            if answer.passed:
                del open_checks[name]
                passed(name)
            problems[name] = answer.problem
        if not open_checks or interrupted() or time.monotonic() >= deadline:
            return {name: problems[name] for name in open_checks}
        time.sleep(interval)
