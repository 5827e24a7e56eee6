"""How mails look: an `EmailMessage` with a plain and an HTML form, made from one text per kind (`texts.py`)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import quote, urlsplit

from auth_svc.domain.email import Email, InvalidEmail
from auth_svc.domain.mail import Mail
from auth_svc.infrastructure.mail.texts import TEXTS
from lib.errors import MailRefused
from lib.mail.sender import Sender
from lib.mail.writing import Forms, clean, grouped, spoken, write

TEMPLATES = Path(__file__).parent / "templates"


class MailRenderer:
    """Writes mails.

    :param public_url: of the gateway, for links; never taken from a request
    """

    def __init__(self, sender: Sender, public_url: str, now: Callable[[], datetime]) -> None:
        self.sender = sender
        self._public_url = public_url.rstrip("/")
        self._site = sender.name or urlsplit(public_url).hostname or sender.domain
        self._now = now
        self._forms = Forms.of(TEMPLATES)

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
        return write(mail, to=recipient, sender=self.sender, now=self._now(), forms=self._forms, content=content)


def _validity(mail: Mail) -> str:
    if mail.valid_for is None or not (mail.token or mail.code):
        return ""
    what = "Link and code are" if mail.token and mail.code else "The link is" if mail.token else "The code is"
    return f"{what} valid for {spoken(mail.valid_for)} and can be used once."
