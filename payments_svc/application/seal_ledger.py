"""The newest entries of the books get their seals."""

from __future__ import annotations

from payments_svc.application.ports import Ports

BATCH = 500


def seal_ledger(ports: Ports) -> int:
    """Return how many entries were sealed; none if another instance is at it."""
    sealed = 0
    while True:
        batch = ports.ledger.seal(BATCH)
        sealed += batch
        if batch < BATCH:
            break
    ports.ledger.watch()
    return sealed
