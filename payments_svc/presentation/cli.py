"""Commands for operators: ``python -m lib.cli payments_svc <command>``."""

from __future__ import annotations

from typing import Any

import click

from lib.cli import emit, sessions_of
from payments_svc.application.expire_answers import expire_answers
from payments_svc.bootstrap import build_ports
from payments_svc.presentation.cli_ledger import LEDGER_COMMANDS
from payments_svc.presentation.cli_webhooks import WEBHOOK_COMMANDS


@click.group(help="Commands of payments_svc.")
def commands() -> None:
    """Commands of this service alone; the ones that every service has are in `lib.cli`."""


@commands.command("expire-answers")
@click.pass_obj
def expire(config: dict[str, Any]) -> None:
    """Forget stored answers older than IDEMPOTENCY_TTL. Their keys stay known: none charges again."""
    emit({"forgotten": expire_answers(build_ports(config, sessions_of(config, "payments_svc")))})


for command in (*LEDGER_COMMANDS, *WEBHOOK_COMMANDS):
    commands.add_command(command)
