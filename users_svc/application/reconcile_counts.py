"""An operator has the counts of followers compared with who follows whom."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from users_svc.application.ports import Ports

BATCH = 500
"""People whose connections stand still while they are counted: few enough that nobody waits for long."""


def reconcile_counts(ports: Ports, *, batch: int = BATCH) -> dict[str, Any]:
    """Repair every count that is not the number of its edges; may run beside everything else, and again.

    :returns: ``checked``, and as ``repaired`` what was wrong and what was found
    """
    checked, after = 0, None
    repaired: list[dict[str, Any]] = []
    while True:
        looked_at, wrong = _next(ports, after, batch)
        if not looked_at:
            return {"checked": checked, "repaired": repaired}
        checked, after = checked + len(looked_at), looked_at[-1]
        repaired += wrong


def _next(ports: Ports, after: UUID | None, batch: int) -> tuple[list[UUID], list[dict[str, Any]]]:
    with ports.unit_of_work() as uow:
        result = uow.connections.reconcile(after, batch)
        uow.commit()
    return result
