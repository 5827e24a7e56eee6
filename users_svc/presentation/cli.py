"""Commands for operators: ``python -m lib.cli users_svc <command>``."""

from __future__ import annotations

from typing import Any

import click

from lib.cli import emit, sessions_of
from users_svc.application.reconcile_counts import reconcile_counts
from users_svc.bootstrap import build_ports


@click.group(help="Commands of users_svc.")
def commands() -> None:
    """Commands of this service alone; the ones that every service has are in `lib.cli`."""


@commands.command("reconcile-connections")
@click.pass_obj
def reconcile(config: dict[str, Any]) -> None:
    """Compare the counts of followers with who follows whom, and repair them. Safe beside the running service."""
    # Nobody is asked about accounts.
    emit(reconcile_counts(build_ports(config, sessions_of(config, "users_svc"), None)))
