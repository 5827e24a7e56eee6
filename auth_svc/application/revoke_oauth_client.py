"""A program may not ask about tokens any more."""

from __future__ import annotations

from auth_svc.application.ports import Ports
from auth_svc.domain.oauth_client import ClientNotFound, OAuthClient, is_client_id


def revoke_oauth_client(ports: Ports, *, client_id: str) -> OAuthClient:
    """Refuse a client from its next request on, and return it; one that was revoked before stays as it is.

    :raises ClientNotFound: there is none with this id
    """
    with ports.unit_of_work() as uow:
        client = uow.oauth_clients.find(client_id) if is_client_id(client_id) else None
        if client is None:
            raise ClientNotFound
        if client.revoke(ports.now()):
            uow.audit.add("oauth_client.revoked", account_id=None, details={"client_id": client.id})
            uow.commit()
    return client
