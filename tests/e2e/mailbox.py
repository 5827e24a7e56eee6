"""The development mailbox, read as its owner would."""

from __future__ import annotations

import email.policy
import re
from email import message_from_bytes
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from typing import cast

from tests.support.waiting import eventually

LINK = re.compile(r"https?://\S+/pages/[a-z-]+#token=(\S+)")
CODE = re.compile(r"^Code: (\d{3}) (\d{3})\s*$", re.MULTILINE)


class Mailbox:
    """:param folder: where the product puts its mails"""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def files(self, to: str, kind: str | None = None) -> list[Path]:
        """Return the files of the mails to an address, the newest one last."""
        files = sorted(self._folder.glob("*.eml")) if self._folder.is_dir() else []
        return [each for each in files if _matches(_read(each), to, kind)]

    def all(self, to: str, kind: str | None = None) -> list[EmailMessage]:
        """Return the mails to an address, the newest one last."""
        return [_read(each) for each in self.files(to, kind)]

    def newest(self, to: str, kind: str, *, count: int = 1) -> EmailMessage:
        """Wait until there are `count` mails of a kind, and return the newest one."""
        return eventually(lambda: self.all(to, kind)[count - 1 :], within=10)[-1]

    def token(self, to: str, kind: str, *, count: int = 1) -> str:
        """Return the token in the newest mail's link."""
        found = LINK.search(text_of(self.newest(to, kind, count=count)))
        assert found is not None, "the mail has no link"
        return found.group(1)

    def code(self, to: str, kind: str) -> str:
        """Return the code in the newest mail, without its gap."""
        found = CODE.search(text_of(self.newest(to, kind)))
        assert found is not None, "the mail has no code"
        return "".join(found.groups())


@cache
def _read(file: Path) -> EmailMessage:
    """Read a file once: the folder of a long run holds thousands. A mail that is sent again has a new name, which holds
    the first copy for an instant; whoever reads it just then keeps that one, and both say the same.
    """
    return cast(EmailMessage, message_from_bytes(file.read_bytes(), policy=email.policy.default))


def _matches(mail: EmailMessage, to: str, kind: str | None) -> bool:
    return to in str(mail["To"]) and kind in (None, mail["X-Mail-Kind"])


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(preferencelist=("plain",))
    assert body is not None, "the mail has no text"
    return str(body.get_content())
