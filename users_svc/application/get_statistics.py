"""Somebody asks how many people came on a day."""

from __future__ import annotations

from users_svc.application.ports import Ports
from users_svc.domain.statistics import DayStatistics, parse_day


def get_statistics(ports: Ports, *, day: str) -> DayStatistics:
    """Return the counts of one UTC day, ``YYYY-MM-DD``."""
    wanted = parse_day(day)
    with ports.unit_of_work() as uow:
        return uow.statistics.of(wanted)
