"""Everybody may follow an account: nobody has to wait any more."""

from __future__ import annotations

from uuid import UUID

from users_svc.application.ports import Ports

BATCH = 100
"""Requests that one transaction accepts: it locks twice as many rows and then some."""


def settle_requests(ports: Ports, *, user_id: str, batch: int = BATCH) -> None:
    """Accept all pending requests to follow `user_id`, unless they choose their followers again by now.

    In many transactions if there are many. It may be run again, also beside itself: to an end, whatever killed it.
    Whoever asks at this moment follows at once.
    """
    while _settle(ports, UUID(user_id), batch):
        pass


def _settle(ports: Ports, user_id: UUID, batch: int) -> bool:
    """Return whether there may be more."""
    with ports.unit_of_work() as uow:
        requests = uow.connections.pending(user_id, batch)
        if requests.requester_ids:
            requests.accept_all()
            edge_ids = [ports.new_id() for _ in requests.requester_ids]
            uow.connections.settle(requests, edge_ids=edge_ids, now=ports.now())
            uow.commit()
    return requests.more
