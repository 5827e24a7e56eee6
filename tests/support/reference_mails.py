"""Mails as the standard library alone writes them, to compare ours with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email import message_from_bytes, message_from_string
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, default
from typing import Any
from urllib.parse import quote

from lib.errors import MailRefused
from lib.mail import Sender
from lib.mail.letters import Letter
from lib.mail.writing import Forms, WholeHeader


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
    """Do what `lib.mail.writing.write` does, and leave each header and each form to the standard library."""
    message = EmailMessage(SMTP)
    message["From"] = Address(sender.name, addr_spec=sender.address)
    message["To"] = to
    if [each.addr_spec for each in message["To"].addresses] != [to]:
        raise MailRefused("the recipient's address cannot be written to")
    message["Subject"] = content["subject"]
    message["Date"] = now
    message["Message-ID"] = f"<{quote(mail.id, safe='').replace('.', '%2E')}@{sender.domain}>"
    message["X-Mail-Kind"] = mail.kind
    message["Auto-Submitted"] = "auto-generated"
    for name, value in (headers or {}).items():
        message[name] = WholeHeader(name, value)
    plain, html = forms.plain.render(content), forms.html.render(content)
    message.set_content(plain, cte=_encoding(plain))
    message.add_alternative(html, subtype="html", cte=_encoding(html))
    return message


def _encoding(text: str) -> str:
    # smtplib changes lines that begin with "From ".
    fits = all(len(line) <= 998 and not line.startswith("From ") for line in re.split("[\r\n]", text))
    return "7bit" if text.isascii() and fits else "quoted-printable"


def read(message: EmailMessage, *, utf8: bool = False, linesep: str = "\r\n") -> dict[str, Any]:
    """Return what a program reads in a mail that has travelled, having checked that it could.

    :param utf8: addresses travel as they are (RFC 6531)
    """
    raw = message.as_bytes(policy=message.policy.clone(utf8=utf8, linesep=linesep))
    _can_travel(raw, linesep.encode())
    if utf8:
        # Which the parser of bytes takes for damage.
        arrived = message_from_string(raw.decode(), policy=default)
    else:
        assert raw.isascii()
        arrived = message_from_bytes(raw, policy=default)
    assert isinstance(arrived, EmailMessage)
    parts = list(arrived.iter_parts())
    assert [each.defects for each in (arrived, *parts)] == [[]] * 3
    return {
        "headers": [(name, str(value)) for name, value in arrived.items() if name != "Content-Type"],
        "to": [each.addr_spec for each in arrived["To"].addresses],
        "from": [(each.display_name, each.addr_spec) for each in arrived["From"].addresses],
        "date": arrived["Date"].datetime,
        "type": arrived.get_content_type(),
        "parts": [_part(each) for each in parts],
    }


def _part(part: Any) -> tuple[Any, ...]:
    # Without MIME-Version, which means nothing in a part (RFC 2045 §4).
    headers = {name: str(value) for name, value in part.items() if name != "MIME-Version"}
    return headers, part.get_content_charset(), part.get_content()


def _can_travel(raw: bytes, linesep: bytes) -> None:
    """Check lines (RFC 5322 §2.1, RFC 2045 §2.7)."""
    lines = raw.split(linesep)
    assert max(map(len, lines)) <= 998
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert lines[-1] == b""
