"""The moment that a question to the books is about."""

from __future__ import annotations

from datetime import datetime

from payments_svc.application.ports import Ports
from payments_svc.domain.period import InvalidPeriod, parse_moment


def moment_asked_for(ports: Ports, at: str | None) -> datetime:
    """Return the moment that `at` writes, or now.

    :raises InvalidPeriod: it is none, or has not come yet: its answer could still change
    """
    now = ports.now()
    moment = parse_moment(at, "/at") or now
    if moment > now:
        raise InvalidPeriod("this moment has not come yet", "/at")
    return moment
