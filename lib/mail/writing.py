"""How mails are written: an `EmailMessage` with a plain and an HTML form."""

from __future__ import annotations

import secrets
import textwrap
import unicodedata
from binascii import b2a_qp
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.headerregistry import Address, BaseHeader, HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from lib.errors import MailRefused
from lib.mail.letters import Letter
from lib.mail.sender import Sender, is_plain

WIDTH = 72
#: octets in a line that may travel as it is (RFC 5322 §2.1.1)
LONGEST_LINE = 998
LONGEST_FACT = 200
LONGEST_HEADER = 900
#: characters in a line that nobody minds (RFC 5322 §2.1.1)
USUAL_LINE = 78

FROM = b"From "

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


class _Registry(HeaderRegistry):
    """Makes the class of a kind of header once: the standard library makes a new one for each single header."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, type[BaseHeader]] = {}

    def __getitem__(self, name: str) -> type[BaseHeader]:
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = super().__getitem__(name)
        return found


POLICY = SMTP.clone(header_factory=_Registry())

# What is the same in every mail is read once, here.
AUTOMATIC = WholeHeader("Auto-Submitted", "auto-generated")
MIME_VERSION = WholeHeader("MIME-Version", "1.0")
PLAIN = WholeHeader("Content-Type", 'text/plain; charset="utf-8"')
HTML = WholeHeader("Content-Type", 'text/html; charset="utf-8"')
AS_IT_IS = WholeHeader("Content-Transfer-Encoding", "7bit")
QUOTED = WholeHeader("Content-Transfer-Encoding", "quoted-printable")


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
    message = EmailMessage(POLICY)
    message["From"] = _from(sender)
    _address(message, to)
    message["Subject"] = _short("Subject", content["subject"])
    message["Date"] = WholeHeader("Date", format_datetime(now))
    # Percent signs and all: whatever the id is made of, two ids never become one.
    name = quote(mail.id, safe="").replace(".", "%2E")
    message["Message-ID"] = WholeHeader("Message-ID", f"<{name}@{sender.domain}>")
    message["X-Mail-Kind"] = WholeHeader("X-Mail-Kind", mail.kind)
    message["Auto-Submitted"] = AUTOMATIC
    for header, value in (headers or {}).items():
        message[header] = WholeHeader(header, value)
    message["MIME-Version"] = MIME_VERSION
    # Nobody can guess it, so no text holds it; the generator would make one and search the forms for it.
    boundary = f"=_{secrets.token_hex(12)}"
    message["Content-Type"] = WholeHeader("Content-Type", f'multipart/alternative; boundary="{boundary}"')
    message.set_payload([_part(PLAIN, forms.plain.render(content)), _part(HTML, forms.html.render(content))])
    return message


@lru_cache(maxsize=16)
def _from(sender: Sender) -> str:
    header: str = POLICY.header_factory("From", Address(sender.name, addr_spec=sender.address))
    return header


def _address(message: EmailMessage, to: str) -> None:
    """Write whom a mail is for, or raise `MailRefused`."""
    if is_plain(to):
        message["To"] = WholeHeader("To", to)
        return
    message["To"] = to
    if [each.addr_spec for each in message["To"].addresses] != [to]:
        # An address that looks like an encoded word (=?utf-8?q?ann?=@example.com) is read as another one.
        raise MailRefused("the recipient's address cannot be written to")


def _short(name: str, text: str) -> str:
    """Return a header as it is if that needs no work: few and plain letters. All else is the standard library's."""
    plain = text != "" and text.isascii() and text.isprintable() and "=?" not in text
    return WholeHeader(name, text) if plain and len(f"{name}: {text}") <= USUAL_LINE else text


def _part(kind: WholeHeader, text: str) -> EmailMessage:
    """Return one form of a mail, which travels as it is if it can.

    `EmailMessage.set_content` makes the same of it in ten times the time: it writes and reads each header twice.
    """
    lines = text.encode().splitlines()
    body = b"\n".join(lines) + b"\n"
    # Before such a line smtplib would write a ">", as if it were for a file of many mails.
    mangled = body.startswith(FROM) or b"\n" + FROM in body
    part = EmailMessage(POLICY)
    part["Content-Type"] = kind
    if not mangled and body.isascii() and max(map(len, lines), default=0) <= LONGEST_LINE:
        part["Content-Transfer-Encoding"] = AS_IT_IS
    else:
        part["Content-Transfer-Encoding"] = QUOTED
        # RFC 2049 §3. Everywhere, as lines are broken anywhere; 0xff stands for the F, as no UTF-8 holds it.
        body = b2a_qp(body.replace(FROM, b"\xffrom ")).replace(b"=FF", b"=46")
    part.set_payload(body.decode("ascii"))
    return part


def clean(text: str) -> str:
    """Return text that a stranger may have chosen as part of one line that reads as it is written.

    Line breaks would let it pose as more of the mail, marks for the direction of writing let it read backwards.
    """
    visible = text[: LONGEST_FACT + 1]
    if not visible.isprintable():
        visible = "".join(
            " " if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") else each
            for each in visible
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


@lru_cache(maxsize=64)
def _wrap(text: str) -> str:
    # Nearly all that is wrapped is the same in every mail of a kind.
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
