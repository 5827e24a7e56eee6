"""Forget old messages: those that are done with, and of those that wait for a person the ones of unknown types."""

from __future__ import annotations

from datetime import timedelta

from payments_svc.application.ports import Ports
from payments_svc.domain.notice import ParkedFor

KEPT = timedelta(days=30)
"""Providers bring a message again for days, ours for three, and hand out what they have sent for a month at most. One
that came again even later would only be looked at once more."""

KEPT_UNKNOWN_TYPES = timedelta(days=90)
"""Providers tell of far more than anybody asks about: a version that knows the type by then can still replay them."""

AT_ONCE = 1000
"""In one transaction, so that none takes long, nor is cut off."""


def forget_notices(ports: Ports, *, at_once: int = AT_ONCE) -> int:
    """Return how many messages were forgotten."""
    done = _forget(ports, KEPT, None, at_once)
    return done + _forget(ports, KEPT_UNKNOWN_TYPES, ParkedFor.UNKNOWN_TYPE, at_once)


def _forget(ports: Ports, kept: timedelta, parked_for: ParkedFor | None, at_once: int) -> int:
    forgotten, before = 0, ports.now() - kept
    while True:
        with ports.unit_of_work() as uow:
            gone = uow.notices.forget(before, parked_for=parked_for, at_most=at_once)
            uow.commit()
        forgotten += gone
        if gone < at_once:
            return forgotten
