"""Reading the development mailbox, where every mail is a file."""

from __future__ import annotations

import email.policy
from email import message_from_bytes
from pathlib import Path

from deploy.local.console import say

HEADERS = ("Date", "From", "To", "Subject", "X-Mail-Kind")


def show(folder: Path, count: int) -> int:
    """Print the newest mails, the newest one last."""
    newest = sorted(folder.glob("*.eml"))[-count:]
    if not newest:
        say("No mail yet in .local/mail/")
    for file in newest:
        message = message_from_bytes(file.read_bytes(), policy=email.policy.default)
        say(f"--- {file}")
        for name in HEADERS:
            if message[name]:
                say(f"{name}: {message[name]}")
        body = message.get_body(preferencelist=("plain", "html"))
        say(f"\n{body.get_content().rstrip() if body else '(empty)'}\n")
    return 0
