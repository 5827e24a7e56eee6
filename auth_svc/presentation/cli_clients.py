"""Commands about client programs (RFC 7662, RFC 7009)."""

from __future__ import annotations

import secrets
from typing import Any

import click

from auth_svc.application.create_oauth_client import create_oauth_client
from auth_svc.application.list_oauth_clients import list_oauth_clients
from auth_svc.application.revoke_oauth_client import revoke_oauth_client
from auth_svc.domain.oauth_client import SECRET_PREFIX, OAuthClient
from auth_svc.presentation.cli_keys import ports_of, refusals
from lib.cli import emit
from lib.ids import rfc3339

SECRET_BYTES = 32


def _line(client: OAuthClient) -> dict[str, Any]:
    return {
        "client_id": client.id,
        "name": client.name,
        "created_at": rfc3339(client.created_at),
        "revoked_at": None if client.revoked_at is None else rfc3339(client.revoked_at),
    }


@click.group()
def clients() -> None:
    """Programs that may ask about tokens and revoke them."""


@clients.command()
@click.argument("name")
@click.pass_obj
def create(config: dict[str, Any], name: str) -> None:
    """Make a client and print its id and its secret, which cannot be shown again."""
    secret = SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    with refusals():
        client = create_oauth_client(ports_of(config), name=name, secret=secret)
    emit({**_line(client), "client_secret": secret})


@clients.command("list")
@click.pass_obj
def list_(config: dict[str, Any]) -> None:
    """One line of JSON for each client, revoked ones too."""
    for client in list_oauth_clients(ports_of(config)):
        emit(_line(client))


@clients.command()
@click.argument("client_id")
@click.pass_obj
def revoke(config: dict[str, Any], client_id: str) -> None:
    """Refuse a client from its next request on."""
    with refusals():
        emit(_line(revoke_oauth_client(ports_of(config), client_id=client_id)))
