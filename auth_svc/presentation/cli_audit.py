"""Commands about the audit trail."""

from __future__ import annotations

from typing import Any

import click

from auth_svc.application.verify_audit import verify_audit as verify
from auth_svc.presentation.cli_keys import ports_of, refusals
from lib.cli import emit


@click.command("verify-audit")
@click.option("--expect", metavar="POSITION:HASH", help="a head that was logged before: shows a cut end, too")
@click.pass_obj
def verify_audit(config: dict[str, Any], expect: str | None) -> None:
    """Look whether the audit trail is as it was written.

    Prints the last seal and ends with 0, or prints the first place that is broken and ends with 1. Keep what it prints
    (the service's log has it as "audit head …", too) away from the database, and give it as --expect the next time.
    """
    with refusals():
        verdict = verify(ports_of(config), expected=expect)
    if verdict.broken is not None:
        raise click.ClickException(verdict.broken)
    click.echo(verdict.head or "nothing is sealed yet")


@click.command("reseal-subject-keys")
@click.pass_obj
def reseal_subject_keys(config: dict[str, Any]) -> None:
    """Encrypt the keys of personal data anew, after a new key was put in front in SECRET_KEY.

    Before the old one is taken away: what it has sealed cannot be read without it. Safe to repeat, also while running.
    """
    emit({"resealed": ports_of(config).audit_log.reseal_keys()})


AUDIT_COMMANDS: tuple[click.Command, ...] = (verify_audit, reseal_subject_keys)
