"""An account is private no longer: nobody has to wait to follow it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from users_svc.application.ports import Ports, UnitOfWork


def settle_requests(ports: Ports, uow: UnitOfWork, user_id: UUID, now: datetime) -> None:
    """Accept all pending requests to follow `user_id`, in the caller's transaction; the caller commits.

    Call it in the transaction that makes the account public, before or after the change itself: whoever asks to follow
    at the same moment waits for the end of that transaction, and follows at once.
    """
    requests = uow.connections.pending(user_id)
    if requests.requester_ids:
        requests.accept_all()
        uow.connections.settle(requests, edge_ids=[ports.new_id() for _ in requests.requester_ids], now=now)
