"""What the operator can set about mails, checked at the start."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from lib.config import ConfigError, Rule, optional, text, url
from lib.mail.sender import Sender
from lib.mail.smtp import SmtpServer


def _read_by(read: Callable[[str], object]) -> Rule:
    """A text that `read` understands. Its errors never show the value, which may hold a password."""

    def rule(name: str, value: Any) -> None:
        text(name, value)
        try:
            read(value)
        except OSError as exc:
            raise ConfigError(f"{name}: cannot read certificates from {value}: {exc.strerror or exc}") from exc
        except ValueError as exc:
            raise ConfigError(f"{name}: {exc}") from exc

    return rule


def _certificates(path: str) -> None:
    ssl.create_default_context(cafile=path)


RULES: dict[str, Rule] = {
    "PUBLIC_URL": url("http", "https"),
    "SMTP_URL": optional(_read_by(SmtpServer.parse)),
    "SMTP_CA_FILE": optional(_read_by(_certificates)),
    "MAIL_FROM": _read_by(Sender.parse),
    "MAIL_FOLDER": text,
}


def check_production(config: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for a setting that would lose mails in production, or let others in through their links."""
    if not config["SMTP_URL"]:
        raise ConfigError("SMTP_URL: needed in production; without it, mails become files that nobody reads")
    if Sender.parse(config["MAIL_FROM"]).domain.lower().endswith(".localhost"):
        raise ConfigError("MAIL_FROM: the development default is refused in production")
    _check_links(config["PUBLIC_URL"])


def _check_links(public_url: str) -> None:
    """Links hold tokens: they are for https, and for a host that nobody can mistake for another."""
    parts = urlsplit(public_url)
    if parts.scheme != "https":
        raise ConfigError("PUBLIC_URL: production needs https, as links in mails hold tokens")
    if not public_url.isascii() or not public_url.isprintable() or " " in public_url or not parts.hostname:
        raise ConfigError(
            "PUBLIC_URL: needs a host in ASCII; a domain of other letters has a form that begins with xn--"
        )
