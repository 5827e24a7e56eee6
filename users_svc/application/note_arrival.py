"""An account was made: count it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from lib.errors import SeenBefore
from users_svc.application.ports import Ports
from users_svc.domain.statistics import day_of


def note_arrival(ports: Ports, *, event_id: str, occurred_at: str) -> None:
    """Count a registration on the day on which it happened, however late the news comes.

    :param occurred_at: the event's own time, RFC 3339
    """
    day = day_of(datetime.fromisoformat(occurred_at))
    with ports.unit_of_work() as uow, suppress(SeenBefore):
        uow.note("note_arrival", event_id)
        uow.statistics.add_registration(day)
        uow.commit()
