"""Places around the sending of a mail at which a test may have the process killed (`lib.faultpoint`).

- ``mail.before_send``: the token's hash is saved, nothing has left
- ``mail.after_send``: the mail is out, and that is not written down
"""

from __future__ import annotations

from auth_svc.application.ports import Mailer
from auth_svc.domain.mail import Mail
from lib import faultpoint


class MailerWithFaultPoints:
    """Another mailer with the two places around it."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer

    def send(self, mail: Mail) -> None:
        faultpoint.reach("mail.before_send")
        self._mailer.send(mail)
        faultpoint.reach("mail.after_send")
