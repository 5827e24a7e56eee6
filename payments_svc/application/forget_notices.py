"""Forget the messages that were processed long ago; those that wait for something, or for a person, stay."""

from __future__ import annotations

from datetime import timedelta

from payments_svc.application.ports import Ports

KEPT = timedelta(days=30)
"""Providers bring a message again for days, ours for three, and hand out what they have sent for a month at most. One
that came again even later would only be looked at once more."""

AT_ONCE = 1000
"""In one transaction, so that none takes long, nor is cut off."""


def forget_notices(ports: Ports, *, at_once: int = AT_ONCE) -> int:
    """Return how many messages were forgotten."""
    forgotten, before = 0, ports.now() - KEPT
    while True:
        with ports.unit_of_work() as uow:
            gone = uow.notices.forget_processed(before, at_most=at_once)
            uow.commit()
        forgotten += gone
        if gone < at_once:
            return forgotten
