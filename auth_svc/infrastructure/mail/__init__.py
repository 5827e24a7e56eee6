"""How mails look (`rendering`, `texts`) and travel: over SMTP (`smtp`), or into a folder (`mailbox`)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from auth_svc.application.ports import Mailer
from auth_svc.infrastructure.mail.mailbox import MailboxMailer
from auth_svc.infrastructure.mail.rendering import MailRenderer, Sender
from auth_svc.infrastructure.mail.settings import RULES, check_production
from auth_svc.infrastructure.mail.smtp import PLACES, SmtpMailer, SmtpServer

__all__ = [
    "PLACES",
    "RULES",
    "MailRenderer",
    "MailboxMailer",
    "Sender",
    "SmtpMailer",
    "SmtpServer",
    "check_production",
    "mailer_of",
]


def mailer_of(
    *,
    smtp_url: str,
    smtp_ca_file: str,
    mail_from: str,
    mail_folder: str,
    public_url: str,
    now: Callable[[], datetime],
    places: int = PLACES,
) -> Mailer:
    """Return the mailer that the settings ask for. Touches no network.

    :param smtp_url: empty: mails become files in `mail_folder`
    :param smtp_ca_file: empty: the system's certificates are trusted
    :param places: mails that may be on their way to a server at a time
    :raises ValueError: for what `settings.RULES` would have refused
    :raises OSError: `smtp_ca_file` holds no certificates
    """
    renderer = MailRenderer(Sender.parse(mail_from), public_url, now)
    if smtp_url:
        return SmtpMailer(SmtpServer.parse(smtp_url), renderer, ca_file=smtp_ca_file or None, places=places)
    return MailboxMailer(Path(mail_folder), renderer, now)
