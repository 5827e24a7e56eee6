"""An operator lets a program ask about tokens."""

from __future__ import annotations

from auth_svc.application.ports import Ports
from auth_svc.domain.oauth_client import OAuthClient


def create_oauth_client(ports: Ports, *, name: str, secret: str) -> OAuthClient:
    """Add a client and return it.

    :param name: for people; need not be unique
    :param secret: fresh and random (`oauth_client.SECRET_SHAPE`); only its hash is kept
    :raises InvalidClientName: empty, too long, or not printable
    """
    client = OAuthClient.register(id=ports.new_id(), name=name, secret=secret, now=ports.now())
    with ports.unit_of_work() as uow:
        uow.oauth_clients.add(client)
        uow.audit.add("oauth_client.created", account_id=None, details={"client_id": client.id, "name": client.name})
        uow.commit()
    return client
