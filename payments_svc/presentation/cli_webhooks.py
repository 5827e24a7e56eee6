"""Commands about messages from providers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import click

from lib.cli import emit, sessions_of
from lib.errors import DomainError, NotFound
from payments_svc.application.dismiss_notices import dismiss_notice, dismiss_parked
from payments_svc.application.ports import Ports
from payments_svc.application.replay_notices import list_notices, replay_notice, replay_parked
from payments_svc.bootstrap import build_ports
from payments_svc.domain.notice import NoticeStatus


def ports_of(config: dict[str, Any]) -> Ports:
    return build_ports(config, sessions_of(config, "payments_svc"))


@click.command("webhooks")
@click.option("--status", type=click.Choice([str(each) for each in NoticeStatus]), help="only these")
@click.option("--type", help="only those of a type, in the provider's words")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.pass_obj
def webhooks(config: dict[str, Any], status: str | None, type: str | None, limit: int) -> None:
    """Messages from providers, newest first: one line of JSON each, without what they say."""
    wanted = None if status is None else NoticeStatus(status)
    for each in list_notices(ports_of(config), status=wanted, type=type, limit=limit):
        emit(each)


@click.command("replay-webhooks")
@click.option("--id", "notice_id", type=click.UUID, help="one message, whatever became of it")
@click.option("--type", help="parked ones of a type, in the provider's words")
@click.option("--all-parked", is_flag=True, help="all that are parked")
@click.pass_obj
def replay_webhooks(config: dict[str, Any], notice_id: UUID | None, type: str | None, all_parked: bool) -> None:
    """Have messages processed once more: those that were parked when nobody knew what to do with them.

    The running service does it. A message is a hint to look, so one too many does no harm. Those about money that has
    moved for what was given up are replayed one by one, by their ids: each would raise its alarm again.
    """
    if [notice_id is not None, type is not None, all_parked].count(True) != 1:
        raise click.UsageError("give one of --id, --type and --all-parked")
    ports = ports_of(config)
    if notice_id is None:
        replayed = replay_parked(ports, type=type)
    else:
        try:
            replay_notice(ports, notice_id=notice_id)
        except NotFound as exc:
            raise click.ClickException(exc.message) from exc
        replayed = 1
    emit({"replayed": replayed})


@click.command("dismiss-webhooks")
@click.option("--id", "notice_id", type=click.UUID, help="one parked message")
@click.option("--type", help="parked ones of a type, in the provider's words")
@click.option("--reason", required=True, help="kept with the messages")
@click.pass_obj
def dismiss_webhooks(config: dict[str, Any], notice_id: UUID | None, type: str | None, reason: str) -> None:
    """Note that nothing is to be done about parked messages. They are forgotten like processed ones.

    Those about money that has moved for what was given up are dismissed one by one, by their ids.
    """
    if (notice_id is None) == (type is None):
        raise click.UsageError("give one of --id and --type")
    ports, dismissed = ports_of(config), 1
    try:
        if notice_id is not None:
            dismiss_notice(ports, notice_id=notice_id, reason=reason)
        if type is not None:
            dismissed = dismiss_parked(ports, type=type, reason=reason)
    except DomainError as exc:
        raise click.ClickException(exc.message) from exc
    emit({"dismissed": dismissed})


WEBHOOK_COMMANDS = (webhooks, replay_webhooks, dismiss_webhooks)
