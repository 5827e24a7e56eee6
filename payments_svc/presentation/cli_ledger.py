"""Commands about the books."""

from __future__ import annotations

from typing import Any

import click

from lib.cli import emit, sessions_of
from lib.errors import DomainError
from payments_svc.application.get_trial_balance import get_trial_balance
from payments_svc.application.ports import Ports
from payments_svc.application.verify_ledger import verify_ledger as verify
from payments_svc.bootstrap import build_ports
from payments_svc.presentation.ledger_schemas import TRIAL_BALANCE

#: seconds that one statement may take: a person is waiting, and no caller with a deadline
PATIENCE = 600


def ports_of(config: dict[str, Any]) -> Ports:
    return build_ports(config, sessions_of({**config, "DB_STATEMENT_TIMEOUT": PATIENCE}, "payments_svc"))


@click.command("verify-ledger")
@click.option("--expected", metavar="POSITION:HASH", help="a head that was logged before: shows a cut end, too")
@click.pass_obj
def verify_ledger(config: dict[str, Any], expected: str | None) -> None:
    """Look whether the books are as they were written, and whether each transaction adds up.

    Prints the last seal and ends with 0, or prints the first place that is broken and ends with 1. Keep what it prints
    (the service's log has it as "ledger head …", too) away from the database, and give it as --expected the next time.
    """
    try:
        verdict = verify(ports_of(config), expected=expected)
    except DomainError as exc:
        raise click.ClickException(exc.message) from exc
    if verdict.broken is not None:
        raise click.ClickException(verdict.broken)
    click.echo(verdict.head or "nothing is sealed yet")


@click.command("trial-balance")
@click.option("--at", metavar="TIME", help="a moment like 2026-01-31T12:00:00Z; now, if it is not given")
@click.pass_obj
def trial_balance(config: dict[str, Any], at: str | None) -> None:
    """Print the sums of debits and of credits in each currency; ends with 1 if they differ."""
    try:
        result = get_trial_balance(ports_of(config), at=at)
    except DomainError as exc:
        raise click.ClickException(exc.message) from exc
    emit(TRIAL_BALANCE.dump(result))
    if not result["balanced"]:
        raise click.ClickException("debits and credits differ")


LEDGER_COMMANDS: tuple[click.Command, ...] = (verify_ledger, trial_balance)
