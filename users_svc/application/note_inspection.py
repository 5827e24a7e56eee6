"""An administrator sees what others do not: that is written down before they see it."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from users_svc.application.ports import Ports
from users_svc.domain.inspection import Inspection


def note_inspection(ports: Ports, *, actor_id: UUID, seen: Iterable[UUID]) -> None:
    """Send an event for everybody whom `actor_id` sees by their office. Call it before the answer.

    The event stands in the outbox then, and reaches the audit trail whatever happens to this process or that one. If
    it cannot be written, nothing is shown.
    """
    inspection = Inspection(ports.new_id(), actor_id)
    for user_id in seen:
        inspection.see(user_id)
    if inspection.number_of_events:
        with ports.unit_of_work() as uow:
            uow.announce(inspection)
            uow.commit()
