"""An operator looks at the programs that may ask about tokens."""

from __future__ import annotations

from collections.abc import Sequence

from auth_svc.application.ports import Ports
from auth_svc.domain.oauth_client import OAuthClient


def list_oauth_clients(ports: Ports) -> Sequence[OAuthClient]:
    """Return all clients, revoked ones too, oldest first."""
    with ports.unit_of_work() as uow:
        return uow.oauth_clients.all()
