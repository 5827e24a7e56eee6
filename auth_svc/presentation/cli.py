"""Commands for operators: ``python -m lib.cli auth_svc <command>``."""

from __future__ import annotations

from typing import Any

import click

from auth_svc.application.ensure_signing_key import ensure_signing_key as ensure_key
from auth_svc.bootstrap import build_ports
from lib.cli import emit, sessions_of


@click.group()
def commands() -> None:
    """Commands that only auth_svc has."""


@commands.command("ensure-signing-key")
@click.pass_obj
def ensure_signing_key(config: dict[str, Any]) -> None:
    """Make the key that access tokens are signed with, if there is none. Safe to repeat, also while running.

    Prints one line of JSON for each key that tokens may be signed with.
    """
    for key in ensure_key(build_ports(config, sessions_of(config, "auth_svc"))):
        emit({"kid": key.kid, "algorithm": key.algorithm, "state": key.state, "created_at": key.created_at.isoformat()})
