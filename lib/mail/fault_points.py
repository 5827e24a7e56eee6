"""Places around the sending of a mail at which a test may have the process killed (`lib.faultpoint`).

- ``mail.before_send``: what there is to prepare is saved, nothing has left
- ``mail.after_send``: the mail is out, and that is not written down
"""

from __future__ import annotations

from typing import Generic, TypeVar

from lib import faultpoint
from lib.mail.letters import Letter, Mailer

L = TypeVar("L", bound=Letter)


class MailerWithFaultPoints(Generic[L]):
    """Another mailer with the two places around it."""

    def __init__(self, mailer: Mailer[L]) -> None:
        self._mailer = mailer

    def send(self, mail: L) -> None:
        faultpoint.reach("mail.before_send")
        self._mailer.send(mail)
        faultpoint.reach("mail.after_send")
