"""What stands in mails, and who sends them, in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from auth_svc.domain.account import Account
from auth_svc.domain.device import Device
from auth_svc.domain.mail import Mail
from lib.ids import new_id


@dataclass
class FakeMailer:
    """:param failures: raised, the first one first, instead of sending"""

    sent: list[Mail] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def send(self, mail: Mail) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(mail)

    def last(self, kind: str) -> Mail:
        return next(mail for mail in reversed(self.sent) if mail.kind == kind)


class FakeOneTimeTokenMint:
    """Tokens that can be read by eye: ``verification:<event>``; codes are 6 digits that follow from the event."""

    def token(self, event_id: str, account_id: UUID, purpose: str) -> str:
        return f"{purpose}:{account_id}:{event_id}"

    def code(self, event_id: str, account_id: UUID, purpose: str) -> str:
        return f"{int(hashlib.sha256(self.token(event_id, account_id, purpose).encode()).hexdigest(), 16) % 10**6:06}"

    def token_hash(self, token: object) -> bytes:
        return hashlib.sha256(str(token).encode()).digest()

    def code_hash(self, account_id: UUID, purpose: str, code: object) -> bytes:
        return hashlib.sha256(f"{account_id}{purpose}{code}".encode()).digest()


class FakeDeviceTokens:
    def __init__(self) -> None:
        self.issued: dict[object, datetime | None] = {}

    def issue(self, account: Account) -> str:
        token = f"device/{account.id}/{new_id()}/{account.password_set_at}"
        self.issued[token] = account.password_set_at
        return token

    def open(self, token: object) -> Device | None:
        parts = token.split("/") if isinstance(token, str) else []
        if len(parts) != 4 or token not in self.issued:
            return None
        return Device(id=UUID(parts[2]), account_id=UUID(parts[1]), password_set_at=self.issued[token])


class FakeLoginKeys:
    def of_address(self, email_key: str) -> bytes:
        return f"address {email_key}".encode("utf-8", "replace")

    def of_device(self, device_id: UUID) -> bytes:
        return f"device {device_id}".encode()


@dataclass
class FakeBreachedPasswords:
    leaked: set[str] = field(default_factory=set)

    def contains(self, password: str) -> bool:
        return password in self.leaked
