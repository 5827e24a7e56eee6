"""Mails: what kinds there are, and what each has to say. How they look and travel is an adapter's business."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, Literal
from uuid import UUID

from lib.aggregate import Aggregate

MailKind = Literal[
    "verification",
    "claim",
    "password_reset",
    "password_changed",
    "email_change",
    "email_change_notice",
    "account_exists",
    "new_device",
    "session_ended",
]


@dataclass(frozen=True)
class MailRequested:
    """A mail is to be sent. It names no address and holds no token: who sends it looks up the one and makes the other.

    :param reference: the id of what the mail is about, if that is not the account itself
    """

    type: ClassVar[str] = "mail.requested"
    schema_version: ClassVar[int] = 1
    account_id: str
    kind: MailKind
    reference: str | None = None


@dataclass(eq=False, kw_only=True)
class MailRequest(Aggregate):
    """A request for a mail that leaves the account alone.

    It is written down the same way for an address that nobody has here, with an id that is nobody's: how long that
    takes does not tell who has an account.
    """

    id: UUID
    sequence: int = 0

    def send(self, kind: MailKind, account_id: UUID) -> None:
        self.record(MailRequested(account_id=str(account_id), kind=kind))


@dataclass(frozen=True)
class Mail:
    """One mail, ready to be written.

    :param id: the same for every try to send this mail, so that a repeated one can be told (Message-ID)
    :param to: the address as its owner typed it
    :param name: to greet with; None where a stranger may have chosen it
    :param token: for the link; the adapter knows the page that belongs to the kind
    :param code: short enough to be typed by hand
    :param valid_for: of token and code
    :param facts: further lines for a person: where and when something happened
    """

    id: str
    kind: MailKind
    to: str
    name: str | None = None
    token: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)
    valid_for: timedelta | None = None
    facts: tuple[tuple[str, str], ...] = ()
