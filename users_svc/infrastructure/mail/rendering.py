"""How mails about notifications look, and how their readers end them (RFC 8058)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from iso4217 import Currency

from lib.mail.sender import Sender
from lib.mail.writing import Forms, clean, write
from users_svc.domain.notification_mail import NotificationLetter
from users_svc.infrastructure.mail.texts import TEXTS

TEMPLATES = Path(__file__).parent / "templates"
SOMEBODY = "Somebody"
#: the gateway's page that asks for a new password
HELP = "forgot-password"
REASONS = {"admin": "an administrator has done it"}
_EXPONENTS = {each.code: each.exponent for each in Currency}


class NotificationRenderer:
    """Writes mails.

    :param public_url: of the gateway, for links; never taken from a request
    """

    def __init__(self, sender: Sender, public_url: str, now: Callable[[], datetime]) -> None:
        self.sender = sender
        self._public_url = public_url.rstrip("/")
        self._site = sender.name or urlsplit(public_url).hostname or sender.domain
        self._now = now
        self._forms = Forms.of(TEMPLATES)

    def render(self, mail: NotificationLetter) -> EmailMessage:
        text, name = TEXTS[mail.kind], clean(mail.name)
        words = {"site": self._site, "actor": clean(mail.actor or "") or SOMEBODY, "amount": _amount(mail.data)}
        unsubscribe = self._unsubscribe(mail.unsubscribe_token)
        content = {
            "subject": f"{self._site}: {text.subject.format(**words)}",
            "greeting": f"Hello {name}," if name else "Hello,",
            "opening": text.opening.format(**words),
            "facts": [(label, clean(value)) for label, value in _facts(mail)],
            "kind": text.kind,
            "unsubscribe": unsubscribe,
            "otherwise": text.otherwise,
            "help": f"{self._public_url}/pages/{HELP}",
            "site": self._site,
        }
        one_click = {"List-Unsubscribe": f"<{unsubscribe}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
        return write(
            mail,
            to=mail.to,
            sender=self.sender,
            now=self._now(),
            forms=self._forms,
            content=content,
            headers=one_click if unsubscribe else {},
        )

    def _unsubscribe(self, token: str | None) -> str | None:
        if token is None:
            return None
        return f"{self._public_url}/api/v1/users/unsubscribe?token={quote(token, safe='')}"


def _facts(mail: NotificationLetter) -> Iterator[tuple[str, str]]:
    data = mail.data
    if "decline_code" in data:
        yield "Reason", str(data["decline_code"]).replace("_", " ")
    if "reason" in data:
        yield "Reason", REASONS.get(data["reason"], str(data["reason"]).replace("_", " "))
    if "roles" in data:
        yield "Roles", ", ".join(map(str, data["roles"])) or "none"
    for label, name in (("Payment", "payment_id"), ("Refund", "refund_id")):
        if name in data:
            yield label, str(data[name])
    yield "When", f"{mail.happened_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _amount(data: dict[str, Any]) -> str:
    """Return ``10.50 EUR`` for 1050 of the currency's minor unit."""
    if "amount" not in data:
        return ""
    amount, currency = int(data["amount"]), str(data["currency"])
    exponent = _EXPONENTS.get(currency)
    if exponent is None:
        # Not to be guessed: it would be wrong by a factor of a hundred.
        return f"{amount} minor units of {clean(currency)}"
    if exponent == 0:
        return f"{amount} {currency}"
    whole, part = divmod(amount, 10**exponent)
    return f"{whole}.{part:0{exponent}} {currency}"
