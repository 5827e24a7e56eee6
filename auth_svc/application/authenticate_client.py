"""The step that every request of a client program begins with."""

from __future__ import annotations

from auth_svc.application.ports import Ports
from auth_svc.domain.oauth_client import OAuthClient, authenticated, is_client_id


def authenticate_client(ports: Ports, *, client_id: str, client_secret: str) -> OAuthClient:
    """Return who asks, as it stands in the database now: a revoked client is refused from the next request on.

    :raises InvalidClient: unknown, wrong secret, or revoked
    """
    with ports.unit_of_work() as uow:
        client = uow.oauth_clients.find(client_id) if is_client_id(client_id) else None
    return authenticated(client, client_secret)
