"""Mails: how they are written (`writing`), and how they travel, over SMTP (`smtp`) or into a folder (`mailbox`).

What they say is each service's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from lib.mail.fault_points import MailerWithFaultPoints
from lib.mail.letters import Letter, Mailer, Renderer
from lib.mail.mailbox import MailboxMailer
from lib.mail.sender import Sender
from lib.mail.settings import RULES, check_production
from lib.mail.smtp import PLACES, SmtpMailer, SmtpServer

__all__ = [
    "PLACES",
    "RULES",
    "Letter",
    "MailboxMailer",
    "Mailer",
    "Renderer",
    "Sender",
    "SmtpMailer",
    "SmtpServer",
    "build_mailer",
    "check_production",
    "mailer_of",
]

L = TypeVar("L", bound=Letter)


def mailer_of(
    renderer: Renderer[L],
    *,
    smtp_url: str,
    smtp_ca_file: str,
    mail_folder: str,
    now: Callable[[], datetime],
    places: int = PLACES,
) -> Mailer[L]:
    """Return the mailer that the settings ask for. Touches no network.

    :param smtp_url: empty: mails become files in `mail_folder`
    :param smtp_ca_file: empty: the system's certificates are trusted
    :param places: mails that may be on their way to a server at a time
    :raises ValueError: for what `settings.RULES` would have refused
    :raises OSError: `smtp_ca_file` holds no certificates
    """
    if smtp_url:
        return SmtpMailer(SmtpServer.parse(smtp_url), renderer, ca_file=smtp_ca_file or None, places=places)
    return MailboxMailer(Path(mail_folder), renderer, now)


def build_mailer(
    config: Mapping[str, Any], renderer: Renderer[L], *, now: Callable[[], datetime], places: int = PLACES
) -> Mailer[L]:
    """Return what a service's mails leave by, with its fault points.

    :raises ConfigError: in production they would not arrive
    """
    if config["APP_ENV"] == "production":
        check_production(config)
    mailer = mailer_of(
        renderer,
        smtp_url=config["SMTP_URL"],
        smtp_ca_file=config["SMTP_CA_FILE"],
        mail_folder=config["MAIL_FOLDER"],
        now=now,
        places=places,
    )
    return MailerWithFaultPoints(mailer)
