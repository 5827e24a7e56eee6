"""What a mail has to be for it to travel, whatever it says."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any, ClassVar, Protocol, TypeVar

from lib.mail.sender import Sender


class Letter(Protocol):
    """A mail to be written: a dataclass of a service's own.

    ``id`` is the same for every try to send it, so that a repeated one can be told (Message-ID); ``kind`` is for
    whoever looks after mails.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def id(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def to(self) -> str: ...


L_contra = TypeVar("L_contra", bound=Letter, contravariant=True)


class Renderer(Protocol[L_contra]):
    """Writes mails: how they look is each service's own."""

    @property
    def sender(self) -> Sender: ...

    def render(self, mail: L_contra) -> EmailMessage:
        """Return the mail as it travels; raises `MailRefused` if there can be no mailbox of its address."""


class Mailer(Protocol[L_contra]):
    """Sends mails."""

    def send(self, mail: L_contra) -> None:
        """Hand the mail over; raises `MailUnavailable` or `MailRefused`."""
