"""How mails are written: an `EmailMessage` with a plain and an HTML form."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, Policy
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from lib.errors import MailRefused
from lib.mail.letters import Letter
from lib.mail.sender import Sender

WIDTH = 72
#: octets in a line that may travel as it is (RFC 5322 §2.1.1)
LONGEST_LINE = 998
LONGEST_FACT = 200
LONGEST_HEADER = 900

UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


class WholeHeader(str):
    """A header that stays in one line and as it is: Python would write a long address as encoded words (RFC 2047),
    which no program takes for an address.

    :param value: ASCII, at most 900 characters
    """

    name: str
    defects: tuple[()] = ()

    def __new__(cls, name: str, value: str) -> Self:
        if not value.isascii() or not value.isprintable() or len(value) > LONGEST_HEADER:
            raise ValueError(f"{name}: expected one line of ASCII")
        header = super().__new__(cls, value)
        header.name = name
        return header

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


@dataclass(frozen=True)
class Forms:
    """The two forms of a mail, from the templates ``mail.txt`` and ``mail.html`` of a folder."""

    plain: Any
    html: Any

    @classmethod
    def of(cls, folder: Path) -> Forms:
        environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["wrap"] = _wrap
        return cls(environment.get_template("mail.txt"), environment.get_template("mail.html"))


def write(
    mail: Letter,
    *,
    to: str,
    sender: Sender,
    now: datetime,
    forms: Forms,
    content: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
) -> EmailMessage:
    """Return the mail as it travels.

    :param to: the address, which is there to be written to
    :param content: for the templates; ``subject`` is also the mail's
    :param headers: beside those that every mail has; they stay as they are
    :raises MailRefused: there can be no mailbox of that address
    """
    message = EmailMessage(SMTP)
    message["From"] = Address(sender.name, addr_spec=sender.address)
    message["To"] = to
    if [each.addr_spec for each in message["To"].addresses] != [to]:
        # An address that looks like an encoded word (=?utf-8?q?ann?=@example.com) is read as another one.
        raise MailRefused("the recipient's address cannot be written to")
    message["Subject"] = content["subject"]
    message["Date"] = now
    # Percent signs and all: whatever the id is made of, two ids never become one.
    message["Message-ID"] = f"<{quote(mail.id, safe='').replace('.', '%2E')}@{sender.domain}>"
    message["X-Mail-Kind"] = mail.kind
    message["Auto-Submitted"] = "auto-generated"
    for name, value in (headers or {}).items():
        message[name] = WholeHeader(name, value)
    plain, html = forms.plain.render(content), forms.html.render(content)
    message.set_content(plain, cte=_encoding(plain))
    message.add_alternative(html, subtype="html", cte=_encoding(html))
    return message


def clean(text: str) -> str:
    """Return text that a stranger may have chosen as part of one line that reads as it is written.

    Line breaks would let it pose as more of the mail, marks for the direction of writing let it read backwards.
    """
    visible = "".join(
        " " if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") else each
        for each in text[: LONGEST_FACT + 1]
        if each not in "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )
    line = " ".join(visible.split())
    return line if len(text) <= LONGEST_FACT else f"{line[: LONGEST_FACT - 1]}…"


def grouped(code: str) -> list[str]:
    """Return a code in pieces that can be read and remembered one after the other."""
    size = 3 if len(code) % 3 == 0 else 4
    return [code[at : at + size] for at in range(0, len(code), size)] if len(code) > size + 1 else [code]


def spoken(time: timedelta) -> str:
    """Return ``1 hour 30 minutes``: the two largest units."""
    left = round(time.total_seconds())
    parts = []
    for name, seconds in UNITS:
        number, left = divmod(left, seconds)
        if number:
            parts.append(f"{number} {name}{'' if number == 1 else 's'}")
    return " ".join(parts[:2]) or "0 seconds"


def _wrap(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _encoding(text: str) -> str:
    """Return how the text travels: as it is, if it can."""
    fits = all(len(line) <= LONGEST_LINE for line in text.splitlines())
    return "7bit" if text.isascii() and fits else "quoted-printable"
