"""Commands for operators: ``python -m lib.cli users_svc <command>``."""

from __future__ import annotations

import click


@click.group(help="Commands of users_svc.")
def commands() -> None:
    """Commands of this service alone; the ones that every service has are in `lib.cli`."""
