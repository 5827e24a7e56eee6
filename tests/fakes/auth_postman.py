"""Hands the mails that were asked for to the worker that sends them, as the broker would."""

from __future__ import annotations

from auth_svc.application.send_mail import send_mail
from auth_svc.domain.mail import MailRequested
from lib.ids import new_id
from tests.fakes.auth import AuthWorld


def deliver(world: AuthWorld) -> None:
    """Send every mail that was asked for and not yet handed over, in their order."""
    while wanted := next((each for each in world.events if isinstance(each, MailRequested)), None):
        world.events.remove(wanted)
        send_mail(
            world.ports,
            event_id=str(new_id()),
            account_id=wanted.account_id,
            kind=wanted.kind,
            reference=wanted.reference,
        )
