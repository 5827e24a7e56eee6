"""Commands for operators: ``python -m lib.cli users_svc <command>``."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import click

from lib.cli import emit, sessions_of
from users_svc.application.reconcile_counts import reconcile_counts
from users_svc.application.reindex_search import reindex_search
from users_svc.bootstrap import build_ports


@click.group(help="Commands of users_svc.")
def commands() -> None:
    """Commands of this service alone; the ones that every service has are in `lib.cli`."""


@commands.command("reconcile-connections")
@click.pass_obj
def reconcile(config: dict[str, Any]) -> None:
    """Compare the counts of followers with who follows whom, and repair them. Safe beside the running service."""
    # Nobody is asked about accounts, here and below.
    emit(reconcile_counts(build_ports(config, sessions_of(config, "users_svc"), None)))


@commands.command("reindex-search")
@click.option("--after", type=click.UUID, help="Go on after this profile, the last one that an interrupted run told.")
@click.pass_obj
def reindex(config: dict[str, Any], after: UUID | None) -> None:
    """Make anew what profiles are searched by, after an upgrade that changes it. Safe beside the running service."""
    ports = build_ports(config, sessions_of(config, "users_svc"), None)
    emit(reindex_search(ports, after=after, progress=_tell))


def _tell(checked: int, last: UUID) -> None:
    click.echo(f"{checked} profiles so far; --after {last}", err=True)
