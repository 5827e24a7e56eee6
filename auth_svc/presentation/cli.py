"""Commands for operators: ``python -m lib.cli auth_svc <command>``."""

from __future__ import annotations

import click

from auth_svc.presentation.cli_accounts import ACCOUNT_COMMANDS
from auth_svc.presentation.cli_audit import AUDIT_COMMANDS
from auth_svc.presentation.cli_clients import clients
from auth_svc.presentation.cli_keys import KEY_COMMANDS


@click.group()
def commands() -> None:
    """Commands that only auth_svc has."""


for command in (*KEY_COMMANDS, clients, *ACCOUNT_COMMANDS, *AUDIT_COMMANDS):
    commands.add_command(command)
