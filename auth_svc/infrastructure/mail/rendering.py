"""How mails look: an `EmailMessage` with a plain and an HTML form, made from one text per kind (`texts.py`)."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from auth_svc.domain.email import Email, InvalidEmail
from auth_svc.domain.mail import Mail, MailRefused
from auth_svc.infrastructure.mail.texts import TEXTS

TEMPLATES = Path(__file__).parent / "templates"
WIDTH = 72
#: octets in a line that may travel as it is (RFC 5322 §2.1.1)
LONGEST_LINE = 998
LONGEST_FACT = 200

UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
SENDER = re.compile(r"(?P<name>[^<>]*)<(?P<inner>[^<>]*)>|(?P<bare>[^<>]*)")


@dataclass(frozen=True)
class Sender:
    """Who mails come from.

    :param name: may be empty
    :param address: ASCII, because not every server on the way takes another
    """

    name: str
    address: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``Leveret <mail@example.com>`` or an address alone; raises ValueError."""
        match = SENDER.fullmatch(text.strip())
        if match is None or not text.isprintable():
            raise ValueError("expected one address, like Leveret <mail@example.com>")
        name = (match["name"] or "").strip()
        if len(name) > 1 and name[0] == name[-1] == '"':
            name = name[1:-1].strip()
        try:
            address = Email(match["inner"] if match["bare"] is None else match["bare"]).typed
        except InvalidEmail as exc:
            raise ValueError(f"expected one address, like Leveret <mail@example.com>: {exc}") from exc
        if not address.isascii():
            raise ValueError(
                "the address needs to be ASCII; a domain of other letters has a form that begins with xn--"
            )
        return cls(name, address)

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


class MailRenderer:
    """Writes mails.

    :param public_url: of the gateway, for links; never taken from a request
    """

    def __init__(self, sender: Sender, public_url: str, now: Callable[[], datetime]) -> None:
        self.sender = sender
        self._public_url = public_url.rstrip("/")
        self._site = sender.name or urlsplit(public_url).hostname or sender.domain
        self._now = now
        environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["wrap"] = _wrap
        self._plain = environment.get_template("mail.txt")
        self._html = environment.get_template("mail.html")

    def render(self, mail: Mail) -> EmailMessage:
        """Return the mail as it travels.

        :raises MailRefused: there can be no mailbox of that address
        :raises ValueError: the kind needs a token and there is none, or there is one that it has no use for
        """
        try:
            recipient = Email(mail.to).typed
        except InvalidEmail:
            raise MailRefused("the recipient's address cannot be written to") from None
        text = TEXTS[mail.kind]
        if text.has_token is not bool(mail.token):
            raise ValueError(f"a mail of kind {mail.kind} has {'a' if text.has_token else 'no'} token")
        link = f"{self._public_url}/pages/{text.page}"
        if mail.token:
            # In the fragment, which no browser sends to any server, nor to a scanner's.
            link += f"#token={quote(mail.token, safe='')}"
        content = {
            "subject": text.subject.format(site=self._site),
            "greeting": f"Hello {clean(mail.name)}," if mail.name and clean(mail.name) else "Hello,",
            "opening": text.opening.format(site=self._site),
            "facts": [(clean(label), clean(value)) for label, value in mail.facts],
            "label": text.link,
            "link": link,
            "code": grouped(mail.code) if mail.code else [],
            "validity": _validity(mail),
            "otherwise": text.otherwise.format(site=self._site),
            "remedy": text.remedy,
            "site": self._site,
        }
        message = EmailMessage(SMTP)
        message["From"] = Address(self.sender.name, addr_spec=self.sender.address)
        message["To"] = recipient
        if [each.addr_spec for each in message["To"].addresses] != [recipient]:
            # An address that looks like an encoded word (=?utf-8?q?ann?=@example.com) is read as another one.
            raise MailRefused("the recipient's address cannot be written to")
        message["Subject"] = content["subject"]
        message["Date"] = self._now()
        # Percent signs and all: whatever the id is made of, two ids never become one.
        message["Message-ID"] = f"<{quote(mail.id, safe='').replace('.', '%2E')}@{self.sender.domain}>"
        message["X-Mail-Kind"] = mail.kind
        message["Auto-Submitted"] = "auto-generated"
        plain, html = self._plain.render(content), self._html.render(content)
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


def _validity(mail: Mail) -> str:
    if mail.valid_for is None or not (mail.token or mail.code):
        return ""
    what = "Link and code are" if mail.token and mail.code else "The link is" if mail.token else "The code is"
    return f"{what} valid for {spoken(mail.valid_for)} and can be used once."


def _wrap(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _encoding(text: str) -> str:
    """Return how the text travels: as it is, if it can."""
    fits = all(len(line) <= LONGEST_LINE for line in text.splitlines())
    return "7bit" if text.isascii() and fits else "quoted-printable"
