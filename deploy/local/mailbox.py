"""Reading the development mailbox, where every mail is a file."""

from __future__ import annotations

import argparse
import email.policy
import re
from collections.abc import Sequence
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path

from deploy.local.console import say

HEADERS = ("Date", "From", "To", "Subject", "X-Mail-Kind")
LINK = re.compile(r"^https?://\S+$", re.MULTILINE)
CODE = re.compile(r"^Code: (.+)$", re.MULTILINE)


def main(folder: Path, arguments: Sequence[str]) -> int:
    """Show what ``make mail ARGS="…"`` asks for."""
    parser = argparse.ArgumentParser(prog="make mail", usage='make mail [ARGS="[count] [--to address] [--kind kind]"]')
    parser.add_argument("count", nargs="?", type=_count, default=1, help="so many of the newest, the newest one last")
    parser.add_argument("--to", help="only mails to this address")
    parser.add_argument("--kind", help="only mails of this kind: verification, password_reset, …")
    chosen = parser.parse_args(arguments)
    return show(folder, chosen.count, to=chosen.to, kind=chosen.kind)


def show(folder: Path, count: int, *, to: str | None = None, kind: str | None = None) -> int:
    """Print the newest mails, the newest one last, and each one's link at its end, alone on its line."""
    found: list[tuple[Path, EmailMessage]] = []
    for file in sorted(folder.glob("*.eml"), reverse=True):
        message = _read(file)
        if message is not None and _fits(message, to, kind):
            found.append((file, message))
        if len(found) == count:
            break
    if not found:
        say(f"No {'such ' if to or kind else ''}mail yet in {folder}/")
    for file, message in reversed(found):
        say(f"--- {file}")
        for name in HEADERS:
            if message[name]:
                say(f"{name}: {message[name]}")
        body = message.get_body(preferencelist=("plain", "html"))
        text = body.get_content().rstrip() if body else "(empty)"
        say(f"\n{text}\n")
        for code in CODE.findall(text):
            say(f"Code: {code.replace(' ', '')}")
        for link in LINK.findall(text):
            say(link)
    return 0


def _read(file: Path) -> EmailMessage | None:
    try:
        message = message_from_bytes(file.read_bytes(), policy=email.policy.default)
    except FileNotFoundError:
        return None  # sent again just now, and so under another name
    for name, value in list(message.raw_items()):
        if not value.isascii():
            # UTF-8 as it is (RFC 6532), which the parser takes for damage.
            text = value.encode("ascii", "surrogateescape").decode(errors="replace")
            message.replace_header(name, " ".join(text.splitlines()))
    return message


def _fits(message: EmailMessage, to: str | None, kind: str | None) -> bool:
    recipients = [each.addr_spec.casefold() for each in message["To"].addresses] if message["To"] else []
    return (to is None or to.casefold() in recipients) and (kind is None or message["X-Mail-Kind"] == kind)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected how many mails, got {text!r}")
    return int(text)
